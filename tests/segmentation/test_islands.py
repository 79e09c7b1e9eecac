"""Regions of lesion probability outside the white matter."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.segmentation.islands import outside_white_matter
from ctwml_bids.segmentation.shipped_heads import shipped_grid, white_matter

SHAPE = (12, 12, 6)


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
    found = outside_white_matter(inner + outer, white_half(), 0.35)
    np.testing.assert_array_equal(found, outer > 0)


@pytest.mark.parametrize(("end", "outside"), [(7, False), (9, False), (10, True)])
def test_a_region_that_reaches_into_the_white_matter_is_judged_as_a_whole(end, outside):
    # From x = 4 on: two planes of it in the white matter, of 3, of 5 and of 6.
    region = blob(slice(4, end))
    assert outside_white_matter(region, white_half(), 0.35).any() == outside


def test_probability_counts_and_not_volume():
    # Two strong planes in the white matter, six faint ones beyond it: 1.8 of 2.7.
    region = blob(slice(4, 6)) + blob(slice(6, 12), peak=0.15)
    assert not outside_white_matter(region, white_half(), 0.6).any()
    assert outside_white_matter(region, white_half(), 0.7).any()


def test_regions_that_touch_by_a_corner_are_one():
    probability = np.zeros(SHAPE)
    probability[4:6, 4:6, 2] = probability[6:8, 6:8, 3] = 0.9
    assert not outside_white_matter(probability, white_half(), 0.35).any()


def test_faint_probability_neither_joins_regions_nor_is_taken_away():
    probability = blob(slice(1, 4)) + blob(slice(4, 8), peak=0.09) + blob(slice(8, 11))
    found = outside_white_matter(probability, white_half(), 0.35)
    np.testing.assert_array_equal(found, blob(slice(8, 11)) > 0)


@pytest.mark.parametrize(
    ("where", "mm", "outside"),
    [
        ("centrum semiovale", (-26, -20, 32), False),
        ("frontal cap", (-18, 32, 6), False),
        ("pons", (0, -28, -34), False),
        ("Sylvian fissure", (-44, -15, 8), True),
        ("interhemispheric fissure", (0, 44, 22), True),
        ("trigone", (-28, -50, 8), True),
    ],
)
def test_the_packaged_templates_white_matter_knows_the_brain(where, mm, outside):
    grid = shipped_grid()
    i, j, k = np.round(nib.affines.apply_affine(np.linalg.inv(grid.affine), mm)).astype(int)
    probability = np.zeros(grid.shape)
    probability[i - 3 : i + 4, j - 3 : j + 4, k - 1 : k + 2] = 0.8
    assert outside_white_matter(probability, white_matter(), 0.35).any() == outside, where
