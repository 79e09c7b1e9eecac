from __future__ import annotations

import numpy as np
import pytest

from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing.ct_brain import ct_mask
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on
from tests.preprocessing.head_phantom import centred_grid, head


def dice(a, b):
    a, b = np.asarray(a) > 0, np.asarray(b) > 0
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.fixture(scope="module")
def phantom():
    return head()


def test_brain_of_a_phantom_is_found(phantom):
    image, brain = phantom
    found = ct_mask(image)
    assert dice(found.mask.dataobj, brain) > 0.97
    assert found.facts["already_extracted"] is False
    assert found.facts["brain_ml"] == pytest.approx(4 / 3 * np.pi * 65 * 80 * 62 / 1000, rel=0.05)


@pytest.mark.parametrize("window", [(-20, 100), (0, 80)])
def test_a_brain_window_gives_the_same_mask(phantom, window):
    image, brain = phantom
    clipped = image_on(np.clip(np.asarray(image.dataobj), *window), grid_of(image))
    assert dice(ct_mask(clipped).mask.dataobj, brain) > 0.97


def test_missing_vertex_and_missing_base_are_no_obstacle(phantom):
    image, brain = phantom
    data, grid = np.asarray(image.dataobj), grid_of(image)
    lower = image_on(data[..., :26].copy(), Grid((*grid.shape[:2], 26), grid.affine))
    assert dice(ct_mask(lower).mask.dataobj, brain[..., :26]) > 0.96
    affine = grid.affine.copy()
    affine[:3, 3] += 14 * affine[:3, 2]
    upper = image_on(data[..., 14:].copy(), Grid((*grid.shape[:2], 26), affine))
    assert dice(ct_mask(upper).mask.dataobj, brain[..., 14:]) > 0.96


def test_brain_extracted_ct_is_kept(phantom):
    image, brain = phantom
    stripped = np.where(brain, np.asarray(image.dataobj), 0).astype(np.float32)
    found = ct_mask(image_on(stripped, grid_of(image)))
    assert found.facts["already_extracted"] is True
    assert dice(found.mask.dataobj, brain) > 0.99


def test_a_water_bottle_is_no_head():
    grid = centred_grid((80, 80, 30), (2, 2, 5))
    data = np.full(grid.shape, -1000, np.float32)
    data[20:60, 20:60] = 0
    data += np.random.default_rng(0).normal(0, 5, grid.shape).astype(np.float32)
    with pytest.raises(BadDataError, match="no brain found"):
        ct_mask(image_on(data, grid))


@pytest.mark.parametrize(
    ("subject", "low", "high"), [("sub-ge01", 1200, 1500), ("sub-dv01", 1200, 1550)]
)
def test_real_heads_have_a_plausible_brain(real_brain, subject, low, high):
    image, found = real_brain(subject, 1.0)
    data = np.asarray(image.dataobj)
    inside = np.asarray(found.mask.dataobj) > 0
    assert low < found.facts["brain_ml"] < high
    assert (data[inside] > 300).mean() < 0.005
    assert (data[inside] < -50).mean() < 0.003
    assert not inside[:, :, 0].any()


def test_noise_and_turning_the_head_change_little(real_brain):
    image, brain = real_brain("sub-dv01", 2.0)
    data, grid = np.asarray(image.dataobj), grid_of(image)
    noisy = data + np.random.default_rng(0).normal(0, 20, data.shape).astype(np.float32)
    turn = np.eye(4)
    angle = np.radians(15)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turned = Grid(grid.shape, turn @ grid.affine)
    assert dice(ct_mask(image_on(noisy, turned)).mask.dataobj, brain.mask.dataobj) > 0.97
