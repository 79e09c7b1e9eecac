from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from ctwml_bids.statistics.regions import (
    MINIMUM_LESION_ML,
    left_of_midline,
    measure,
    share_near_border,
)

SHAPE = (20, 20, 20)


def box(*ranges, shape=SHAPE):
    array = np.zeros(shape, dtype=bool)
    array[tuple(slice(*ends) for ends in ranges)] = True
    return array


def measured(lesions, affine, ventricles=None, brain=None, **options):
    return measure(
        lesions,
        affine=affine,
        probability=lesions,
        brain=np.ones(SHAPE, dtype=bool) if brain is None else brain,
        ventricles=box((9, 11), (9, 11), (9, 11)) if ventricles is None else ventricles,
        left=left_of_midline(SHAPE, affine, np.eye(4)),
        **options,
    )


def tilted(spacing, degrees):
    """An affine sheared by a gantry tilt: slices shift along y with height."""
    affine = np.diag([*spacing, 1.0])
    affine[1, 2] = spacing[2] * math.tan(math.radians(degrees))
    return affine


@pytest.mark.parametrize("affine", [np.diag([0.5, 0.5, 5, 1]), tilted((0.5, 0.5, 5), 18.5)])
def test_volumes_come_from_the_determinant(affine):
    # 1000 voxels of 0.5 × 0.5 × 5 mm³ are 1.25 mL, with or without shear.
    found = measured(box((0, 10), (0, 10), (0, 10)), affine)
    assert found.wml_ml == pytest.approx(1.25)
    assert found.brain_ml == pytest.approx(10.0)
    assert found.wml_percent == pytest.approx(12.5)


def test_two_voxels_touching_at_a_corner_are_one_lesion():
    lesions = box((2, 3), (2, 3), (2, 3)) | box((3, 4), (3, 4), (3, 4))
    lesions |= box((15, 16), (15, 16), (15, 16))
    found = measured(lesions, np.diag([1.0, 1, 1, 1]), minimum_ml=0)
    assert found.lesion_count == 2
    assert [lesion.volume_ml for lesion in found.lesions] == pytest.approx([0.002, 0.001])
    assert found.lesion_median_ml == pytest.approx(0.0015)
    assert found.lesion_largest_ml == pytest.approx(0.002)
    assert found.lesions[0].centroid_mm == pytest.approx((2.5, 2.5, 2.5))
    assert found.lesions[1].centroid_mm == pytest.approx((15, 15, 15))


def test_a_speck_is_part_of_the_volume_and_no_lesion():
    # 0.5 × 0.5 × 5 mm: a ball of 3 mm holds 11.3 voxels.
    affine = np.diag([0.5, 0.5, 5.0, 1.0])
    lesion, speck = box((2, 6), (2, 5), (2, 3)), box((10, 21), (10, 11), (10, 11))
    found = measured(lesion | speck, affine)
    assert (lesion.sum(), speck.sum()) == (12, 10)
    assert found.lesion_count == len(found.lesions) == 1
    assert found.lesion_median_ml == found.lesion_largest_ml == pytest.approx(12 * 0.00125)
    assert found.speck_ml == pytest.approx(10 * 0.00125)
    assert found.wml_ml == pytest.approx(22 * 0.00125)
    assert found.periventricular_ml + found.deep_ml == pytest.approx(found.wml_ml)


def test_the_smallest_lesion_is_a_ball_of_3_mm():
    assert pytest.approx(4 / 3 * math.pi * 1.5**3 / 1000, rel=0.02) == MINIMUM_LESION_ML


def test_specks_alone_are_no_lesion():
    found = measured(box((2, 3), (2, 3), (2, 3)), np.eye(4))
    assert (found.lesion_count, found.lesion_median_ml, found.lesion_largest_ml, found.lesions) == (
        0,
        0,
        0,
        (),
    )
    assert found.wml_ml == found.speck_ml == pytest.approx(0.001)


def test_centroids_follow_the_affine():
    affine = np.array([[0, -2.0, 0, 50], [3.0, 0, 0, -7], [0, 0, 1.5, 2], [0, 0, 0, 1]])
    found = measured(box((4, 5), (6, 7), (8, 9)), affine, minimum_ml=0)
    assert found.lesions[0].centroid_mm == pytest.approx((50 - 12, -7 + 12, 2 + 12))


def test_periventricular_distance_is_in_millimetres_along_each_axis():
    # Ventricle at index 5; spacing 1 × 2 × 5 mm: 10 mm are 10, 5 and 2 voxels.
    ventricle = box((5, 6), (5, 6), (5, 6))
    affine = np.diag([1.0, 2.0, 5.0, 1.0])
    lesions = box((15, 17), (5, 6), (5, 6))  # 10 and 11 mm away
    lesions |= box((5, 6), (10, 12), (5, 6))  # 10 and 12 mm
    lesions |= box((5, 6), (5, 6), (7, 9))  # 10 and 15 mm
    found = measured(lesions, affine, ventricle)
    assert found.periventricular_ml == pytest.approx(3 * 0.01)
    assert found.deep_ml == pytest.approx(3 * 0.01)


