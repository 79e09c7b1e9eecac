"""Fluid of the ventricles on the network's grid: all of wide ones, nothing of a cap."""

from __future__ import annotations

import numpy as np
import pytest

from ctwml_bids.preprocessing.grids import image_on
from ctwml_bids.preprocessing.ventricular_fluid import ventricular_fluid
from tests.preprocessing.head_phantom import centred_grid, ellipsoid

GRID = centred_grid((120, 140, 30), (1.0, 1.0, 3.0))
# HU of fluid, HU of the tissue beside it, noise (SD).
SCANS = [(5, 30, 2), (2, 30, 4), (9, 28, 3), (13, 32, 4), (5, 18, 3)]


def scan(ventricles, cap, fluid_hu, tissue_hu, cap_hu, noise):
    hu = np.full(GRID.shape, float(tissue_hu))
    hu[cap] = cap_hu
    hu[ventricles & ~cap] = fluid_hu
    return hu + np.random.default_rng(1).normal(0, noise, GRID.shape)


@pytest.mark.parametrize(("fluid_hu", "tissue_hu", "noise"), SCANS)
def test_all_of_a_wide_ventricle_is_fluid(fluid_hu, tissue_hu, noise):
    wide = ellipsoid(GRID, np.array([28.0, 50.0, 25.0]))
    hu = scan(wide, np.zeros_like(wide), fluid_hu, tissue_hu, 0, noise)
    mask = image_on(wide.astype(np.float32), GRID)
    found = ventricular_fluid(hu, mask, np.eye(4), GRID, hounsfield=True)
    assert (found & wide).sum() > 0.99 * wide.sum()
    assert not (found & ~wide).any()


@pytest.mark.parametrize(("fluid_hu", "cap_hu"), [(5, 12), (5, 15), (5, 20), (8, 14), (2, 10)])
def test_a_cap_that_the_ventricle_mask_took_in_stays(fluid_hu, cap_hu):
    ventricle = ellipsoid(GRID, np.array([7.0, 26.0, 12.0]))
    cap = ellipsoid(GRID, np.array([5.0, 5.0, 8.0]), (0, 28, 0))
    hu = scan(ventricle, cap, fluid_hu, 30, cap_hu, 3)
    mask = image_on((ventricle | cap).astype(np.float32), GRID)
    found = ventricular_fluid(hu, mask, np.eye(4), GRID, hounsfield=True)
    assert (found & cap).sum() < 0.1 * cap.sum()
    middle = ellipsoid(GRID, np.array([5.0, 18.0, 9.0]))
    assert (found & middle).sum() > 0.9 * middle.sum()


@pytest.mark.parametrize("scale", [0.8, 0.9, 1.0, 1.1, 1.2])
def test_the_mask_is_carried_from_the_images_own_space(scale):
    to_native = np.diag([scale, scale, scale, 1.0])
    to_native[:3, 3] = 4, -6, 2
    native = centred_grid((200, 220, 90), (1.0, 1.0, 2.0))
    ventricle = ellipsoid(native, np.array([15.0, 30.0, 15.0]), (4, -6, 2))
    mask = image_on(ventricle.astype(np.float32), native)
    found = ventricular_fluid(np.zeros(GRID.shape), mask, to_native, GRID, hounsfield=False)
    wanted = ellipsoid(GRID, np.array([15.0, 30.0, 15.0]) / scale)
    assert 2 * (found & wanted).sum() / (found.sum() + wanted.sum()) > 0.95


def test_no_ventricles_no_fluid():
    mask = image_on(np.zeros(GRID.shape, np.float32), GRID)
    for hounsfield in (True, False):
        assert not ventricular_fluid(
            np.zeros(GRID.shape), mask, np.eye(4), GRID, hounsfield=hounsfield
        ).any()
