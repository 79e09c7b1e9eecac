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


def two(raw, session: str, kind: str = "FLAIR", ending: str = "nii.gz") -> None:
    """Two images of a session that cannot be told apart."""
    folder = "anat" if kind == "FLAIR" else "ct"
    for run in "12":
        name = f"sub-01_ses-{session}_run-{run}_{kind}.{ending}"
        raw.image(f"sub-01/ses-{session}/{folder}/{name}")


def scans_of_all(raw, times: dict[str, str]) -> None:
    """One scans.tsv: name without the subject and the ending, to its time."""
    rows = "".join(f"sub-01_{name}.nii.gz\t{time}\n" for name, time in times.items())
    raw.text("sub-01/sub-01_scans.tsv", f"filename\tacq_time\n{rows}")


B1, B2, C = "ses-b_run-1_FLAIR", "ses-b_run-2_FLAIR", "ses-c_FLAIR"


@pytest.mark.parametrize(
    ("times", "other", "taken"),
    [
        ({}, True, None),
        ({}, False, None),
        ({"ses-a_ct": "2020-01-01", C: "2020-02-10"}, True, None),
        ({"ses-a_ct": "2020-01-01", B1: "2020-01-02", B2: "2020-01-02", C: "2020-02-10"}, 1, None),
        ({"ses-a_ct": "2020-01-01", B1: "2020-01-02", B2: "2020-02-12", C: "2020-02-10"}, 1, None),
        ({"ses-a_ct": "2020-01-01", B1: "2020-01-02", B2: "2020-01-02"}, False, None),
        ({"ses-a_ct": "2020-01-01", B1: "2020-01-05", B2: "2020-01-05", C: "2020-01-05"}, 1, None),
        ({"ses-a_ct": "2020-01-01", B1: "2020-01-05", B2: "yesterday", C: "2020-01-02"}, 1, None),
        ({"ses-a_ct": "2020-01-01", B1: "2020-01-05", B2: "2020-01-05", C: "2020-01-02"}, 1, "c"),
        ({"ses-a_ct": "2020-01-01", B1: "2021-01-05", B2: "2019-01-05", C: "2020-01-02"}, 1, "c"),
    ],
)
def test_a_flair_that_cannot_be_chosen_stays_one_that_a_ct_may_belong_to(raw, times, other, taken):
    ct(raw, "a")
    two(raw, "b")
    if other:
        flair(raw, "c")
    if times:
        scans_of_all(raw, times)
    found = {unit.session: unit for unit in plan(raw.root)}
    assert isinstance(found["b"], Skipped)
    assert isinstance(found["a"], Unit if taken else Skipped)
    said = " ".join(found["a"].notes) if taken else found["a"].reason
    assert f"sub-01_{B1}" in said
    assert f"sub-01_{B2}" in said
    assert "ses-b is skipped" in said or "ses-b" in said
    assert "the only one;" not in said
    assert taken or found["a"].exit_code == 65
    assert not taken or ("warning: " in said and found["a"].flair_session == taken)


@pytest.mark.parametrize(
    ("times", "skipped"),
    [
        ({}, False),
        ({"ses-a_ct": "2020-01-01", "ses-b_FLAIR": "2020-01-02"}, True),
        ({"ses-a_ct": "2020-01-01", "ses-b_FLAIR": "someday"}, True),
        ({"ses-a_ct": "2020-01-01", "ses-b_FLAIR": "2020-05-02"}, False),
        ({"ses-a_ct": "2020-01-01"}, False),
    ],
)
@pytest.mark.parametrize("other", [False, True])
def test_a_flair_of_cts_that_cannot_be_chosen_is_lent_by_its_time_alone(raw, times, skipped, other):
    ct(raw, "a")
    two(raw, "b", "ct")
    flair(raw, "b")
    if other:
        flair(raw, "c")
    if times:
        scans_of_all(raw, times)
    found = {unit.session: unit for unit in plan(raw.root)}
    assert isinstance(found["a"], Skipped) is skipped
    said = found["a"].reason if skipped else " ".join(found["a"].notes)
    assert "sub-01_ses-b_FLAIR" in said
    assert "the only one;" not in said
    if not skipped:
        assert "ses-b is skipped" in said
        assert found["a"].flair_session == ("c" if other else None)


def test_a_flair_alone_tells_of_a_ct_that_cannot_be_chosen(raw):
    two(raw, "b", "ct")
    flair(raw, "c")
    flair(raw, "d")
    alone = [unit for unit in plan(raw.root) if isinstance(unit, Unit)]
    assert [unit.session for unit in alone] == ["c", "d"]
    for unit in alone:
        assert "warning: it may belong to a CT of ses-b, which is skipped" in unit.notes


def test_own_flairs_need_nothing_of_a_session_that_is_skipped(raw):
    ct(raw, "a")
    flair(raw, "a")
    two(raw, "b")
    unit = plan(raw.root)[0]
    assert (unit.flair_session, unit.notes) == ("a", ())


@pytest.mark.parametrize("name", ["acq-0.5mm_FLAIR", "run-x_FLAIR"])
def test_the_only_one_is_said_of_all_images_there_are(raw, name):
    ct(raw, "a")
    flair(raw, "c")
    raw.image(f"sub-01/ses-b/anat/sub-01_ses-b_{name}.nii.gz")
    unit = plan(raw.root)[0]
    said = " ".join(unit.notes)
    assert "the only one that can be used; when" in said
    assert "no partner for it was looked for in sub-01_ses-b: skipped" in said
