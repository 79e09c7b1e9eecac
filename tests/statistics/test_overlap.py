from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist, directed_hausdorff
from scipy.spatial.distance import dice as scipy_dice

from ctwml_bids.statistics.overlap import (
    absolute_volume_difference,
    compare,
    dice,
    hausdorff95,
    lesion_detection,
)

AFFINE = np.diag([0.5, 2.0, 4.0, 1.0])  # 4 mm³ a voxel


def mask(*voxels, shape=(8, 8, 8)):
    array = np.zeros(shape, dtype=bool)
    for voxel in voxels:
        array[voxel] = True
    return array


def test_two_voxels_with_one_shared():
    found = compare(mask((1, 1, 1), (2, 1, 1)), mask((2, 1, 1), (3, 1, 1)), affine=AFFINE)
    assert found.dice == 0.5
    assert found.true_positive_ml == pytest.approx(0.004)
    assert found.ct_only_ml == pytest.approx(0.004)
    assert found.flair_only_ml == pytest.approx(0.004)
    assert found.avd_percent == 0
    assert (found.lesion_recall, found.lesion_f1) == (1.0, 1.0)
    # From (1,1,1) to (2,1,1) is 0.5 mm, from the shared voxel 0: 95th percentile 0.475 mm.
    assert found.h95_mm == pytest.approx(0.475)


def test_dice_equals_scipys_on_random_masks():
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 10, 11, 12)) > 0.7
    assert dice(first, second) == pytest.approx(1 - scipy_dice(first.ravel(), second.ravel()))


def test_both_empty_is_a_dice_of_one_and_says_so():
    found = compare(mask(), mask(), affine=AFFINE)
    assert (found.dice, found.both_empty) == (1.0, True)
    assert math.isnan(found.h95_mm)
    assert math.isnan(found.avd_percent)
    assert (found.lesion_recall, found.lesion_f1) == (1.0, 1.0)


@pytest.mark.parametrize(("ct", "flair"), [(mask(), mask((1, 1, 1))), (mask((1, 1, 1)), mask())])
def test_one_empty_is_a_dice_of_zero_without_a_distance(ct, flair):
    found = compare(ct, flair, affine=AFFINE)
    assert (found.dice, found.both_empty) == (0.0, False)
    assert math.isnan(found.h95_mm)


def test_one_voxel_on_both_is_perfect():
    found = compare(mask((1, 1, 1)), mask((1, 1, 1)), affine=AFFINE)
    assert (found.dice, found.h95_mm, found.avd_percent) == (1.0, 0.0, 0.0)
    assert (found.lesion_recall, found.lesion_f1, found.both_empty) == (1.0, 1.0, False)


def test_with_one_image_empty_recall_and_volume_difference_are_the_challenges():
    """Precision of no result and recall of no reference are 1, so that F1 is 0 either way."""
    missed = compare(mask(), mask((1, 1, 1)), affine=AFFINE)
    assert (missed.lesion_recall, missed.lesion_f1, missed.avd_percent) == (0.0, 0.0, 100.0)
    invented = compare(mask((1, 1, 1)), mask(), affine=AFFINE)
    assert (invented.lesion_recall, invented.lesion_f1) == (1.0, 0.0)
    assert math.isnan(invented.avd_percent)


def test_nothing_found_scores_no_recall_and_no_f1():
    assert lesion_detection(mask(), mask((1, 1, 1))) == (0.0, 0.0)


def test_lesions_that_touch_at_a_corner_are_one():
    reference = mask((1, 1, 1), (2, 2, 2), (6, 6, 6))
    recall, f1 = lesion_detection(mask((2, 2, 2)), reference)
    assert recall == 0.5
    assert f1 == pytest.approx(2 * 1.0 * 0.5 / 1.5)


def test_false_detections_lower_f1_but_not_recall():
    recall, f1 = lesion_detection(mask((1, 1, 1), (4, 4, 4), (6, 6, 6)), mask((1, 1, 1)))
    assert recall == 1.0
    assert f1 == pytest.approx(2 * (1 / 3) / (1 + 1 / 3))


def test_h95_of_two_single_voxels_is_their_distance():
    near, far = mask((1, 1, 1)), mask((3, 1, 2))
    assert hausdorff95(near, far, affine=AFFINE) == pytest.approx(math.hypot(1.0, 4.0))


def test_h95_takes_boundaries_slice_by_slice():
    # A 5×5 plate in one slice: eroding in plane leaves a 3×3 core that is no boundary. Against
    # the core alone (all boundary but its centre) the outer ring is 1 or √2 away.
    plate, core = mask(), mask()
    plate[1:6, 1:6, 3] = True
    core[2:5, 2:5, 3] = True
    grid = np.eye(4)
    ring = np.argwhere(plate & ~core)
    inner = np.argwhere(core & ~mask((3, 3, 3)))
    distances = cdist(ring, inner)
    expected = max(
        np.percentile(distances.min(axis=1), 95), np.percentile(distances.min(axis=0), 95)
    )
    assert hausdorff95(plate, core, affine=grid) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (0, (5.49563347476627, 0.8152173913043478, 0.7879118630193054)),
        (1, (4.56508488420533, 0.7073170731707317, 0.7536382536382535)),
        (2, (5.162363799656124, 0.5930232558139535, 0.6500049785920542)),
    ],
)
def test_h95_recall_and_f1_are_those_of_the_challenges_script(seed, expected):
    """What its evaluation.py gives for these masks, with SimpleITK 2.5.7."""
    rng = np.random.default_rng(seed)
    first, second = (
        ndimage.gaussian_filter(rng.standard_normal((40, 44, 14)), (1.5, 1.5, 0.6))
        for _ in range(2)
    )
    reference, result = first, first + 0.7 * second
    reference = reference > np.quantile(reference, 0.93)
    result = result > np.quantile(result, 0.94)
    found = compare(result, reference, affine=np.diag([0.9, 1.1, 4.0, 1.0]))
    assert (found.h95_mm, found.lesion_recall, found.lesion_f1) == pytest.approx(expected)


def test_h95_never_exceeds_the_hausdorff_distance():
    rng = np.random.default_rng(3)
    first, second = rng.random((2, 9, 9, 9)) > 0.97
    points = [np.argwhere(a) * [0.5, 2.0, 4.0] for a in (first, second)]
    full = max(directed_hausdorff(*points)[0], directed_hausdorff(*points[::-1])[0])
    h95 = hausdorff95(first, second, affine=AFFINE)
    assert 0 < h95 <= full


def test_the_edge_of_the_image_is_no_boundary():
    # A slab over the whole plane has no in-plane boundary at all where the image ends; with one
    # row missing, only the rows beside the gap are boundary.
    slab, shifted = mask(), mask()
    slab[:5, :, :] = True
    shifted[:4, :, :] = True
    assert hausdorff95(slab, shifted, affine=np.eye(4)) == pytest.approx(1.0)


def test_distances_follow_a_sheared_affine():
    sheared = np.eye(4)
    sheared[1, 2] = 0.75
    one, other = mask((1, 1, 1)), mask((1, 1, 5))
    assert hausdorff95(one, other, affine=sheared) == pytest.approx(math.hypot(3.0, 4.0))


def test_volume_difference_is_relative_to_the_reference():
    assert absolute_volume_difference(15, 10) == pytest.approx(50)
    assert absolute_volume_difference(5, 10) == pytest.approx(50)
    assert math.isnan(absolute_volume_difference(5, 0))


def test_masks_of_different_shape_are_refused():
    with pytest.raises(ValueError, match="differ in shape"):
        compare(mask(), mask(shape=(8, 8, 7)), affine=AFFINE)
