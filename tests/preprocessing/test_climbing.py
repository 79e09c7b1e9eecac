from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from ctwml_bids.preprocessing.climbing import climbed, maximised
from ctwml_bids.preprocessing.grids import Grid, image_on, resample
from ctwml_bids.preprocessing.nine_parameters import compose
from ctwml_bids.preprocessing.similarity import Similarity


@pytest.fixture(scope="module")
def blobs():
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = -45
    noise = np.random.default_rng(3).random((32, 32, 32))
    return image_on(
        ndimage.gaussian_filter(noise, 2.5).astype(np.float32), Grid(noise.shape, affine)
    )


def seen_through(image, matrix):
    """Image whose points lie at `matrix` of the first one's."""
    grid = Grid(image.shape, image.affine)
    return image_on(resample(image.get_fdata(), image.affine, grid, np.linalg.inv(matrix)), grid)


def inner_error(matrix, true):
    corners = 20.0 * (np.array([*np.ndindex(2, 2, 2)]) - 0.5)
    points = np.c_[corners, np.ones(8)].T
    return np.linalg.norm(((matrix - true) @ points)[:3], axis=0).max()


def test_a_rigid_pose_is_found_from_a_start_some_millimetres_off(blobs):
    true = compose([1, 1, 1], [2.5, -1.5, 1.0], [0.03, -0.02, 0.04])
    similarity = Similarity(blobs, seen_through(blobs, true))
    found, scales = climbed(similarity, np.eye(4), evaluations=400)
    assert inner_error(np.eye(4), true) > 2
    assert inner_error(found, true) < 1.0
    np.testing.assert_allclose(found[:3, :3] @ found[:3, :3].T, np.eye(3), atol=1e-12)
    assert scales.tolist() == [1, 1, 1]


def test_scales_are_found_where_they_are_free(blobs):
    true = compose([1.06, 1.0, 0.95], [0, 0, 0], [0, 0, 0])
    found, scales = climbed(
        Similarity(blobs, seen_through(blobs, true)), np.eye(4), evaluations=600, scaled=True
    )
    np.testing.assert_allclose(scales, [1.06, 1.0, 0.95], atol=0.025)
    assert inner_error(found, true) < 1.0


def test_the_highest_point_is_found_in_the_units_of_the_parameters():
    peak = np.array([3.0, -0.02])
    value, where = maximised(
        lambda p: -float((((p - peak) / [1.0, 0.01]) ** 2).sum()),
        np.zeros(2),
        np.array([1.0, 0.01]),
        evaluations=300,
    )
    np.testing.assert_allclose(where, peak, rtol=0.02)
    assert value == pytest.approx(0, abs=1e-2)
