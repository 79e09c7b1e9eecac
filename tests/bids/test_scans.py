"""Acquisition times from scans.tsv, however its rows name the images."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from ctwml_bids.bids.listing import list_subject, scans_tables
from ctwml_bids.bids.scans import days_between, read_time, read_times
from ctwml_bids.bids.units import Skipped
from ctwml_bids.errors import BadDataError
from tests.bids.planned import plan

CT, FLAIR = "sub-01/ses-1/ct/sub-01_ses-1_ct.nii.gz", "sub-01/ses-2/anat/sub-01_ses-2_FLAIR.nii.gz"
LATER = "2021-06-01T10:00:00"  # 517 days after the CT


def times_of(root, subject="01"):
    files = [path for path, _ in list_subject(root, subject).files]
    return read_times(root / f"sub-{subject}", scans_tables(root, subject), files)


@pytest.fixture
def far(raw):
    """A CT and a FLAIR of two sessions; the rows of one table are to be written."""
    for image in (CT, FLAIR):
        raw.image(image)

    def scans(rows, name="sub-01/sub-01_scans.tsv", head="filename\tacq_time"):
        raw.text(name, "".join(f"{row}\n" for row in (head, *rows)))
        return raw.root

    return scans


@pytest.mark.parametrize(
    ("ct", "flair"),
    [
        ("ses-1/ct/sub-01_ses-1_ct.nii.gz", "ses-2/anat/sub-01_ses-2_FLAIR.nii.gz"),
        (r"ses-1\ct\sub-01_ses-1_ct.nii.gz", r"ses-2\anat\sub-01_ses-2_FLAIR.nii.gz"),
        ("/ses-1/ct/sub-01_ses-1_ct.nii.gz", "./ses-2/anat/sub-01_ses-2_FLAIR.nii.gz"),
        (" ses-1/ct/sub-01_ses-1_ct.nii.gz ", "ses-2 / anat / sub-01_ses-2_FLAIR.nii.gz"),
        ("ses-1/ct/sub-01_ses-1_ct.nii", "ses-2/anat/sub-01_ses-2_FLAIR.nii"),
        ("sub-01_ses-1_ct.nii.gz", "sub-01_ses-2_FLAIR"),
        (CT, FLAIR),
        (f"/data/my-bids/{CT}", f"C:\\my-bids\\{FLAIR}"),
        ("ses-1/ct/ct.nii.gz", "ses-2/anat/FLAIR.nii.gz"),
        ("ses-1/anat/sub-01_ses-1_CT.nii.gz", '"ses-2/anat/sub-01_ses-2_flair.nii.gz"'),
    ],
)
def test_a_row_finds_its_image_by_entities_and_the_days_are_warned_of(far, ct, flair):
    (unit,) = plan(far([f"{ct}\t2020-01-01T10:00:00", f"{flair}\t{LATER}"]))
    assert unit.days_apart == 517.0
    said = " ".join(unit.notes)
    assert "warning: CT and FLAIR are 517 days apart" in said
    assert "not there" not in said


def test_tables_of_sessions_give_what_a_name_leaves_out(far):
    far(["ct\\ct.nii\t2020-01-01T10:00:00"], "sub-01/ses-1/sub-01_ses-1_scans.tsv")
    root = far([f"/anat/sub-01_FLAIR.nii\t{LATER}"], "sub-01/ses-2/sub-01_ses-2_scans.tsv")
    assert plan(root)[0].days_apart == 517.0


@pytest.mark.parametrize(
    "row",
    [
        "ses-1/ct/sub-01_ses-1_run-2_ct.nii.gz",
        "ses-3/anat/sub-01_ses-3_FLAIR.nii.gz",
        "sub-02/ses-1/ct/sub-02_ses-1_ct.nii.gz",
        "ses-1/ct/sub-01_ses-1_acq-thin_ct.nii",
        "ct/sub-1_ses-1_ct.nii.gz",
    ],
)
def test_a_row_of_an_image_that_is_not_there_is_named(far, row):
    (unit,) = plan(far([f"{row}\t2020-01-01T10:00:00", "ses-1/anat/sub-01_ses-1_T1w.nii.gz\tn/a"]))
    said = " ".join(unit.notes)
    assert f"sub-01_scans.tsv has a row of images that are not there: {row}" in said
    assert "T1w" not in said
    assert unit.days_apart is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"filename\tacq_time\n{CT}\tJänner\n".encode("latin-1"), "sub-01_scans.tsv, line 2"),
        (f"filename\tacq_time\n{CT}\t2020-01-01\n".encode("utf-16"), "UTF-16"),
        (f"filename,acq_time\n{CT},2020-01-01\n".encode(), "has commas between its columns"),
        (f"file\tacq_time\n{CT}\t2020-01-01\n".encode(), "has no column filename"),
        (f"filename\tacq_time\n{CT}\n".encode(), "line 2: has 1 cell"),
        (
            f"filename\tacq_time\n{CT}\t2020-01-01\n/{CT}\t2020-01-02\n".encode(),
            "line 3: gives sub-01_ses-1_ct.nii.gz the time 2020-01-02, and another row",
        ),
    ],
)
def test_a_table_that_cannot_be_used_skips_its_subject_and_no_other(far, raw, content, said):
    root = far([])
    (root / "sub-01/sub-01_scans.tsv").write_bytes(content)
    raw.image("sub-02/ct/sub-02_ct.nii.gz")
    first, second = plan(root)
    assert isinstance(first, Skipped)
    assert said in first.reason
    assert first.exit_code == 65
    assert second.label == "sub-02"


def test_a_row_that_may_mean_two_images_is_refused_unless_it_names_one_in_full(raw):
    raw.image("sub-01/ct/sub-01_run-1_ct.nii.gz")
    raw.image("sub-01/ct/sub-01_run-01_ct.nii.gz")
    raw.text("sub-01/sub-01_scans.tsv", "filename\tacq_time\nct/sub-01_run-01_ct.nii.gz\t2020\n")
    assert "'2020'" in " ".join(times_of(raw.root)[1])
    raw.text("sub-01/sub-01_scans.tsv", "filename\tacq_time\nct/sub-01_run-001_ct.nii\t2020\n")
    with pytest.raises(BadDataError, match=r"may be sub-01_run-01_ct.nii.gz or sub-01_run-1"):
        times_of(raw.root)


def test_the_same_time_twice_and_a_row_without_one_are_fine(far):
    rows = [f"{CT}\t2020-01-01T10:00:00", f"{CT}\tn/a", f"./{CT}\t2020-01-01 10:00:00"]
    times, notes = times_of(far(rows))
    assert list(times.values()) == [datetime(2020, 1, 1, 10)]
    assert notes == []


def test_capitals_of_column_names_do_not_count(far):
    root = far([f"{CT}\t2020-01-01", f"{FLAIR}\t2020-01-11"], head=" Filename\tACQ_TIME ")
    assert plan(root)[0].days_apart == 10.0


@pytest.mark.parametrize(
    ("one", "other", "days"),
    [
        ("2020-01-01", "2020-02-12T23:00:00", 42.0),
        ("2020-01-01", "2020-01-01T20:00:00", 0.0),
        ("20200101", "2020-01-02", 1.0),
        ("2020-01-01T10:00:00Z", "2020-01-01T12:00:00+02:00", 0.0),
        ("2020-01-01T10:00:00Z", "2020-01-02T10:00:00", 1.0),
        ("2020-01-01 10:00:00", "2020-01-01T22:00:00.000000", 0.5),
        ("1901-03-01T10:00:00", "1902-07-31T10:00:00", 517.0),
    ],
)
def test_days_between_two_times(one, other, days):
    assert days_between(read_time(one), read_time(other)) == days
    assert days_between(read_time(other), read_time(one)) == days


@pytest.mark.parametrize(
    "text", ["01.02.2020", "1/2/2020 10:00", "yesterday", "2020-13-01", "10:00"]
)
def test_what_is_no_time_of_bids_is_refused(text):
    with pytest.raises(ValueError, match=r"isoformat|month"):
        read_time(text)
    assert read_time("2020-02-29") == date(2020, 2, 29)


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        ("2020-02-01", "2020-02-01T10:00:00", True),
        ("2020-02-01 10:00", "20200201", True),
        ("2020-02-01", "20200201", True),
        ("2020-02-01", "2020-02-02T00:00:00", False),
        ("2020-02-01T10:00:00", "2020-02-01T10:00:01", False),
    ],
)
def test_a_date_and_a_time_of_its_day_agree(far, one, other, agree):
    root = far([f"{CT}\t{one}", f"{CT}\t{other}"])
    if not agree:
        with pytest.raises(BadDataError, match="only one can be right"):
            times_of(root)
        return
    (known,) = times_of(root)[0].values()
    assert isinstance(known, datetime) == (":" in one + other)


@pytest.mark.parametrize(
    "text", ["2020-W05", "2020-W05-6", "2020-02-01_10:00", "20200201101112", "43862", "2020-02"]
)
def test_other_forms_than_those_of_bids_are_no_times(text):
    with pytest.raises(ValueError, match="isoformat"):
        read_time(text)
