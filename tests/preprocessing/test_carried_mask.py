"""A brain mask that reaches into the vault, on a head whose brain is known."""

from __future__ import annotations

import numpy as np
import pytest

from ctwml_bids.preprocessing.carried_mask import carry, without_bone
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on
from tests.preprocessing.head_phantom import BRAIN_AXES, BRAIN_HU, centred_grid, ellipsoid, head


def test_a_mask_is_carried_to_where_the_registration_says():
    mask, grid = np.zeros((10, 10, 10), np.uint8), Grid((10, 10, 10), np.eye(4))
    mask[2:5, 3:6, 4:7] = 1
    shift = np.eye(4)
    shift[:3, 3] = (2, 0, -1)
    expected = np.zeros(grid.shape, bool)
    expected[4:7, 3:6, 3:6] = True
    np.testing.assert_array_equal(carry(image_on(mask, grid), grid, shift), expected)


def test_bone_at_the_surface_goes_and_the_brain_stays():
    ct, brain = head()
    thick = ellipsoid(grid_of(ct), BRAIN_AXES + 4)
    found, facts = without_bone(thick, ct, 140)
    np.testing.assert_array_equal(found, brain)
    rim = (thick.sum() - brain.sum()) * grid_of(ct).voxel_ml
    assert facts["bone_ml"] == facts["removed_ml"] == pytest.approx(rim, abs=0.1)
    assert facts["carried_ml"] == pytest.approx(thick.sum() * grid_of(ct).voxel_ml, abs=0.1)


def test_what_bone_cuts_off_goes_too():
    """Marrow and scalp, which are soft, lie beyond the inner table."""
    ct, brain = head()
    through = ellipsoid(grid_of(ct), BRAIN_AXES + 10)
    found, facts = without_bone(through, ct, 140)
    np.testing.assert_array_equal(found, brain)
    assert facts["removed_ml"] > facts["bone_ml"]


def test_a_calcification_within_the_brain_stays():
    ct, brain = head()
    values = np.asarray(ct.dataobj).copy()
    calcified = ellipsoid(grid_of(ct), np.array([6.0, 6, 6]), (20, 0, 0))
    values[calcified] = 400
    found, facts = without_bone(brain, image_on(values, grid_of(ct)), 140)
    np.testing.assert_array_equal(found, brain)
    assert facts["bone_ml"] > 0
    assert facts["removed_ml"] == 0


def test_bone_where_the_image_ends_goes():
    grid = centred_grid((20, 20, 10), (2, 2, 4))
    values = np.full(grid.shape, BRAIN_HU, np.float32)
    values[:, :, -1] = 900
    found, _ = without_bone(np.ones(grid.shape, bool), image_on(values, grid), 140)
    assert found[:, :, :-1].all()
    assert not found[:, :, -1].any()


@pytest.mark.parametrize("inside", [True, False])
def test_a_mask_that_would_be_left_empty_is_left_alone(inside):
    grid = centred_grid((20, 20, 10), (2, 2, 4))
    mask = np.full(grid.shape, inside)
    found, facts = without_bone(mask, image_on(np.full(grid.shape, 900.0), grid), 140)
    np.testing.assert_array_equal(found, mask)
    assert facts["removed_ml"] == 0
