from __future__ import annotations

import os

import pytest

from ctwml_bids.bids.listing import list_subject, list_subjects
from ctwml_bids.bids.units import Skipped, Unit
from ctwml_bids.errors import NothingMatchedError
from tests.bids.planned import plan

CT = "sub-01/ct/sub-01_ct.nii.gz"


def skipped(raw) -> dict[str, Skipped]:
    return {item.label: item for item in plan(raw.root) if isinstance(item, Skipped)}


def ran(raw) -> list[str]:
    return [item.label for item in plan(raw.root) if isinstance(item, Unit)]


@pytest.mark.parametrize(
    "folder", ["sub-AB-7", "sub-AB_7", "sub-", "sub-01.old", "sub-Ä", "sub-01 copy", "sub-01_ses-1"]
)
def test_a_subject_with_a_label_that_bids_forbids_is_skipped_by_its_name(raw, folder):
    raw.image(CT)
    raw.image(f"{folder}/ct/{folder}_ct.nii.gz")
    refused = skipped(raw)[folder]
    assert folder in refused.reason
    assert "rename" in refused.reason
    assert refused.exit_code == 65
    assert ran(raw) == ["sub-01"]
    assert list_subjects(raw.root)[0] == ["01"]


@pytest.mark.parametrize("folder", ["Sub-02", "SUB-02", "sub_02", "sub02", "subject-02"])
def test_a_folder_that_is_nearly_a_subject_is_skipped_by_its_name(raw, folder):
    raw.image(CT)
    raw.image(f"{folder}/ct/{folder}_ct.nii.gz")
    (refused,) = skipped(raw).values()
    assert refused.reason.startswith(f"{folder}: ")
    assert "sub-02" in refused.reason


def test_a_subject_that_is_no_folder_is_skipped(raw):
    raw.image(CT)
    raw.text("sub-02", "")
    (raw.root / "sub-03").symlink_to("absent")
    (raw.root / "sub-04").symlink_to("sub-04")
    (raw.root / "sub-05").symlink_to(".")
    (raw.root / "sub-06").symlink_to("/")
    raw.text("sub-07.html", "a report is nobody's folder")
    raw.text("sub-01_sessions.tsv", "")
    reasons = {label: item.reason for label, item in skipped(raw).items()}
    assert sorted(reasons) == ["sub-02", "sub-03", "sub-04", "sub-05", "sub-06"]
    assert "is a file" in reasons["sub-02"]
    assert "link to nothing" in reasons["sub-03"]
    for label in ("sub-04", "sub-05", "sub-06"):
        assert "circle" in reasons[label]
    assert ran(raw) == ["sub-01"]


@pytest.mark.parametrize(
    "name", ["sub_lists", "subject_list", "subject_info.d", "sub_old", "subjects", "sub 2020 notes"]
)
@pytest.mark.parametrize("is_file", [True, False])
def test_other_files_and_folders_beside_subjects_are_nobody(raw, name, is_file):
    raw.image(CT)
    raw.text(name if is_file else f"{name}/list.txt", "sub-01")
    assert skipped(raw) == {}


def test_other_subjects_asked_for_are_not_told_of_it(raw):
    raw.image(CT)
    raw.image("sub-AB-7/ct/sub-AB-7_ct.nii.gz")
    (unit,) = plan(raw.root, participant_labels=["01"])
    assert isinstance(unit, Unit)
    with pytest.raises(NothingMatchedError, match="sub-AB-7: its label"):
        plan(raw.root, participant_labels=["AB7"])


def test_a_data_set_of_such_subjects_alone_lists_them(raw):
    raw.image("sub-A-1/ct/sub-A-1_ct.nii.gz")
    raw.image("sub-A-2/ct/sub-A-2_ct.nii.gz")
    assert sorted(skipped(raw)) == ["sub-A-1", "sub-A-2"]


def test_labels_that_differ_by_case_are_two_subjects(raw):
    for label in ("a1", "A1"):
        raw.image(f"sub-{label}/ct/sub-{label}_ct.nii.gz")
    assert list_subjects(raw.root) == (["A1", "a1"], [])
    assert ran(raw) == ["sub-A1", "sub-a1"]


@pytest.mark.parametrize(
    "folder", ["ses-2020-01-05", "ses-a_b", "ses-", "ses-1.old", "ses-ü", "Ses-2", "ses_2", "ses2"]
)
def test_a_session_with_a_label_that_bids_forbids_is_skipped_and_the_others_run(raw, folder):
    raw.image(f"sub-01/{folder}/ct/sub-01_{folder}_ct.nii.gz")
    raw.image("sub-01/ses-1/ct/sub-01_ses-1_ct.nii.gz")
    (refused,) = skipped(raw).values()
    assert refused.subject == "01"
    assert f"sub-01/{folder}: " in refused.reason
    assert refused.exit_code == 65
    assert ran(raw) == ["sub-01_ses-1"]


def test_two_dates_of_one_year_are_two_sessions(raw):
    for day in ("2020-01-05", "2020-12-20"):
        raw.image(f"sub-01/ses-{day}/ct/sub-01_ses-{day}_ct.nii.gz")
    raw.image("sub-01/ses-2020-12-20/anat/sub-01_ses-2020-12-20_FLAIR.nii.gz")
    assert sorted(skipped(raw)) == ["sub-01_ses-2020-01-05", "sub-01_ses-2020-12-20"]
    assert ran(raw) == []