def test_periventricular_volume_equals_a_distance_transform():
    rng = np.random.default_rng(1)
    lesions, spacing = rng.random(SHAPE) > 0.6, (0.7, 0.9, 3.0)
    ventricle = box((8, 12), (5, 15), (9, 12))
    lesions[9, 9, 9:12] = True  # inside the ventricles: at distance 0
    near = ndimage.distance_transform_edt(~ventricle, sampling=spacing) <= 10.0
    assert (lesions & ~near).any()
    found = measured(lesions, np.diag([*spacing, 1.0]), ventricle)
    voxel_ml = np.prod(spacing) / 1000
    assert found.periventricular_ml == pytest.approx((lesions & near).sum() * voxel_ml)
    assert found.periventricular_ml + found.deep_ml == pytest.approx(found.wml_ml)


def test_distance_in_a_tilted_scan_is_the_true_one():
    # Along k each slice rises 4 mm and shifts 3 mm in y: 5 mm from slice to slice.
    affine = np.eye(4)
    affine[:3, 2] = (0, 3, 4)
    here, ventricle = box((5, 6), (5, 6), (7, 8)), box((5, 6), (5, 6), (5, 6))
    found = measured(here, affine, ventricle, minimum_ml=0)
    assert found.lesions[0].ventricle_distance_mm == pytest.approx(10.0)
    assert found.deep_ml == 0


def test_hemispheres_split_at_the_midline_whatever_the_orientation():
    for flip in (1, -1):
        affine = np.diag([flip * 1.0, 1, 1, 1])
        affine[0, 3] = -flip * 9.5
        lesions = box((0, 3), (5, 6), (5, 6))
        found = measured(lesions, affine)
        left, right = (3, 0) if flip == 1 else (0, 3)
        assert found.left_ml == pytest.approx(left / 1000)
        assert found.right_ml == pytest.approx(right / 1000)


def test_midline_is_the_templates():
    shift = np.eye(4)
    shift[0, 3] = -5.0  # the head lies 5 mm to the right of the template
    left = left_of_midline(SHAPE, np.eye(4), shift)
    assert left[:5].all()
    assert not left[5:].any()


def test_without_ventricles_the_split_is_not_made():
    found = measured(
        box((2, 4), (2, 4), (2, 4)), np.eye(4), np.zeros(SHAPE, dtype=bool), minimum_ml=0
    )
    assert math.isnan(found.periventricular_ml)
    assert math.isnan(found.deep_ml)
    assert math.isnan(found.lesions[0].ventricle_distance_mm)
    assert found.wml_ml == pytest.approx(0.008)


def test_without_lesions_everything_is_zero():
    found = measured(np.zeros(SHAPE, dtype=bool), np.eye(4))
    assert (found.wml_ml, found.lesion_count, found.lesion_median_ml, found.lesion_largest_ml) == (
        0,
        0,
        0,
        0,
    )
    assert (found.periventricular_ml, found.deep_ml) == (0, 0)
    assert found.lesions == ()


def test_an_empty_brain_has_no_percentage():
    lesions = box((2, 4), (2, 4), (2, 4))
    assert math.isnan(measured(lesions, np.eye(4), brain=np.zeros(SHAPE)).wml_percent)


def test_lesions_at_the_border_of_the_brain_are_counted():
    brain = box((5, 15), (5, 15), (5, 15))
    deep, rim = box((9, 11), (9, 11), (9, 11)), box((5, 7), (9, 11), (9, 11))
    affine = np.diag([1.5, 1.5, 1.5, 1.0])
    assert share_near_border(deep, brain, affine=affine) == 0
    # Centres of the two rim layers are 1.5 and 3 mm from the nearest voxel outside.
    assert share_near_border(rim, brain, affine=affine) == 1
    assert share_near_border(deep | rim, brain, affine=affine) == pytest.approx(0.5)
    assert share_near_border(np.zeros(SHAPE), brain, affine=affine) == 0


def test_border_share_weighs_probabilities_and_takes_in_what_lies_outside():
    brain = box((5, 15), (5, 15), (5, 15))
    probability = np.zeros(SHAPE)
    probability[10, 10, 10], probability[1, 1, 1] = 0.9, 0.3
    assert share_near_border(probability, brain, affine=np.eye(4)) == pytest.approx(0.25)


def test_masks_of_different_shape_are_refused():
    with pytest.raises(ValueError, match="differ in shape"):
        measured(np.zeros((3, 3, 3)), np.eye(4))


def test_volumes_are_floats_so_that_pages_show_zero_alike():
    empty = np.zeros((6, 6, 6), bool)
    found = measure(
        empty,
        affine=np.eye(4),
        probability=empty.astype(float),
        brain=~empty,
        ventricles=empty,
        left=empty,
    )
    volumes = [value for name, value in vars(found).items() if name.endswith("_ml")]
    assert len(volumes) > 5
    assert {type(value) for value in volumes if value is not None} == {float}
