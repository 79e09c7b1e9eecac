from __future__ import annotations

import numpy as np
import pytest

from ctwml_bids.simulation import canonical
from ctwml_bids.simulation.anatomy import BRAIN_BOX
from ctwml_bids.simulation.lesions import GRADE_ML, draw_lesion_ml


@pytest.mark.parametrize("grade", [1, 2, 3])
def test_volumes_follow_the_published_mean_and_spread_of_their_grade(grade):
    rng = np.random.default_rng(0)
    volumes = np.array([draw_lesion_ml(rng, grade) for _ in range(3000)])
    mean, spread = GRADE_ML[grade]
    assert volumes.mean() == pytest.approx(mean, rel=0.08)
    assert volumes.std() == pytest.approx(spread, rel=0.25)


def test_grade_zero_has_next_to_nothing():
    rng = np.random.default_rng(0)
    volumes = [draw_lesion_ml(rng, 0) for _ in range(500)]
    assert max(volumes) <= 1.2
    assert min(volumes) == 0


def test_the_mask_holds_the_volume_that_was_asked_for(old_head):
    head, lesions = old_head
    assert (lesions.lesion > 0.5).sum() * head.voxel_ml == pytest.approx(30.0, rel=0.05)


def test_lesions_lie_in_white_matter_of_the_cerebrum(old_head):
    head, lesions = old_head
    lesion = lesions.lesion > 0.5
    labels = head.labels[BRAIN_BOX][lesion]
    assert not np.isin(labels, (canonical.CEREBELLUM, canonical.BRAINSTEM)).any()
    assert (labels == canonical.DEEP_GREY).mean() < 0.01
    assert (head.white[lesion] > 0.5).mean() > 0.95
    assert (head.ventricles[lesion] < 0.5).all()


def test_lesions_gather_at_the_ventricles_and_are_not_mirrored(old_head):
    head, lesions = old_head
    lesion = lesions.lesion > 0.5
    white = head.white > 0.5
    assert head.ventricle_distance[lesion].mean() < 0.7 * head.ventricle_distance[white].mean()
    mirrored = lesion[::-1]
    overlap = 2 * (lesion & mirrored).sum() / (2 * lesion.sum())
    assert overlap < 0.8
    left = lesion[: lesion.shape[0] // 2].sum() / lesion.sum()
    assert 0.25 < left < 0.75
