"""Grids, and resampling from one onto another."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on, resample


def sheared(spacing, shear):
    affine = np.diag([*spacing, 1.0])
    affine[1, 2] = shear
    return affine


def test_the_volume_of_a_sheared_voxel_is_that_of_the_upright_one():
    grid = Grid((4, 4, 4), sheared((0.5, 0.5, 5.0), 1.7))
    assert grid.voxel_ml == pytest.approx(0.5 * 0.5 * 5.0 / 1000)


def test_resampling_onto_the_own_grid_changes_nothing():
    array = np.random.default_rng(0).normal(size=(7, 5, 6)).astype(np.float32)
    affine = np.array(
        [[-0.43, 0, 0, 91.7], [0, 0.43, 0.1, -55.3], [0, -0.05, 6.1, 17.9], [0, 0, 0, 1]]
    )
    grid = Grid(array.shape, affine)
    np.testing.assert_allclose(resample(array, affine, grid), array, atol=1e-5)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, -1), (-1, -1, -1)])
def test_resampling_onto_reordered_axes_only_moves_voxels(axes, flips):
    array = np.random.default_rng(1).normal(size=(5, 6, 7)).astype(np.float32)
    affine = np.array(
        [[-0.43, 0, 0, 91.7], [0, 0.43, 0.1, -55.3], [0, -0.05, 6.1, 17.9], [0, 0, 0, 1]]
    )
    orientation = np.array([[axes.index(a), flips[a]] for a in range(3)], dtype=float)
    turned = nib.Nifti1Image(array, affine).as_reoriented(orientation)
    carried = resample(array, affine, grid_of(turned))
    np.testing.assert_array_equal(carried, np.asarray(turned.dataobj))
    assert not np.shares_memory(carried, array)


def test_half_a_voxel_around_the_outer_centres_belongs_to_the_image():
    array = np.full((4, 4, 4), 7.0, np.float32)
    thin = Grid(
        (4, 4, 40), np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0.1, -0.45], [0, 0, 0, 1]])
    )
    np.testing.assert_array_equal(resample(array, np.eye(4), thin, fill=-1000.0), 7)
    slab = Grid(
        (4, 4, 1), np.diag([1, 1, 4.0, 1]) + np.array([[0] * 4] * 2 + [[0, 0, 0, 1.5], [0] * 4])
    )
    np.testing.assert_array_equal(resample(array, np.eye(4), slab, fill=-9.0, average=True), 7)


def test_rounding_of_a_shifted_origin_does_not_blank_the_outer_slices():
    array = np.ones((6, 6, 6), np.float32)
    affine = np.diag([0.1, 0.1, 0.3, 1.0])
    affine[:3, 3] = (-0.7, 0.1, 1.1)
    moved = np.eye(4)
    moved[:3, 3] = (0.1 + 0.2, 0.0, 0.0)
    target = Grid(array.shape, moved @ affine)
    carried = resample(array, affine, target, np.linalg.inv(moved))
    np.testing.assert_array_equal(carried, 1)


def test_voxels_beyond_the_image_are_filled():
    array = np.ones((4, 4, 4), np.float32)
    grid = Grid((8, 4, 4), np.eye(4))
    carried = resample(array, np.eye(4), grid, fill=-1000.0)
    np.testing.assert_array_equal(carried[:4], 1)
    np.testing.assert_array_equal(carried[4:], -1000)


def test_averaging_takes_the_mean_of_thin_slices_over_a_thick_one():
    array = np.zeros((2, 2, 12), np.float32)
    array[:, :, 4] = 6.0
    affine = np.eye(4)
    thick = Grid(
        (2, 2, 4),
        np.diag([1.0, 1.0, 3.0, 1.0]) + np.array([[0] * 4, [0] * 4, [0, 0, 0, 1], [0] * 4]),
    )
    carried = resample(array, affine, thick, average=True)
    np.testing.assert_allclose(carried[0, 0], [0, 2, 0, 0], atol=1e-5)


def test_an_image_on_a_sheared_grid_states_it_in_the_sform_alone():
    image = image_on(np.zeros((3, 3, 3), np.float32), Grid((3, 3, 3), sheared((1, 1, 2), 0.6)))
    assert int(image.header["sform_code"]) == 1
    assert int(image.header["qform_code"]) == 0
    np.testing.assert_allclose(grid_of(image).affine, sheared((1, 1, 2), 0.6))


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("steps", [(2.3, 3.0, 1.0), (0.7, 0.5, 0.3), (2.0, 1.0, 0.2)])
def test_grids_with_the_same_axes_are_resampled_as_points_one_by_one_would_be(steps, average):
    array = np.random.default_rng(3).normal(size=(12, 9, 8)).astype(np.float32)
    affine = np.array(
        [[-0.43, 0, 0, 91.7], [0, 0.42, 0.1, -55.3], [0, -0.05, 5.1, 17.9], [0, 0, 0, 1]]
    )
    swapped = np.array([[0, 1, 0, 0], [-1, 0, 0, 10], [0, 0, 1, 0.3], [0, 0, 0, 1]], dtype=float)
    grid = Grid((8, 10, 14), affine @ swapped @ np.diag([*steps, 1.0]))
    counts = [max(int(np.ceil(step - 0.25)), 1) if average else 1 for step in steps]
    total = np.zeros(grid.shape)
    for index in np.ndindex(*counts):
        shift = (np.array(index) + 0.5) / counts - 0.5
        targets = np.indices(grid.shape).reshape(3, -1) + shift[:, None]
        at = swapped[:3, :3] @ (np.array(steps)[:, None] * targets) + swapped[:3, 3:]
        values = ndimage.map_coordinates(array, at, order=1, mode="nearest", output=float)
        size = np.array(array.shape)[:, None]
        values[((at < -0.5) | (at > size - 0.5)).any(axis=0)] = -7
        total += values.reshape(grid.shape) / np.prod(counts)
    assert (total == -7).any()
    carried = resample(array, affine, grid, fill=-7.0, average=average)
    np.testing.assert_allclose(carried, total, atol=1e-5)


@pytest.mark.parametrize("average", [False, True])
def test_a_wide_grid_askew_is_resampled_as_points_one_by_one_would_be(average):
    array = np.random.default_rng(3).normal(50, 5, (9, 8, 6)).astype(np.float32)
    # The fill itself lies around what is there, on some sides as far as the image goes.
    array[:2] = array[:, :, 4:] = -7
    affine = np.eye(4)
    turned = Rotation.from_euler("zyx", [20, -10, 15], degrees=True).as_matrix()
    affine[:3, :3], affine[:3, 3] = turned * 1.1, [40, 35, 20]
    grid = Grid((90, 80, 50), np.diag([1.0, 1.0, 2.5, 1.0]))
    voxel_map = np.linalg.inv(affine) @ grid.affine
    shares = (-0.25, 0.25) if average else (0,)
    total = np.zeros(grid.shape)
    for share in shares:
        targets = np.indices(grid.shape).reshape(3, -1) + np.array([[0], [0], [share]])
        at = voxel_map[:3, :3] @ targets + voxel_map[:3, 3:]
        values = ndimage.map_coordinates(array, at, order=1, mode="nearest", output=float)
        size = np.array(array.shape)[:, None]
        values[((at < -0.5) | (at > size - 0.5)).any(axis=0)] = -7
        total += values.reshape(grid.shape) / len(shares)
    assert 60 < (total != -7).sum() < 400
    np.testing.assert_allclose(
        resample(array, affine, grid, fill=-7.0, average=average), total, atol=1e-4
    )


def test_an_image_of_nothing_but_the_fill_stays_that():
    turned = np.eye(4)
    turned[:3, :3] = Rotation.from_euler("zyx", [20, -10, 15], degrees=True).as_matrix()
    grid = Grid((7, 6, 5), np.eye(4))
    assert (resample(np.full((9, 8, 6), 3.0), turned, grid, fill=3.0) == 3.0).all()
