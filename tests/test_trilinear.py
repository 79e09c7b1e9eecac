"""Interpolation in numpy equals scipy's within rounding."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ctwml_bids.trilinear import at_points, nearest_at_points, through_affine

RNG = np.random.default_rng(3)
# Long enough for more than one block of points.
FIELD = RNG.normal(0, 1000, (40, 50, 30)).astype(np.float32)
# Steps of a slice, turned about all axes; the target reaches beyond the field on every side.
MATRIX = Rotation.from_euler("xyz", (7, -4, 12), degrees=True).as_matrix() @ np.diag([0.8, 0.8, 3])
OFFSET, SHAPE = np.array([-3.3, -12.7, -4.1]), (60, 90, 13)


@pytest.mark.parametrize(("fill", "mode"), [(-1000.0, "constant"), (None, "nearest")])
def test_a_turned_grid_gets_what_scipy_gives(fill, mode):
    found = through_affine(FIELD, MATRIX, OFFSET, SHAPE, fill)
    expected = ndimage.affine_transform(
        FIELD, MATRIX, OFFSET, SHAPE, order=1, mode=mode, cval=fill or 0, output=np.float32
    )
    np.testing.assert_allclose(found, expected, atol=1e-3)  # of a field whose SD is 1000
    assert found.dtype == np.float32
    assert 0.2 < (found == -1000).mean() < 0.8 or fill is None


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 1), (4, 1, 3), (2, 2, 2)])
@pytest.mark.parametrize("fill", [7.0, None])
def test_thin_fields_and_their_edges_are_right(shape, fill):
    field = FIELD[tuple(slice(n) for n in shape)]
    mode = "nearest" if fill is None else "constant"
    for matrix, offset in ((np.eye(3), np.full(3, -1.0)), (MATRIX / 4, OFFSET / 9)):
        found = through_affine(field, matrix, offset, (7, 8, 9), fill)
        expected = ndimage.affine_transform(
            field, matrix, offset, (7, 8, 9), order=1, mode=mode, cval=7.0, output=np.float32
        )
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_points_get_what_scipy_gives():
    points = [RNG.uniform(-5, n + 5, (50, 40, 20)).astype(np.float32) for n in FIELD.shape]
    expected = ndimage.map_coordinates(FIELD, points, order=1, mode="nearest")
    np.testing.assert_allclose(at_points(FIELD, points), expected, atol=1e-3)
    labels = (FIELD > 0).astype(np.uint8)
    nearest = nearest_at_points(labels, points)
    assert nearest.dtype == np.uint8
    np.testing.assert_array_equal(
        nearest, ndimage.map_coordinates(labels, points, order=0, mode="nearest")
    )


def test_a_voxels_own_centre_gives_its_value_exactly():
    grid = [part.astype(np.float32) for part in np.indices(FIELD.shape)]
    np.testing.assert_array_equal(at_points(FIELD, grid), FIELD)
    np.testing.assert_array_equal(through_affine(FIELD, np.eye(3), np.zeros(3), FIELD.shape), FIELD)
