from __future__ import annotations

from ctwml_bids.bids.pairing import told_days
from ctwml_bids.bids.query import Skipped, Unit, plan


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
