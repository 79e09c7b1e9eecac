"""Regions of lesion probability outside the white matter."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.segmentation import islands
from model_making.shipped_heads import shipped_grid, white_matter

SHAPE = (12, 12, 6)


def outside(probability: np.ndarray, white_matter: np.ndarray, share: float) -> np.ndarray:
    """Islands of a grid of 3 mm³ voxels, at a threshold of 0.5."""
    return islands.outside_white_matter(
        probability, white_matter, share=share, threshold=0.5, voxel_ml=0.003
    )


def white_half() -> np.ndarray:
    """White matter in the half of smaller x."""
    half = np.zeros(SHAPE)
    half[:6] = 1
    return half


def blob(x: slice, peak: float = 0.9) -> np.ndarray:
    """A region of one probability along x, in the middle of the others."""
    probability = np.zeros(SHAPE)
    probability[x, 4:7, 2:4] = peak
    return probability


def test_a_region_in_the_white_matter_stays_and_one_beyond_it_is_outside():
    inner, outer = blob(slice(1, 4)), blob(slice(8, 11))
    found = outside(inner + outer, white_half(), 0.35)
    np.testing.assert_array_equal(found, outer > 0)


@pytest.mark.parametrize(("end", "is_outside"), [(7, False), (9, False), (10, True)])
def test_a_region_that_reaches_into_the_white_matter_is_judged_as_a_whole(end, is_outside):
    # From x = 4 on: two planes of it in the white matter, of 3, of 5 and of 6.
    region = blob(slice(4, end))
    assert outside(region, white_half(), 0.35).any() == is_outside


def test_probability_counts_and_not_volume():
    # Two strong planes in the white matter, six faint ones beyond it: 1.8 of 2.7.
    region = blob(slice(4, 6)) + blob(slice(6, 12), peak=0.15)
    assert not outside(region, white_half(), 0.6).any()
    assert outside(region, white_half(), 0.7).any()


def test_regions_that_touch_by_a_corner_are_one():
    probability = np.zeros(SHAPE)
    probability[4:6, 4:6, 2] = probability[6:8, 6:8, 3] = 0.9
    assert not outside(probability, white_half(), 0.35).any()


def test_what_marks_more_than_an_island_stays():
    white_matter = np.zeros((20, 20, 20))
    probability = np.zeros((20, 20, 20))
    probability[:10, :10, :5] = 0.9  # 500 voxels, 1.5 mL
    assert not outside(probability, white_matter, 0.35).any()
    probability[0, 0, 0] = 0.4
    np.testing.assert_array_equal(outside(probability, white_matter, 0.35), probability > 0)


def test_nothing_is_outside_where_nothing_is_found():
    assert not outside(np.zeros(SHAPE), white_half(), 0.35).any()


def test_faint_probability_neither_joins_regions_nor_is_taken_away():
    probability = blob(slice(1, 4)) + blob(slice(4, 8), peak=0.09) + blob(slice(8, 11))
    found = outside(probability, white_half(), 0.35)
    np.testing.assert_array_equal(found, blob(slice(8, 11)) > 0)


@pytest.mark.parametrize(
    ("where", "mm", "is_outside"),
    [
        ("centrum semiovale", (-26, -20, 32), False),
        ("frontal cap", (-18, 32, 6), False),
        ("pons", (0, -28, -34), False),
        ("Sylvian fissure", (-44, -15, 8), True),
        ("interhemispheric fissure", (0, 44, 22), True),
        ("beside the trigone", (-30, -54, 5), False),
        ("above the trigone", (-27, -48, 12), False),
        ("beside the temporal horn", (33, -38, -6), False),
    ],
)
def test_the_packaged_templates_white_matter_knows_the_brain(where, mm, is_outside):
    grid = shipped_grid()
    i, j, k = np.round(nib.affines.apply_affine(np.linalg.inv(grid.affine), mm)).astype(int)
    probability = np.zeros(grid.shape)
    probability[i - 3 : i + 4, j - 3 : j + 4, k - 1 : k + 2] = 0.8
    assert outside(probability, white_matter(), 0.35).any() == is_outside, where
