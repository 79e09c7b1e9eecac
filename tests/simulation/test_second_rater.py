from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from ctwml_bids.simulation.lesions import draw_outline, lesion_room
from ctwml_bids.simulation.second_rater import outline_again


def dice(one, two):
    return 2 * (one & two).sum() / (one.sum() + two.sum())


def lighter(old_head, volume):
    head, lesions = old_head
    lesion, _ = draw_outline(np.random.default_rng(3), head, volume, lesion_room(head))
    return head, replace(lesions, lesion=lesion)


@pytest.fixture(scope="module")
def outlines(old_head):
    """Three outlines of 30 mL of lesions."""
    return [outline_again(np.random.default_rng(seed), *old_head) for seed in range(3)]


def test_the_second_outline_is_like_the_first_at_high_load_and_less_at_low(old_head, outlines):
    head, few = lighter(old_head, 1.5)
    of_few = [outline_again(np.random.default_rng(k), head, few) for k in range(3)]
    high, low = (
        np.mean([dice(truth.lesion > 0.5, drawn > 0.5) for drawn in found])
        for truth, found in ((old_head[1], outlines), (few, of_few))
    )
    assert 0.7 < high < 0.92
    assert 0.35 < low < high


def test_edges_are_displaced_by_less_than_4_mm_and_never_into_fluid(old_head, outlines):
    head, lesions = old_head
    truth = ndimage.binary_dilation(lesions.lesion > 0.5, iterations=5)
    again = outlines[0]
    assert again.dtype == np.float32
    drawn = again > 0.5
    assert (drawn & ~truth).sum() < 0.02 * drawn.sum()  # added foci alone
    assert not (drawn & (head.csf >= 0.5)).any()


def test_small_foci_are_missed_more_often_than_large_ones(old_head):
    head, lesions = lighter(old_head, 3.0)
    labels, count = ndimage.label(lesions.lesion > 0.5)
    size = ndimage.sum_labels(np.ones(labels.shape), labels, np.arange(1, count + 1))
    seen = np.zeros(count)
    for seed in range(4):
        drawn = outline_again(np.random.default_rng(seed), head, lesions) > 0.5
        seen += ndimage.sum_labels(drawn, labels, np.arange(1, count + 1)) > 0
    assert seen[size < 12].mean() < seen[size > 150].mean()
    assert seen[size > 200].min() == 4


def test_without_lesions_a_second_rater_marks_next_to_nothing(old_head):
    head, lesions = old_head
    none = replace(lesions, lesion=np.zeros_like(lesions.lesion))
    volumes = [
        (outline_again(np.random.default_rng(k), head, none) > 0.5).sum() * head.voxel_ml
        for k in range(4)
    ]
    assert max(volumes) < 0.3


def test_the_same_seed_gives_the_same_outline(old_head, outlines):
    _, one, other = outlines
    assert np.array_equal(one, outline_again(np.random.default_rng(1), *old_head))
    assert dice(one > 0.5, other > 0.5) == pytest.approx(0.8, abs=0.15)
