"""The brain network learns from random views, the same from the same seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctwml_bids.preprocessing.head_grid import HEAD_SHAPE
from model_making.brain_augmentation import TrainingHead, random_view
from model_making.train_brain import fit, loss


def test_loss_is_lowest_for_the_truth():
    fraction = torch.zeros(1, 1, 8, 8, 8)
    fraction[..., 2:6] = 1
    good = loss(20 * fraction - 10, fraction)
    bad = loss(10 - 20 * fraction, fraction)
    assert good < 0.01 < bad


@pytest.fixture(scope="module")
def ball_head() -> TrainingHead:
    """A bright ball of 60 mm radius (brain) in a dim one of 75 mm, on the fine grid."""
    shape = (111, 143, 111)
    axes = [2.0 * (np.arange(n) - (n - 1) / 2) for n in shape]
    radius = np.sqrt(sum(a**2 for a in np.meshgrid(*axes, indexing="ij")))
    image = np.where(radius < 60, 1.0, np.where(radius < 75, 0.4, 0.0))
    return TrainingHead(
        "ball",
        (image.astype(np.float16),),
        (radius < 60).astype(np.float16),
        (radius - 60).astype(np.float16),
        92,
    )


def test_random_views_repeat_with_the_seed_and_keep_the_brain_in_view(ball_head):
    views = [random_view(ball_head, np.random.default_rng(s), HEAD_SHAPE, 4.0) for s in (1, 1, 2)]
    np.testing.assert_array_equal(views[0][0], views[1][0])
    assert not np.array_equal(views[0][0], views[2][0])
    for image, brain in views:
        assert image.shape == brain.shape == HEAD_SHAPE
        assert 0 <= image.min() <= image.max() <= 2
        # 905 mL scaled by 0.87³ to 1.15³, at most a sixth cut away.
        assert 450 < brain.sum() * 0.064 < 1400


def test_same_seed_trains_the_same_network(ball_head):
    first, second = (fit([ball_head], steps=2, seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
