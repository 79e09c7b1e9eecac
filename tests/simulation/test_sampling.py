"""Sampling of fields against SciPy's interpolation at every point of the whole grid."""

import numpy as np
import pytest
from nibabel.affines import apply_affine
from scipy import ndimage

from ctwml_bids.simulation import canonical
from ctwml_bids.simulation.fields import coarse_shape, upsample
from ctwml_bids.simulation.sampling import Scan, pose, take

SHAPE = (31, 26, 17)


@pytest.mark.parametrize("step", [1.5, 2.0, 4.0, 60.0])
def test_a_coarse_field_is_interpolated_and_goes_on_beyond_its_last_point(step):
    coarse = np.random.default_rng(1).standard_normal(coarse_shape(SHAPE, step))
    points = np.meshgrid(*(np.arange(n) / step for n in SHAPE), indexing="ij")
    expected = ndimage.map_coordinates(coarse, points, order=1, mode="nearest")
    np.testing.assert_allclose(upsample(coarse, SHAPE, step), expected, atol=1e-5)


@pytest.mark.parametrize("start", [(60, 70, 80), (20, 30, 40)])
@pytest.mark.parametrize("fill", [0.0, -1000.0])
def test_a_slice_averages_the_field_over_its_thickness(start, fill):
    rng = np.random.default_rng(2)
    field = ndimage.gaussian_filter(rng.standard_normal((40, 45, 30)), 2).astype(np.float32)
    matrix = pose(rng, np.array([1.05, 0.95, 1.1]), 8.0, 5.0)
    affine = np.diag([2.0, 2.0, 4.0, 1.0])
    affine[:3, 3] = canonical.ORIGIN + np.array([30, 40, 50])
    # Thicker than the slices are apart: neighbours share some of the head.
    scan = Scan((50, 45, 20), affine, 5.5)
    indices = np.stack(np.meshgrid(*map(np.arange, scan.shape), indexing="ij"), axis=-1)
    expected = np.zeros(scan.shape)
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        native = apply_affine(affine, indices + np.array([0, 0, 5.5 / 4.0 * (share - 0.5)]))
        template = apply_affine(np.linalg.inv(matrix), native)
        points = np.moveaxis(template - canonical.ORIGIN - start, -1, 0)
        expected += ndimage.map_coordinates(field, points, order=1, cval=fill) / 5
    taken = take(field, start, matrix, scan, fill=fill)
    assert (taken != fill).mean() > 0.01
    np.testing.assert_allclose(taken, expected, atol=2e-3 if fill else 1e-5)


def test_slices_thicker_than_they_are_apart_average_over_their_whole_thickness():
    z = np.arange(60, dtype=np.float32)
    field = np.broadcast_to((z - 30) ** 2, (30, 30, 60)).astype(np.float32)
    affine = np.diag([1.0, 1.0, 0.6, 1.0])
    affine[:3, 3] = canonical.ORIGIN + np.array([8, 8, 21])
    taken = take(field, (0, 0, 0), np.eye(4), Scan((12, 12, 40), affine, 3.0), finest=0.8)
    at = 21 + 0.6 * np.arange(40)
    # The mean of a square over a thickness is the square at its centre and a twelfth of its own;
    # samples and voxels of a millimetre are off by up to a third.
    np.testing.assert_allclose(taken[5, 5], (at - 30) ** 2 + 3.0**2 / 12, atol=0.4)
