"""Heads for the shipped models: through the program's own functions, with its inexactness."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.errors import NoInputError
from ctwml_bids.preprocessing.carried_mask import carry
from ctwml_bids.preprocessing.ct_brain import ct_mask
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on
from ctwml_bids.preprocessing.orthonormal import orthonormal
from model_making import shipped_heads

SMALL = Grid((40, 48, 14), np.diag([4.0, 4.0, 12.0, 1.0]))


def _ball(radius_mm: float) -> np.ndarray:
    centre = (np.asarray(SMALL.shape) - 1) / 2
    index = np.indices(SMALL.shape).transpose(1, 2, 3, 0)
    return np.linalg.norm((index - centre) * SMALL.spacing, axis=-1) < radius_mm


def test_pose_errors_are_of_the_stated_size_at_the_brains_surface():
    centre = nib.affines.apply_affine(SMALL.affine, (np.asarray(SMALL.shape) - 1) / 2)
    errors = [shipped_heads.pose_error(np.random.default_rng(i), SMALL) for i in range(50)]
    shifts = [np.abs(nib.affines.apply_affine(e, centre) - centre).max() for e in errors]
    assert max(shifts) <= 4.0
    assert max(shifts) > 3.0
    scales = [abs(np.linalg.det(e[:3, :3])) ** (1 / 3) for e in errors]
    assert 0.97 <= min(scales) < max(scales) <= 1.03


def test_disturbed_mask_stays_near_the_true_one_and_differs_each_time():
    brain = _ball(70.0).astype(np.float32)
    masks = [
        shipped_heads.disturb_mask(np.random.default_rng(i), brain, SMALL.spacing) for i in range(6)
    ]
    ratios = [mask.sum() / brain.sum() for mask in masks]
    # ±1.5 mm of a 70 mm ball is ±6.6% of its volume.
    assert all(0.9 < ratio < 1.1 for ratio in ratios)
    assert max(ratios) - min(ratios) > 0.02
    dice = [2 * (m & (brain > 0)).sum() / (m.sum() + brain.sum()) for m in masks]
    assert min(dice) > 0.93
    assert max(dice) < 1.0


def test_truth_stays_on_the_image_through_the_pose_error():
    lesion, brain = _ball(20.0), _ball(75.0)
    image = np.where(brain, np.where(lesion, 18.0, 32.0), -1000.0).astype(np.float32)
    head = shipped_heads.on_grid(
        np.random.default_rng(3),
        image_on(image, SMALL),
        image_on(lesion.astype(np.uint8), SMALL),
        image_on(brain.astype(np.uint8), SMALL),
        np.eye(4),
        SMALL,
        "ct",
    )
    core = head.lesions > 0.999
    assert core.sum() > 50
    np.testing.assert_allclose(head.image[core], 18.0, atol=0.1)
    assert head.voxel_ml == pytest.approx(SMALL.voxel_ml, rel=0.1)


def test_a_mask_that_is_carried_onto_bone_is_freed_of_it_as_in_the_program(wide_pair):
    upwards = np.eye(4)
    upwards[2, 3] = 8.0
    pair = replace(wide_pair, flair_to_ct=upwards @ wide_pair.flair_to_ct)
    masks = shipped_heads.found_masks(pair)
    on_ct = masks[shipped_heads.CT_OWN], masks[shipped_heads.CT_CARRIED]
    own, carried = (np.asarray(mask.dataobj) > 0 for mask in on_ct)
    np.testing.assert_allclose(on_ct[1].affine, on_ct[0].affine)
    ct = orthonormal(pair.ct, -1000.0)
    hu = np.asarray(ct.dataobj)
    before = carry(masks[shipped_heads.FLAIR_OWN], grid_of(ct), pair.flair_to_ct)
    bone = hu >= ct_mask(ct).facts["bone_threshold_hu"]
    assert (before & bone).sum() > 0.02 * before.sum()
    assert (carried & bone).sum() < 0.002 * carried.sum()
    assert not (carried & ~before).any()
    assert 2 * (own & carried).sum() / (own.sum() + carried.sum()) > 0.85


def test_heads_on_disk_return_in_the_networks_axes(tmp_path):
    channels = np.random.default_rng(0).normal(size=(2, 5, 6, 7)).astype(np.float16)
    labels = (channels[0] > 1).astype(np.uint8)
    shipped_heads.save_head(tmp_path, "head-000001_pose-0_ct", channels, labels, {"age": 70})
    ((volume, facts),) = shipped_heads.load_heads(tmp_path, "ct")
    np.testing.assert_array_equal(volume.channels, channels)
    np.testing.assert_array_equal(volume.labels, labels)
    assert facts == {"age": 70}
    with pytest.raises(NoInputError, match="flair"):
        shipped_heads.load_heads(tmp_path, "flair")


def test_shipped_grid_suits_the_network():
    grid = shipped_heads.shipped_grid()
    assert grid.shape[0] % 8 == grid.shape[1] % 8 == 0
    np.testing.assert_allclose(grid.spacing, (1, 1, 3))
