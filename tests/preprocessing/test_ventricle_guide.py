from __future__ import annotations

import numpy as np

from ctwml_bids.preprocessing.grids import Grid, image_on
from ctwml_bids.preprocessing.ventricle_guide import carried, in_boxes

FINE = Grid((40, 40, 40), np.diag([1.0, 1.0, 1.0, 1.0]))


def test_a_voxel_of_a_thick_slice_is_ventricle_where_more_than_half_of_it_is():
    mask = np.zeros(FINE.shape, np.float32)
    mask[10:20, 10:20, 11:14] = 1  # 3 mm of the 5 mm slab from 9.5 to 14.5 mm
    mask[25:30, 10:20, 12] = 1  # 1 mm of it, right at its centre
    affine = np.diag([1.0, 1.0, 5.0, 1.0])
    affine[2, 3] = 2.0
    found = carried(image_on(mask, FINE), np.eye(4), Grid((40, 40, 8), affine))
    assert found[15, 15].tolist() == [False, False, True, False, False, False, False, False]
    assert not found[27, 15].any()


def test_it_is_carried_to_where_the_head_lies():
    mask = np.zeros(FINE.shape, np.float32)
    mask[10:20, 10:20, 10:20] = 1
    moved = np.eye(4)
    moved[:3, 3] = (5, -3, 2)
    found = carried(image_on(mask, FINE), moved, FINE)
    np.testing.assert_array_equal(np.argwhere(found).min(axis=0), (15, 7, 12))


def test_boxes_lie_on_both_sides_of_the_templates_midline():
    affine = np.eye(4)
    affine[:3, 3] = (-20, -20, -20)
    part = (slice(5, 36), slice(10, 30), slice(10, 30))
    found = in_boxes(Grid((41, 41, 41), affine), part, np.eye(4), [((3, 5), (0, 2), (-4, -4))])
    points = np.argwhere(found) + np.array([5, 10, 10]) - 20
    assert sorted({int(x) for x in points[:, 0]}) == [-5, -4, -3, 3, 4, 5]
    assert sorted({int(y) for y in points[:, 1]}) == [0, 1, 2]
    assert {int(z) for z in points[:, 2]} == {-4}
