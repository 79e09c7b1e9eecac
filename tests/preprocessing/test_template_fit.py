"""The template's brain on a native grid: where it should be, where it is not, and a cut image."""

from __future__ import annotations

import numpy as np
import pytest

from ctwml_bids.preprocessing.grids import image_on
from ctwml_bids.preprocessing.nine_parameters import compose
from ctwml_bids.preprocessing.template_fit import template_fit
from tests.preprocessing.head_phantom import centred_grid, ellipsoid

AXES = np.array([60.0, 75.0, 55.0])
SCALES, ROTATIONS = (0.9, 0.8, 1.1), (0.1, 0.0, -0.05)
MATRIX = compose(SCALES, (5.0, -3.0, 2.0), ROTATIONS)


def mask(grid, inside):
    return image_on(inside.astype(np.uint8), grid)


@pytest.fixture
def template():
    grid = centred_grid((90, 110, 80), (2, 2, 2))
    return mask(grid, ellipsoid(grid, AXES))


def native(grid):
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    points = index @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    inverse = np.linalg.inv(MATRIX)
    return mask(grid, (((points @ inverse[:3, :3].T + inverse[:3, 3]) / AXES) ** 2).sum(-1) <= 1)


def test_a_true_transform_fits_and_its_parameters_are_told(template):
    brain = native(centred_grid((80, 80, 40), (2, 2, 4)))
    found, facts = template_fit(brain, template, MATRIX)
    assert facts["dice"] > 0.99
    assert facts["scales"] == pytest.approx(SCALES)
    assert facts["rotations_degrees"] == pytest.approx(np.degrees(ROTATIONS), abs=0.06)
    assert found.shape == brain.shape


def test_a_wrong_transform_does_not_fit(template):
    brain = native(centred_grid((80, 80, 40), (2, 2, 4)))
    shifted = MATRIX.copy()
    shifted[0, 3] += 30
    assert template_fit(brain, template, shifted)[1]["dice"] < 0.75


def test_a_brain_that_the_image_cuts_is_no_misfit(template):
    brain = native(centred_grid((80, 80, 14), (2, 2, 4)))
    assert template_fit(brain, template, MATRIX)[1]["dice"] > 0.99
