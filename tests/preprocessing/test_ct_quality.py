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
    no_fluid = image_on(np.zeros(grid.shape, np.uint8), grid)
    mask = image_on(brain.astype(np.uint8), grid)
    return ct_quality(image_on(data, grid), mask, no_fluid, np.eye(4))


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
