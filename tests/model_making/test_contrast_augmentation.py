"""FLAIR patches vary in sharpness, contrast and shading, and stay FLAIR patches."""

import numpy as np
import pytest

from ctwml_bids.training.patches import jitter_intensities
from model_making import contrast_augmentation
from model_making.contrast_augmentation import jitter_contrasts, random_curve

SHAPE = (64, 1, 3, 32, 32)
KNOTS = contrast_augmentation._KNOTS


@pytest.fixture(scope="module")
def patches():
    """A brain of 0.3 SD with a lesion of 1.8 SD, background at its right edge."""
    channels = np.full(SHAPE, 0.3, np.float32)
    channels[..., 10:20, 10:20] = 1.8
    channels[..., 28:] = -3
    return channels, (channels > -3)[:, 0]


def test_a_lesion_stays_brighter_than_the_tissue_but_by_less_or_more_than_before(patches):
    channels, brain = patches
    varied = jitter_contrasts(np.random.default_rng(0), channels, brain)
    step = varied[:, 0, 1, 12:18, 12:18].mean((1, 2)) - varied[:, 0, 1, 2:8, 12:18].mean((1, 2))
    assert step.min() > 0.3
    assert np.percentile(step, 10) < 1.1 < 1.7 < np.percentile(step, 95)
    simple = jitter_intensities(np.random.default_rng(0), channels, brain)
    level = simple[:, 0, 1, 12:18, 12:18].mean((1, 2)) - simple[:, 0, 1, 2:8, 12:18].mean((1, 2))
    assert step.std() > 2 * level.std()


def test_curves_rise_everywhere_and_pass_through_one_level():
    rng = np.random.default_rng(1)
    curves = np.stack([random_curve(rng) for _ in range(200)])
    assert (np.diff(curves, axis=1) > 0).all()
    np.testing.assert_allclose(curves[:, 3], KNOTS[3], atol=1e-12)
    bright = (curves[:, -1] - curves[:, -3]) / (KNOTS[-1] - KNOTS[-3])
    assert bright.min() < 0.5 < 1.2 < bright.max()


def test_the_background_gives_no_edge_to_sharpen(patches):
    _, brain = patches
    flat = np.where(brain[:, None], np.float32(0.3), np.float32(-3))
    sharpened = contrast_augmentation._sharpened(np.random.default_rng(2), flat[0], brain[0])
    np.testing.assert_allclose(sharpened[:, brain[0]], 0.3, atol=1e-5)


def test_edges_of_tissue_are_sharpened_or_softened(patches):
    channels, brain = patches
    rng = np.random.default_rng(3)
    over = [contrast_augmentation._sharpened(rng, channels[0], brain[0]).max() for _ in range(50)]
    assert min(over) < 1.81  # softer: nothing above the lesion
    assert max(over) > 2.2  # sharper: an overshoot beside the edge


def test_the_same_seed_gives_the_same_patches(patches):
    first, second = (jitter_contrasts(np.random.default_rng(4), *patches) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32
