"""Times of scans.tsv that cannot be read, or are missing, settle no choice."""

from __future__ import annotations

import pytest

from ctwml_bids.bids.units import Skipped
from tests.bids.planned import plan
from tests.bids.test_pairing import ct, flair, scans


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
