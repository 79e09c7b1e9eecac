"""Dilation and erosion in mm against SciPy's whole distance transform."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ctwml_bids.preprocessing.distances import dilated, eroded, signed_distance

SPACINGS = [(1.5, 1.5, 1.5), (0.488, 0.488, 5.0), (0.9, 0.9, 1000.0)]


@pytest.fixture(params=["cut by the border", "far from the border", "one voxel"])
def mask(request):
    if request.param == "one voxel":
        return np.pad(np.ones((1, 1, 1), dtype=bool), ((5, 9), (12, 4), (8, 8)))
    noise = np.random.default_rng(4).standard_normal((40, 45, 22))
    smooth = ndimage.gaussian_filter(noise, (3, 3, 1))
    blobs = smooth > smooth.std()
    return blobs if request.param == "cut by the border" else np.pad(blobs, 9)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("distance", [0.4, 3.0, 7.3])
def test_dilation_takes_what_lies_within_a_distance(mask, spacing, distance):
    expected = ndimage.distance_transform_edt(~mask, spacing) <= distance
    np.testing.assert_array_equal(dilated(mask, distance, np.array(spacing)), expected)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("distance", [0.4, 3.0, 7.3])
def test_erosion_keeps_what_lies_deeper_than_a_distance(mask, spacing, distance):
    depth = ndimage.distance_transform_edt(mask, spacing)
    bordered = ndimage.distance_transform_edt(np.pad(mask, 1), spacing)[1:-1, 1:-1, 1:-1]
    steps = np.array(spacing)
    np.testing.assert_array_equal(eroded(mask, distance, steps, beyond=True), depth > distance)
    np.testing.assert_array_equal(eroded(mask, distance, steps), bordered > distance)


def test_how_an_image_is_turned_does_not_decide_what_lies_just_at_the_distance():
    cube = np.pad(np.ones((7, 7, 7), dtype=bool), 4)
    for seed in range(20):
        turn = Rotation.random(rng=np.random.default_rng(seed)).as_matrix().astype(np.float32)
        spacing = np.linalg.norm(turn.astype(float), axis=0)
        assert eroded(cube, 1.0, spacing).sum() == 5**3
        assert dilated(cube, 1.0, spacing).sum() == 7**3 + 6 * 7**2


def test_nothing_stays_nothing_and_all_stays_all():
    nothing, spacing = np.zeros((5, 6, 7), dtype=bool), np.ones(3)
    assert not dilated(nothing, 2.0, spacing).any()
    assert not eroded(nothing, 2.0, spacing).any()
    assert eroded(~nothing, 2.0, spacing, beyond=True).all()


def test_the_signed_distance_has_both_sides(mask):
    spacing = np.array(SPACINGS[1])
    outside, inside = (ndimage.distance_transform_edt(side, spacing) for side in (~mask, mask))
    np.testing.assert_allclose(signed_distance(mask, spacing), outside - inside, atol=1e-5)
