"""Real FLAIR images with expert masks as training heads."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.errors import NoInputError
from model_making import real_heads, shipped_heads


def test_an_expert_mask_keeps_its_volume_and_lies_on_bright_tissue(bids_real, tmp_path):
    real_heads.make_real_heads(bids_real, tmp_path, ["mb105465"], poses=2)
    heads = shipped_heads.load_heads(tmp_path, "flair")
    assert [volume.name for volume, _ in heads] == [
        "real-mb105465_pose-0_flair",
        "real-mb105465_pose-1_flair",
    ]
    path = next((bids_real / "derivatives/reference/sub-mb105465").rglob("*label-WMH*.nii.gz"))
    mask = nib.load(path)
    voxel_ml = abs(np.linalg.det(mask.affine[:3, :3])) / 1000
    reference_ml = (np.asarray(mask.dataobj) > 0).sum() * voxel_ml
    for volume, facts in heads:
        lesions = np.asarray(volume.labels) > 0
        assert lesions.sum() * facts["grid_voxel_ml"] == pytest.approx(reference_ml, rel=0.15)
        zscore = np.asarray(volume.channels[0], dtype=np.float32)
        assert np.median(zscore[lesions]) > 1.5


def test_test_subjects_and_missing_masks_are_refused(bids_real, tmp_path):
    with pytest.raises(NoInputError, match="sub-sr01"):
        real_heads.make_real_heads(bids_real, tmp_path, ["sr01"])
    with pytest.raises(NoInputError, match="lj07_FLAIR"):
        real_heads.make_real_heads(tmp_path, tmp_path, ["lj07"])
