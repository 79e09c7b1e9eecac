"""Which of the masks in a folder is a unit's, and on which image it lies."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.errors import InvalidInputError
from ctwml_bids.training.manual_masks import INFARCT_NAMES, find_mask


def write(path, shape=(4, 4, 4), shift=0.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.eye(4)
    affine[0, 3] = shift
    nib.Nifti1Image(np.ones(shape, np.uint8), affine).to_filename(path)
    return path


@pytest.fixture
def images(tmp_path):
    return {
        "ct": write(tmp_path / "bids/ct.nii.gz"),
        "flair": write(tmp_path / "bids/flair.nii.gz", shift=7.0),
    }


def test_the_mask_on_the_preferred_image_comes_first(tmp_path, images):
    for space in ("CT", "FLAIR"):
        write(tmp_path / f"m/sub-1/anat/sub-1_space-{space}_label-WML_mask.nii.gz")
    for prefer in ("ct", "flair"):
        path, space = find_mask(tmp_path / "m", "1", None, images, prefer=prefer)
        assert space == prefer
        assert f"space-{prefer.upper()}" in path.name


def test_without_a_space_the_grid_says_where_it_lies(tmp_path, images):
    path = write(tmp_path / "m/sub-1/anat/sub-1_label-lesion_mask.nii.gz", shift=7.0)
    assert find_mask(tmp_path / "m", "1", None, images, prefer="ct") == (path, "flair")
    write(path, shape=(5, 5, 5))
    with pytest.raises(InvalidInputError, match="name it with space-CT or space-FLAIR"):
        find_mask(tmp_path / "m", "1", None, images, prefer="ct")


def test_a_second_rater_and_other_masks_are_passed_over(tmp_path, images):
    folder = tmp_path / "m/sub-1/ses-a/anat"
    for name in ("space-CT_desc-brain", "space-CT_label-WML_desc-rater2", "space-CT_label-WML"):
        write(folder / f"sub-1_ses-a_{name}_mask.nii")
    path, _ = find_mask(tmp_path / "m", "1", "a", images, prefer="ct")
    assert path.name == "sub-1_ses-a_space-CT_label-WML_mask.nii"
    assert find_mask(tmp_path / "m", "1", "b", images, prefer="ct") is None
    # A subject without sessions does not take the masks of one.
    assert find_mask(tmp_path / "m", "1", None, images, prefer="ct") is None


def test_a_mask_of_infarcts_is_none_of_wml_and_is_found_by_its_own_name(tmp_path, images):
    path = write(tmp_path / "m/sub-1/anat/sub-1_space-CT_label-infarct_mask.nii.gz")
    assert find_mask(tmp_path / "m", "1", None, images, prefer="ct") is None
    found = find_mask(tmp_path / "m", "1", None, images, prefer="flair", called=INFARCT_NAMES)
    assert found == (path, "ct")


def test_masks_that_are_equally_good_are_named(tmp_path, images):
    for desc in ("one", "two"):
        write(tmp_path / f"m/sub-1/sub-1_space-CT_label-WML_desc-{desc}_mask.nii.gz")
    with pytest.raises(InvalidInputError, match=r"desc-one_mask\.nii\.gz, .*desc-two_mask"):
        find_mask(tmp_path / "m", "1", None, images, prefer="ct")
