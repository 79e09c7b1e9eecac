from __future__ import annotations

import os

import pytest

from ctwml_bids.bids.filters import parse_filters
from ctwml_bids.bids.query import plan_units
from ctwml_bids.bids.units import Skipped, Unit
from tests.bids.planned import plan

CT = "sub-01/ct/sub-01_ct.nii.gz"
FLAIR = "sub-01/anat/sub-01_FLAIR.nii.gz"


def only(raw, **options) -> Unit | Skipped:
    (item,) = plan(raw.root, **options)
    return item


def refused_for(raw, name: str) -> Skipped:
    item = only(raw)
    assert isinstance(item, Skipped)
    assert item.exit_code == 65
    assert name in item.reason
    return item


@pytest.mark.parametrize(
    "name",
    [
        "sub-01/ct/sub-02_ct.nii.gz",
        "sub-01/ct/sub-1_ct.nii.gz",
        "sub-01/anat/sub-02_CT.nii.gz",
        "sub-01/ct/sub-01_ses-1_ct.nii.gz",
        "sub-01/ct/ct.nii.gz",
        "sub-01/ct/sub-01_acq-0.5mm_ct.nii.gz",
        "sub-01/ct/sub-01_acq-a-b_ct.nii.gz",
        "sub-01/ct/sub-01_acq-a_b_ct.nii.gz",
        "sub-01/ct/sub-01_run-1a_ct.nii.gz",
        "sub-01/ct/sub-01_acq-a_acq-b_ct.nii.gz",
    ],
)
@pytest.mark.parametrize("beside", [None, CT, FLAIR])
def test_a_name_that_is_wrong_refuses_its_session_alone_and_beside_others(raw, name, beside):
    raw.image(name)
    if beside:
        raw.image(beside)
    assert "rename it" in refused_for(raw, name).reason


@pytest.mark.parametrize(
    "name", ["sub-01_ses-1_ct", "sub-01_ses-20_ct", "sub-01_ct", "sub-02_ses-2_ct", "ses-2_ct"]
)
def test_a_name_that_is_wrong_in_a_session_leaves_the_other_sessions_alone(raw, name):
    raw.image(f"sub-01/ses-2/ct/{name}.nii.gz")
    raw.image("sub-01/ses-3/ct/sub-01_ses-3_ct.nii.gz")
    refused, unit = plan(raw.root)
    assert isinstance(refused, Skipped)
    assert refused.label == "sub-01_ses-2"
    assert f"sub-01/ses-2/ct/{name}.nii.gz" in refused.reason
    assert unit.label == "sub-01_ses-3"
    assert any("sub-01_ses-2" in note for note in unit.notes)
    assert plan(raw.root, session_labels=["3"]) == [unit]


def test_a_flair_without_the_session_of_its_folder_is_refused(raw):
    raw.image("sub-01/ses-1/anat/sub-01_FLAIR.nii.gz")
    assert "it lacks ses-1" in refused_for(raw, "sub-01/ses-1/anat/sub-01_FLAIR.nii.gz").reason


def test_a_name_with_bytes_that_are_no_text_is_refused_by_their_codes(raw):
    raw.image(CT)
    open(os.fsencode(raw.root) + b"/sub-01/ct/sub-01_acq-\xff_ct.nii.gz", "w").close()
    refused_for(raw, r"sub-01/ct/sub-01_acq-\xff_ct.nii.gz")
    _, told = plan_units(raw.root, filters=parse_filters({"flair": {"run": 1}}))
    told.encode("utf-8")


def test_a_filter_that_lets_a_wrong_name_out_lets_the_others_run(raw):
    raw.image("sub-01/ct/sub-01_acq-a-b_ct.nii.gz")
    raw.image("sub-01/ct/sub-01_acq-a_ct.nii.gz")
    assert isinstance(only(raw), Skipped)
    unit = only(raw, filters=parse_filters({"ct": {"acquisition": "a"}}))
    assert unit.ct.name == "sub-01_acq-a_ct.nii.gz"


def test_a_filter_is_not_blamed_for_a_subject_that_cannot_be_read(raw):
    raw.image(CT)
    raw.text("sub-01/ct/sub-01_ct.json", "{")
    skipped = only(raw, filters=parse_filters({"ct": {"run": 1}}))
    assert "sub-01_ct.json" in skipped.reason


@pytest.mark.parametrize(
    "other",
    [
        "sub-01/anat/old/sub-01_ct.nii.gz",
        "sub-01/anat/old/deep/sub-01_CT.nii.gz",
        "sub-01/ct/old/sub-01_ct.nii.gz",
        "sub-01/pet/sub-01_ct.nii.gz",
        "sub-01/sub-01_ct.nii.gz",
        "sub-01/anat/sub-01_space-MNI_CT.nii.gz",
        "sub-01/anat/sub-01_desc-cleaned_CT.nii.gz",
        "sub-01/ct/sub-01_res-2_ct.nii.gz",
        "sub-01/ct/sub-01_space-FLAIR_desc-x_ct.nii.gz",
    ],
)
def test_only_raw_images_in_ct_and_anat_are_used_and_the_others_named(raw, other):
    raw.image(CT, shape=(8, 8, 8))
    # It would win: more coverage, thinner slices.
    raw.image(other, shape=(8, 8, 100), spacing=(1, 1, 1))
    unit = only(raw)
    assert unit.ct == raw.root / CT
    assert any(other in note for note in unit.notes)
    (raw.root / CT).unlink()
    refused_for(raw, other)


