from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from ctwml_bids.bids import names
from ctwml_bids.errors import InvalidInputError
from ctwml_bids.modality import IMAGES


def test_lesion_maps_are_named_by_space_and_by_where_they_were_seen():
    first = names.wml("X", "Y", space="CT", seen_in="ct")
    assert str(first) == "sub-X/ses-Y/anat/sub-X_ses-Y_space-CT_label-WML_desc-ct_mask.nii.gz"
    other = {
        kind: names.wml("X", None, space="FLAIR", seen_in="flair", kind=kind).name
        for kind in ("probseg", "std", "cv")
    }
    assert other == {
        "probseg": "sub-X_space-FLAIR_label-WML_desc-flair_probseg.nii.gz",
        "std": "sub-X_space-FLAIR_label-WML_desc-flairstd_probseg.nii.gz",
        "cv": "sub-X_space-FLAIR_label-WML_desc-flaircv_probseg.nii.gz",
    }


def test_another_model_lives_beside_the_first():
    for kind in ("mask", "probseg", "std", "cv"):
        default = names.wml("X", None, space="CT", seen_in="ct", kind=kind)
        other = names.wml("X", None, space="CT", seen_in="ct", kind=kind, model_label="mine2")
        assert other.name == default.name.replace("desc-ct", "desc-ctmine2")
    assert names.stats("X", None).name == "sub-X_desc-wml_stats.tsv"
    assert names.stats("X", None, model_label="mine2").name == "sub-X_desc-wmlmine2_stats.tsv"
    assert str(names.report("X", "1", model_label="mine2")) == "sub-X_ses-1_desc-mine2.html"
    status = names.status("X", "1", model_label="mine2")
    assert str(status) == "logs/sub-X_ses-1/status_desc-mine2.json"


@pytest.mark.parametrize("label", ["a_b", "a-b", "über", "x/y", "std", "minestd", "cv", "lesions2"])
def test_a_model_label_that_would_break_or_collide_is_refused(label):
    with pytest.raises(InvalidInputError, match="--desc"):
        names.check_model_label(label)


def test_transforms_say_where_from_and_where_to():
    path = names.xfm("X", None, source="CT", target="MNI152NLin2009aSym")
    assert str(path) == "sub-X/anat/sub-X_from-CT_to-MNI152NLin2009aSym_mode-image_xfm.txt"
    assert names.sidecar(path).name == "sub-X_from-CT_to-MNI152NLin2009aSym_mode-image_xfm.json"


def test_own_and_carried_brain_masks_differ():
    assert names.brain_mask("X", None, space="CT").name == "sub-X_space-CT_desc-brain_mask.nii.gz"
    carried = names.brain_mask("X", None, space="CT", carried=True)
    assert carried.name == "sub-X_space-CT_desc-brainflair_mask.nii.gz"


def test_no_two_outputs_of_a_unit_share_a_name():
    maps = [
        names.wml("X", None, space=space, seen_in=seen, kind=kind, model_label=label)
        for space in ("CT", "FLAIR")
        for seen in IMAGES
        for kind in ("mask", "probseg", "std", "cv")
        for label in ("", "m")
    ]
    masks = [
        names.brain_mask("X", None, space=space, carried=carried)
        for space in ("CT", "FLAIR")
        for carried in (False, True)
    ]
    masks += [names.ventricle_mask("X", None, space=space) for space in ("CT", "FLAIR")]
    assert len(set(maps + masks)) == len(maps + masks)


def test_sidecars_replace_the_whole_ending():
    assert names.sidecar(PurePosixPath("a/b_mask.nii.gz")) == PurePosixPath("a/b_mask.json")
    assert names.sidecar(PurePosixPath("b_stats.tsv")).name == "b_stats.json"
    with pytest.raises(ValueError, match="no sidecar"):
        names.sidecar(PurePosixPath("b.html"))


def test_bids_uris_name_the_data_set_and_never_hold_an_absolute_path():
    inside = names.wml("X", None, space="CT", seen_in="ct")
    assert names.bids_uri(inside) == f"bids::{inside}"
    raw = Path("/data/raw/sub-X/ct/sub-X_ct.nii.gz")
    assert names.bids_uri(raw, Path("/data/raw"), dataset="raw") == (
        "bids:raw:sub-X/ct/sub-X_ct.nii.gz"
    )
    with pytest.raises(ValueError, match="absolute"):
        names.bids_uri(raw, dataset="raw")


def test_a_label_that_is_no_bids_label_is_refused():
    with pytest.raises(ValueError, match="letters and digits"):
        names.derivative("X", None, suffix="mask", desc="a_b")


def test_out_of_fold_results_have_names_that_no_other_run_can_have():
    mask = names.wml("01", None, space="CT", seen_in="ct", kind="cvmask")
    assert mask.name == "sub-01_space-CT_label-WML_desc-ctcv_mask.nii.gz"
    spread = names.wml("01", None, space="CT", seen_in="ct", kind="cvstd", model_label="new")
    assert spread.name == "sub-01_space-CT_label-WML_desc-ctnewcvstd_probseg.nii.gz"
    shown = names.example("01", None, model_label="new", cross_validated=True)
    assert shown.name == "sub-01_desc-newcv_example.png"
    assert names.cross_validated_stats("01", "a").name == "sub-01_ses-a_desc-wmlcv_stats.tsv"
    labelled = names.cross_validated_stats("01", None, model_label="local")
    assert labelled.name == "sub-01_desc-wmllocalcv_stats.tsv"
    with pytest.raises(InvalidInputError):
        names.stats("01", None, model_label="cv")
    assert str(names.training_folder("ct", "local")) == "train/ct_desc-local"
    assert str(names.training_report("flair")) == "train-flair.html"
