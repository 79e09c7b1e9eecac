from __future__ import annotations

import numpy as np
import pytest

from ctwml_bids.preprocessing.ct_quality import ct_quality
from ctwml_bids.preprocessing.grids import grid_of, image_on
from tests.preprocessing.head_phantom import ellipsoid, head


@pytest.fixture(scope="module")
def phantom():
    return head(noise=4.0)


def measured(image, data, brain):
    grid = grid_of(image)
    return ct_quality(image_on(data, grid), image_on(brain.astype(np.uint8), grid))


def test_normal_brain_has_nothing_to_flag(phantom):
    image, brain = phantom
    facts = measured(image, np.asarray(image.dataobj), brain)
    assert facts["tissue_hu"] == pytest.approx(32, abs=0.5)
    assert facts["noise_hu"] == pytest.approx(4, rel=0.05)
    assert facts["bright_ml"] == facts["dark_region_ml"] == 0


def test_blood_is_measured_in_ml(phantom):
    image, brain = phantom
    clot = ellipsoid(grid_of(image), np.full(3, 14.0))
    facts = measured(image, np.where(clot, 75, np.asarray(image.dataobj)), brain)
    assert facts["bright_ml"] == pytest.approx(4 / 3 * np.pi * 14**3 / 1000, rel=0.3)


def test_cortical_infarct_is_flagged_and_a_deep_dark_region_is_not(phantom):
    image, brain = phantom
    grid, data = grid_of(image), np.asarray(image.dataobj)
    wedge = ellipsoid(grid, np.full(3, 20.0), (50.0, 0.0, 0.0)) & brain
    true_ml = wedge.sum() * grid.voxel_ml
    facts = measured(image, np.where(wedge, 14, data), brain)
    assert facts["dark_region_ml"] == pytest.approx(true_ml, rel=0.35)
    deep = ellipsoid(grid, np.full(3, 12.0))
    assert measured(image, np.where(deep, 14, data), brain)["dark_region_ml"] == 0