@pytest.mark.parametrize(
    "other",
    [
        "sub-01/anat/sub-01_space-CT_FLAIR.nii.gz",
        "sub-01/anat/sub-01_desc-brain_FLAIR.nii.gz",
        "sub-01/anat/sub-01_part-phase_FLAIR.nii.gz",
        "sub-01/anat/old/sub-01_FLAIR.nii.gz",
        "sub-01/sub-01_FLAIR.nii.gz",
        "sub-01/func/sub-01_FLAIR.nii.gz",
    ],
)
def test_an_equal_flair_elsewhere_does_not_block_the_raw_one(raw, other):
    raw.image(CT)
    raw.image(FLAIR)
    raw.image(other)
    unit = only(raw)
    assert unit.flair == raw.root / FLAIR
    assert any(other in note for note in unit.notes)


def test_a_resampled_image_is_used_where_the_filter_asks_for_it(raw):
    raw.image(CT)
    raw.image(FLAIR)
    raw.image("sub-01/anat/sub-01_space-CT_FLAIR.nii.gz")
    unit = only(raw, filters=parse_filters({"flair": {"space": "CT"}}))
    assert unit.flair.name == "sub-01_space-CT_FLAIR.nii.gz"


def test_a_flair_in_ct_is_refused(raw):
    raw.image(CT)
    raw.image("sub-01/ct/sub-01_FLAIR.nii.gz")
    assert "anat/" in refused_for(raw, "sub-01/ct/sub-01_FLAIR.nii.gz").reason


def test_the_note_of_a_choice_tells_files_of_one_name_apart(raw):
    raw.image("sub-01/ct/sub-01_CT.nii.gz", shape=(8, 8, 30))
    raw.image("sub-01/anat/sub-01_CT.nii.gz")
    (note,) = only(raw).notes
    assert "took sub-01/ct/sub-01_CT.nii.gz" in note
    assert "not sub-01/anat/sub-01_CT.nii.gz" in note
    raw.image("sub-01/anat/sub-01_CT.nii.gz", shape=(8, 8, 30))
    refused = refused_for(raw, "sub-01/anat/sub-01_CT.nii.gz")
    assert "sub-01/ct/sub-01_CT.nii.gz" in refused.reason


def test_one_name_with_two_endings_is_not_chosen_between(raw):
    raw.image("sub-01/ct/sub-01_ct.nii")
    raw.image(CT)
    assert '{"ct": {"extension": ".nii"}}' in refused_for(raw, "sub-01_ct.nii").reason


WORDS = ["Eq_1", "Eq", "Tilt_1", "Tilt", "Tilt_Eq_1", "Eq_Tilt_1"]


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("original", [CT, FLAIR, "sub-01/anat/sub-01_CT.nii"])
def test_a_corrected_copy_is_named_and_called_the_right_one(raw, original, words):
    raw.image(original)
    name = original.replace(".nii", f"_{words}.nii")
    raw.image(name)
    unit = only(raw)
    assert raw.root / original in (unit.ct, unit.flair)
    (note,) = unit.notes
    assert name in note
    assert "corrected copy" in note
    assert "the one to measure" in note


@pytest.mark.parametrize("words", [*WORDS, "1", "2"])
@pytest.mark.parametrize("beside", [None, FLAIR])
def test_a_copy_without_its_original_is_not_passed_over(raw, words, beside):
    name = f"sub-01/ct/sub-01_ct_{words}.nii.gz"
    raw.image(name)
    if beside:
        raw.image(beside)
    assert "_ct.nii.gz" in refused_for(raw, name).reason


@pytest.mark.parametrize("suffix", ["flair", "Flair", "FLAIRa", "FLAIR (1)", "FLAIR copy"])
def test_a_flair_with_nearly_its_suffix_is_not_passed_over(raw, suffix):
    raw.image(CT)
    name = f"sub-01/anat/sub-01_{suffix}.nii.gz"
    raw.image(name)
    assert "_FLAIR.nii.gz" in refused_for(raw, name).reason
    raw.image(FLAIR)
    assert any(name in note for note in only(raw).notes)


@pytest.mark.parametrize("name", ["scan", "sub-01-ct", "sub-01", "sub-01_CTA", "sub-01_ct_head"])
def test_another_image_in_ct_is_named(raw, name):
    raw.image(FLAIR)
    raw.image(f"sub-01/ct/{name}.nii.gz")
    item = only(raw)
    told = [item.reason] if isinstance(item, Skipped) else item.notes
    assert any(f"sub-01/ct/{name}.nii.gz" in note for note in told)


@pytest.mark.parametrize(
    "name",
    [
        "sub-01/ct/sub-02_ct.json",
        "sub-01/ct/sub-01_acq-a-b_ct.json",
        "sub-01/ct/sub-01_ses-1_ct.json",
        "sub-01/sub-02_ct.json",
        "sub-01/sub-01_acq-0.5_ct.json",
    ],
)
def test_a_sidecar_that_contradicts_its_folder_is_refused(raw, name):
    raw.image(CT)
    raw.json(name, {"ConvolutionKernel": "BONE"})
    refused_for(raw, name)


def test_sidecars_of_other_labels_do_not_apply_by_their_first_letters(raw):
    raw.image("sub-01/ct/sub-01_acq-a_ct.nii.gz")
    raw.json("acq-a-b_ct.json", {"kVp": 80})
    raw.json("acq-a_ct.json", {"kVp": 120})
    assert only(raw).ct_sidecar == {"kVp": 120}


def test_an_empty_folder_of_a_subject_may_be_a_part_that_was_not_installed(raw):
    (raw.root / "sub-01").mkdir()
    assert "datalad get" in only(raw).reason
