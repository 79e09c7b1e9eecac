"""What each derivative says that it was made from, in the cases that differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ctwml_bids.unit.sources import Lineage

CT, FLAIR = "bids:raw:sub-1/ct/sub-1_ct.nii.gz", "bids:raw:sub-1/anat/sub-1_FLAIR.nii.gz"
FIELD = "from-FLAIR_to-T_mode-image_desc-syn_xfm.nii.gz"


@pytest.fixture
def pair() -> Lineage:
    return Lineage({"ct": CT, "flair": FLAIR}, "1", None, "", "T", True, "flair", True)


def short(uris: list[str]) -> list[str]:
    """Take off what all URIs of the derivatives have in common."""
    return [uri.removeprefix("bids::sub-1/anat/sub-1_") for uri in uris]


def test_a_carried_mask_comes_from_the_flairs_by_the_registration(pair):
    assert short(pair.of_brain("ct", carried=True)) == [
        FLAIR,
        CT,
        "space-FLAIR_desc-brain_mask.nii.gz",
        "from-FLAIR_to-CT_mode-image_xfm.txt",
    ]
    assert pair.of_brain("ct", carried=False) == [CT]


def test_a_pairs_ct_went_to_the_template_through_its_flairs_field(pair):
    assert FIELD in short(pair.of_lesions("ct", "template", "probseg"))
    assert FIELD in short(pair.of_lesions("flair", "template", "probseg"))
    own = replace(pair, carried=False)
    assert FIELD not in short(own.of_lesions("ct", "template", "probseg"))
    assert FIELD in short(own.of_lesions("flair", "template", "probseg"))
    nine = replace(pair, deformed=None)
    assert FIELD not in short(nine.of_lesions("flair", "template", "probseg"))


def test_lesions_on_the_other_image_went_through_the_registration(pair):
    assert short(pair.of_lesions("flair", "ct", "mask")) == [
        FLAIR,
        "space-FLAIR_desc-brain_mask.nii.gz",
        "from-FLAIR_to-T_mode-image_xfm.txt",
        "space-FLAIR_label-ventricles_desc-flair_mask.nii.gz",
        "from-FLAIR_to-CT_mode-image_xfm.txt",
        CT,
        "space-CT_label-WML_desc-flair_probseg.nii.gz",
    ]


def test_a_transform_names_what_it_was_fitted_to(pair):
    assert short(pair.of_affine("CT", "T", inverse=False)) == [
        "from-CT_to-FLAIR_mode-image_xfm.txt",
        "from-FLAIR_to-T_mode-image_xfm.txt",
    ]
    alone = replace(pair, raw={"ct": CT}, carried=False)
    assert short(alone.of_affine("CT", "T", inverse=False)) == ["space-CT_desc-brain_mask.nii.gz"]
    assert short(alone.of_affine("T", "CT", inverse=True)) == [
        "from-CT_to-T_mode-image_xfm.txt",
    ]
    masks = ["space-CT_desc-brain_mask.nii.gz", "space-FLAIR_desc-brain_mask.nii.gz"]
    assert short(pair.of_affine("CT", "FLAIR", inverse=False)) == [CT, FLAIR, *masks]


def test_ventricles_of_another_template_name_no_frame_that_they_did_not_use(pair):
    frame = "from-CT_to-T_mode-image_xfm.txt"
    assert frame in short(pair.of_ventricles("ct"))
    assert frame not in short(replace(pair, guide_is_template=False).of_ventricles("ct"))


def test_another_models_maps_and_a_session_are_named_by_their_own_names(pair):
    other = replace(pair, session="a", model_label="mine")
    assert other.of_lesion_table()[0] == (
        "bids::sub-1/ses-a/anat/sub-1_ses-a_space-CT_label-WML_desc-ctmine_mask.nii.gz"
    )


def test_a_mask_beside_infarcts_comes_from_both_probabilities(pair):
    told = replace(pair, told_apart=frozenset({"flair"}))
    both = {"space-CT_label-WML_desc-flair_probseg.nii.gz"}
    both |= {"space-CT_label-infarct_desc-flair_probseg.nii.gz"}
    for infarcts in (False, True):
        assert set(short(told.of_lesions("flair", "ct", "mask", infarcts=infarcts))[-2:]) == both
        found = short(told.of_lesions("flair", "ct", "probseg", infarcts=infarcts))
        assert found == short(pair.of_lesions("flair", "ct", "probseg"))
    assert not [uri for uri in told.of_lesions("ct", "ct", "mask") if "infarct" in uri]
    assert "space-FLAIR_label-infarct_desc-flair_mask.nii.gz" in short(told.of_volumes())
    assert not [uri for uri in pair.of_volumes() if "infarct" in uri]
