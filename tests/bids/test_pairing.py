from __future__ import annotations

import pytest

from ctwml_bids.bids.pairing import told_days
from ctwml_bids.bids.units import Skipped, Unit
from tests.bids.planned import plan


def ct(raw, session: str) -> None:
    raw.image(f"sub-01/ses-{session}/ct/sub-01_ses-{session}_ct.nii.gz")


def flair(raw, session: str) -> None:
    raw.image(f"sub-01/ses-{session}/anat/sub-01_ses-{session}_FLAIR.nii.gz")


def scans(raw, times: dict[str, str]) -> None:
    """One scans.tsv a session: CT or FLAIR ("ct 1") to its time."""
    for image, time in times.items():
        kind, session = image.split()
        name = "ct/sub-01_ses-{}_ct" if kind == "ct" else "anat/sub-01_ses-{}_FLAIR"
        path = raw.root / f"sub-01/ses-{session}/sub-01_ses-{session}_scans.tsv"
        head = path.read_text() if path.exists() else "filename\tacq_time\n"
        path.write_text(head + f"{name.format(session)}.nii.gz\t{time}\n")


def pairs(raw) -> list[tuple[str | None, bool, str | None]]:
    """Session, whether there is a CT, and the session of the FLAIR, for each unit."""
    return [(unit.session, unit.ct is not None, unit.flair_session) for unit in plan(raw.root)]


def test_ct_and_flair_of_two_sessions_are_one_unit_under_the_ct(raw):
    flair(raw, "1")
    ct(raw, "2")
    assert pairs(raw) == [("2", True, "1")]
    assert "the only one" in " ".join(plan(raw.root)[0].notes)


def test_the_same_session_comes_before_a_nearer_time(raw):
    ct(raw, "1")
    flair(raw, "1")
    flair(raw, "2")
    scans(
        raw,
        {
            "ct 1": "2020-01-20T10:00:00",
            "flair 1": "2020-01-01T10:00:00",
            "flair 2": "2020-01-21T10:00:00",
        },
    )
    assert pairs(raw) == [("1", True, "1"), ("2", False, "2")]


def test_the_nearest_flair_in_time_is_taken_and_the_other_runs_alone(raw):
    ct(raw, "1")
    flair(raw, "2")
    flair(raw, "3")
    scans(
        raw,
        {
            "ct 1": "2020-03-01T10:00:00",
            "flair 2": "2020-03-20T10:00:00",
            "flair 3": "2020-02-20T22:00:00.000000",
        },
    )
    assert pairs(raw) == [("1", True, "3"), ("2", False, "2")]
    assert "9.5 days" in plan(raw.root)[0].notes[0]


def test_more_than_six_weeks_is_a_warning_and_exactly_six_is_not(raw):
    ct(raw, "1")
    flair(raw, "2")
    scans(raw, {"ct 1": "2020-01-01T10:00:00", "flair 2": "2020-02-12T10:00:00"})
    assert "warning" not in " ".join(plan(raw.root)[0].notes)
    assert told_days(plan(raw.root)[0]) == 42.0
    (raw.root / "sub-01/ses-2/sub-01_ses-2_scans.tsv").unlink()
    scans(raw, {"flair 2": "2020-02-13T10:00:00"})
    (unit,) = plan(raw.root)
    assert unit.flair_session == "2"
    assert any("warning: CT and FLAIR are 43 days apart" in note for note in unit.notes)
    assert told_days(unit) == 43.0


def test_days_within_one_session_are_told_beyond_six_weeks_alone(raw):
    """A corrected time that no report tells makes no unit run again."""
    ct(raw, "1")
    flair(raw, "1")
    scans(raw, {"ct 1": "2020-01-01T10:00:00", "flair 1": "2020-01-04T22:00:00"})
    (unit,) = plan(raw.root)
    assert (unit.days_apart, told_days(unit)) == (3.5, None)
    (raw.root / "sub-01/ses-1/sub-01_ses-1_scans.tsv").unlink()
    scans(raw, {"ct 1": "2020-01-01T10:00:00", "flair 1": "2020-02-20T22:00:00"})
    assert told_days(plan(raw.root)[0]) == 50.5


