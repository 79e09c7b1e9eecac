from __future__ import annotations

import numpy as np
import pytest

from ctwml_bids.preprocessing.thick_fluid import thick_fluid
from tests.preprocessing.head_phantom import centred_grid, ellipsoid

SPACINGS = [(1.0, 1.0, 1.0), (0.9, 0.9, 4.5), (1.2, 1.2, 2.5), (0.8, 0.8, 5.0), (2.0, 1.0, 1.0)]


def space(spacing, axes, centre=(0.0, 0.0, 0.0)):
    """A grid of 120 × 120 × 80 mm, and an ellipsoid of fluid in it."""
    grid = centred_grid(
        [round(n / step) for n, step in zip((120, 120, 80), spacing, strict=True)], spacing
    )
    return grid, ellipsoid(grid, np.array(axes), centre)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_what_is_thick_is_taken_far_beyond_where_it_is_expected_despite_noise(spacing):
    grid, fluid = space(spacing, (25.0, 45.0, 25.0))
    near = ellipsoid(grid, np.array([6.0, 6.0, 6.0]))
    noisy = fluid & (np.random.default_rng(0).random(fluid.shape) > 0.1)
    found = thick_fluid(noisy, near, grid.spacing)
    assert (found & fluid).sum() > 0.85 * fluid.sum()
    assert (found & ~fluid).sum() < 0.03 * fluid.sum()


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_wide_sulcus_is_not_thick(spacing):
    grid, fluid = space(spacing, (50.0, 50.0, 5.0))
    assert not thick_fluid(fluid, fluid, grid.spacing).any()


@pytest.mark.parametrize("spacing", SPACINGS)
def test_it_does_not_leak_through_what_is_narrow(spacing):
    grid, ventricle = space(spacing, (16.0, 20.0, 16.0), (-30.0, 0.0, 0.0))
    cyst = ellipsoid(grid, np.array([16.0, 20.0, 16.0]), (30.0, 0.0, 0.0))
    bridge = ellipsoid(grid, np.array([50.0, 4.0, 4.0]))
    found = thick_fluid(ventricle | cyst | bridge, ventricle, grid.spacing)
    assert (found & ventricle).sum() > 0.9 * ventricle.sum()
    assert not (found & cyst).any()