CIRCLES = {
    "two at the top": ["a -> .", "b -> ."],
    "two in a subject": ["sub-01/a -> .", "sub-01/b -> .."],
    "two in ct": ["sub-01/ct/a -> .", "sub-01/ct/b -> ../.."],
    "to each other": ["sub-01/a -> b", "sub-01/b -> a"],
    "of a link to itself": ["sub-01/ct/a -> a", "a -> a"],
    "between subjects": ["sub-01/a -> ../sub-02", "sub-02/b -> ../sub-01"],
    "to the root": ["sub-01/a -> /", "a -> /"],
    "deep": ["sub-01/ct/x/y/a -> ../../..", "sub-01/ct/x/y/b -> ../.."],
}


@pytest.mark.parametrize("links", CIRCLES.values(), ids=CIRCLES)
def test_links_in_circles_end_and_the_images_beside_them_run(raw, links):
    for label in ("01", "02"):
        raw.image(f"sub-{label}/ct/sub-{label}_ct.nii.gz")
    for link in links:
        name, _, target = link.partition(" -> ")
        path = raw.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
    assert ran(raw) == ["sub-01", "sub-02"]
    assert skipped(raw) == {}


@pytest.mark.parametrize(
    ("name", "target", "label"),
    [
        ("sub-01/ses-9", ".", "sub-01_ses-9"),
        ("sub-01/ses-9", "..", "sub-01_ses-9"),
        ("sub-01/ses-9", "ses-9", "sub-01_ses-9"),
        ("sub-01/anat", "..", "sub-01"),
        ("sub-01/ses-1/anat", ".", "sub-01_ses-1"),
        ("sub-01/ses-1/anat", "absent", "sub-01_ses-1"),
    ],
)
def test_a_folder_that_is_needed_and_a_circle_skips_its_session(raw, name, target, label):
    raw.image("sub-01/ses-1/ct/sub-01_ses-1_ct.nii.gz")
    raw.image("sub-01/ses-2/ct/sub-01_ses-2_ct.nii.gz")
    (raw.root / name).symlink_to(target)
    (refused,) = skipped(raw).values()
    assert (refused.label, refused.exit_code) == (label, 65)
    assert name in refused.reason
    assert "sub-01_ses-2" in ran(raw)


def test_a_session_folder_that_is_another_one_does_not_count_twice(raw):
    raw.image("sub-01/ses-1/ct/sub-01_ses-1_ct.nii.gz")
    (raw.root / "sub-01/ses-2").symlink_to("ses-1")
    assert ran(raw) == ["sub-01_ses-1"]
    assert "it says ses-1" in skipped(raw)["sub-01_ses-2"].reason


@pytest.mark.parametrize("linked", ["sub-01", "sub-01/ses-1", "sub-01/ses-1/ct"])
def test_a_folder_that_lies_elsewhere_is_followed(tmp_path, raw, linked):
    raw.image("sub-01/ses-1/ct/sub-01_ses-1_ct.nii.gz", sidecar={"kVp": 120})
    (raw.root / linked).rename(tmp_path / "store")
    (raw.root / linked).symlink_to(tmp_path / "store")
    (unit,) = plan(raw.root)
    assert unit.ct_sidecar == {"kVp": 120}


def test_an_image_that_lies_in_the_annex_is_followed(raw):
    path = raw.image(CT)
    content = raw.root / ".git/annex/objects/a/KEY"
    content.parent.mkdir(parents=True)
    path.rename(content)
    path.symlink_to("../../.git/annex/objects/a/KEY")
    assert ran(raw) == ["sub-01"]


@pytest.mark.parametrize(
    "name",
    [b"sub-01/ct/notes\xff.txt", b"sub-01/\xff", b"\xff.json", b"\xfe/x", b"sub-01/ct/a\xff.nii.gz",
     b"sub-01/\xff/sub-01_acq-\xff_T1w.nii.gz"],
)  # fmt: skip
def test_a_name_that_is_no_text_beside_a_ct_stops_nobody(raw, name):
    raw.image(CT)
    path = os.fsencode(raw.root) + b"/" + name
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "w").close()
    assert ran(raw) == ["sub-01"]
    assert skipped(raw) == {}


@pytest.mark.parametrize("name", [b"sub-\xff", b"sub-01\xff"])
def test_a_subject_whose_name_is_no_text_is_skipped_by_a_name_that_is(raw, name):
    raw.image(CT)
    os.mkdir(os.fsencode(raw.root) + b"/" + name)
    (refused,) = skipped(raw).values()
    assert r"\xff" in refused.label
    refused.reason.encode("utf-8")


def test_hidden_files_of_macos_are_no_images(raw):
    raw.image(CT)
    raw.text("sub-01/ct/._sub-01_ct.nii.gz", "resource fork")
    listing = list_subject(raw.root, "01")
    assert [path.name for path, _ in listing.files] == ["sub-01_ct.nii.gz"]