def test_several_flairs_without_times_are_named_and_not_guessed(raw):
    ct(raw, "1")
    flair(raw, "2")
    flair(raw, "3")
    (skipped,) = plan(raw.root)
    assert isinstance(skipped, Skipped)
    assert skipped.session == "1"
    for told in ("sub-01_ses-2_FLAIR", "sub-01_ses-3_FLAIR", "scans.tsv", "--bids-filter-file"):
        assert told in skipped.reason


def test_two_flairs_equally_far_in_time_are_not_guessed(raw):
    ct(raw, "2")
    flair(raw, "1")
    flair(raw, "3")
    scans(
        raw,
        {
            "ct 2": "2020-01-02T00:00:00",
            "flair 1": "2020-01-01T00:00:00",
            "flair 3": "2020-01-03T00:00:00",
        },
    )
    assert isinstance(plan(raw.root)[0], Skipped)


def test_a_flair_without_a_time_is_left_aside_with_a_note(raw):
    ct(raw, "1")
    flair(raw, "2")
    flair(raw, "3")
    scans(raw, {"ct 1": "2020-01-01", "flair 2": "2020-01-03", "flair 3": "n/a"})
    assert pairs(raw)[0] == ("1", True, "2")
    assert "sub-01_ses-3_FLAIR" in " ".join(plan(raw.root)[0].notes)


def test_a_follow_up_ct_does_not_borrow_the_flair_of_another_ct_without_times(raw):
    ct(raw, "1")
    flair(raw, "1")
    ct(raw, "2")
    assert pairs(raw) == [("1", True, "1"), ("2", True, None)]


def test_a_follow_up_ct_borrows_a_flair_within_six_weeks_only(raw):
    ct(raw, "1")
    flair(raw, "1")
    ct(raw, "2")
    ct(raw, "3")
    scans(
        raw,
        {
            "ct 1": "2020-01-01T00:00:00",
            "flair 1": "2020-01-02T00:00:00",
            "ct 2": "2020-01-09T00:00:00",
            "ct 3": "2021-01-09T00:00:00",
        },
    )
    assert pairs(raw) == [("1", True, "1"), ("2", True, "1"), ("3", True, None)]


def test_two_cts_that_cannot_be_told_apart_skip_their_session_only(raw):
    raw.image("sub-01/ses-1/ct/sub-01_ses-1_run-1_ct.nii.gz")
    raw.image("sub-01/ses-1/ct/sub-01_ses-1_run-2_ct.nii.gz")
    ct(raw, "2")
    first, second = plan(raw.root)
    assert isinstance(first, Skipped)
    assert first.session == "1"
    assert isinstance(second, Unit)


def test_a_time_that_is_none_is_reported_and_not_used(raw):
    ct(raw, "1")
    flair(raw, "2")
    scans(raw, {"ct 1": "yesterday", "flair 2": "2020-01-01T00:00:00"})
    (unit,) = plan(raw.root)
    assert unit.flair_session == "2"
    assert "'yesterday'" in " ".join(unit.notes)


NO_TIMES = [
    *("2020-02-02 10:00 Uhr", "02.02.2020 10:00", "2/2/2020", "20200202101112", "43862"),
    *("2020-W05", "2020-02-30", "2020-02", "unknown"),
]


@pytest.mark.parametrize("text", NO_TIMES)
@pytest.mark.parametrize("image", ["ct 1", "flair 2"])
def test_a_time_that_cannot_be_read_settles_no_choice(raw, text, image):
    """The FLAIR of the other time would be taken, be it 36 days away."""
    ct(raw, "1")
    flair(raw, "2")
    flair(raw, "3")
    times = {"ct 1": "2020-02-01T10:00:00", "flair 2": "2020-02-02", "flair 3": "2020-03-08"}
    scans(raw, times | {image: text})
    (skipped,) = plan(raw.root)
    assert isinstance(skipped, Skipped)
    assert (skipped.session, skipped.exit_code) == ("1", 65)
    session = image[-1]
    assert f"sub-01_ses-{session}_scans.tsv, line 2: acq_time {text!r}" in skipped.reason
    assert skipped.reason.count(repr(text)) == 1
    assert "give acq_time" not in skipped.reason


@pytest.mark.parametrize("text", NO_TIMES[:5])
@pytest.mark.parametrize("image", ["ct 2", "flair 1"])
def test_a_time_that_cannot_be_read_does_not_keep_a_flair_from_being_lent(raw, text, image):
    for session in "12":
        ct(raw, session)
    flair(raw, "1")
    scans(raw, {"ct 1": "2020-01-01", "flair 1": "2020-01-01", "ct 2": "2020-01-09", image: text})
    first, second = plan(raw.root)
    assert (first.session, first.flair_session) == ("1", "1")
    assert isinstance(second, Skipped)
    assert repr(text) in second.reason


@pytest.mark.parametrize("text", NO_TIMES[:5])
def test_a_time_that_cannot_be_read_is_warned_of_where_there_is_no_choice(raw, text):
    ct(raw, "1")
    flair(raw, "1")
    flair(raw, "2")
    scans(raw, {"ct 1": "2020-01-01", "flair 1": text, "flair 2": "2020-01-01"})
    first, second = plan(raw.root)
    assert (first.flair_session, second.flair_session) == ("1", "2")
    assert any(note.startswith("warning: ") and repr(text) in note for note in first.notes)


@pytest.mark.parametrize("text", ["n/a", "N/A", "", '""', None])
def test_a_missing_time_beside_a_known_one_is_a_warning(raw, text):
    ct(raw, "1")
    flair(raw, "2")
    flair(raw, "3")
    missing = {} if text is None else {"flair 3": text}
    scans(raw, {"ct 1": "2020-01-01", "flair 2": "2020-01-03", **missing})
    unit = plan(raw.root)[0]
    assert unit.flair_session == "2"
    said = [note for note in unit.notes if "sub-01_ses-3_FLAIR" in note]
    assert said[0].startswith("warning: no acq_time in scans.tsv for")


@pytest.mark.parametrize(
    ("name", "head", "row", "said"),
    [
        ("sub-01_scans.tsv", "filename\twhen", "x_ct\t1", "has no column acq_time (its columns: "),
        ("scans.tsv", "filename\tacq_time", "x_ct\tn/a", "name it sub-01_scans.tsv"),
        ("ses-2/scans.tsv", "filename\tacq_time", "x\t1", "name it sub-01_ses-2_scans.tsv"),
        ("ses-2/sub-01_ses-2_scan.tsv", "filename\ta", "x\t1", "name it sub-01_ses-2_scans.tsv"),
        (
            "sub-01_scans.tsv",
            "filename\tacq_time",
            "ses-01/ct/sub-01_ses-01_ct.nii.gz\t2020-01-01",
            "has a row of images that are not there: ses-01/ct",
        ),
        ("sub-01_scans.tsv", "filename\tacq time", "x\t1", "has a column acq time, and none"),
        ("sub-01_scans.tsv", "filename\tAcqTime", "x\t1", "has a column AcqTime, and none"),
    ],
)
def test_a_skipped_ct_is_told_why_its_times_are_not_known(raw, name, head, row, said):
    ct(raw, "1")
    flair(raw, "2")
    flair(raw, "3")
    raw.text(f"sub-01/{name}", f"{head}\n{row}\n")
    (skipped,) = plan(raw.root)
    assert isinstance(skipped, Skipped)
    assert said in skipped.reason
