"""Where patches come from and what they hold."""

from __future__ import annotations

import numpy as np
import pytest

from ctwml_bids.errors import BadDataError
from ctwml_bids.segmentation.inputs import with_neighbours
from ctwml_bids.training.patches import (
    PatchConfig,
    PatchSampler,
    TrainingVolume,
    crop,
    jitter_intensities,
)
from tests.segmentation.toy import toy_head


def test_crop_over_the_edge_is_filled_with_the_background():
    plane = np.arange(20, dtype=float).reshape(4, 5)
    patch = crop(plane, (0, 0), 4, -3)
    assert (patch[:2] == -3).all()
    assert (patch[:, :2] == -3).all()
    np.testing.assert_array_equal(patch[2:, 2:], plane[:2, :2])


def test_crop_far_outside_is_all_background():
    assert (crop(np.ones((2, 8, 8)), (40, -30), 4, -3) == -3).all()


def test_crop_has_its_centre_at_half_the_size():
    plane = np.zeros((100, 120))
    plane[40, 70] = 1
    assert crop(plane, (40, 70), 64, -3)[32, 32] == 1


def test_channels_and_labels_stay_aligned_under_flip_and_shift():
    head = toy_head(3)
    coded = TrainingVolume(
        np.stack([np.where(head.labels > 0, -2.0, 1.0)] * 2), head.labels, "coded"
    )
    channels, labels = PatchSampler([coded]).batch(np.random.default_rng(0), 32)
    brain = channels[:, 0] > -3
    np.testing.assert_array_equal(channels[:, 0][brain] < 0, labels[brain] > 0)
    assert labels.sum() > 0


def test_neighbouring_slices_come_from_below_to_above_with_background_beyond_the_head():
    coded = np.broadcast_to(np.arange(1.0, 4.0), (16, 16, 3))  # slice k holds k + 1
    head = TrainingVolume(np.stack([coded, -coded]), np.zeros((16, 16, 3), np.uint8))
    config = PatchConfig(size=8, shift=0, lesion_share=0, context=1)
    images, _ = PatchSampler([head], config).batch(np.random.default_rng(0), 40)
    middle = images[:, :, 4, 4]
    expected = {1: [-3, -3, 1, -1, 2, -2], 2: [1, -1, 2, -2, 3, -3], 3: [2, -2, 3, -3, -3, -3]}
    assert {*middle[:, 2]} == {1, 2, 3}
    for row in middle:
        np.testing.assert_array_equal(row, expected[row[2]])


def test_whole_slices_get_the_neighbours_that_patches_have():
    head = toy_head(5, shape=(48, 56, 4))
    images = with_neighbours(np.asarray(head.channels), 1, -3.0)
    assert images.shape == (6, 48, 56, 4)
    np.testing.assert_array_equal(images[:2, ..., 1:], head.channels[..., :-1])
    np.testing.assert_array_equal(images[2:4], head.channels)
    np.testing.assert_array_equal(images[4:, ..., :-1], head.channels[..., 1:])
    assert (images[:2, ..., 0] == -3).all()
    assert (images[4:, ..., -1] == -3).all()


def test_intensities_vary_alike_in_all_slices_of_a_patch():
    flat = TrainingVolume(np.ones((2, 64, 64, 3)), np.zeros((64, 64, 3), np.uint8))
    config = PatchConfig(size=32, shift=0, lesion_share=0, context=1)
    images, _ = PatchSampler([flat], config).batch(np.random.default_rng(3), 20, jitter_intensities)
    means = np.ma.masked_equal(images.reshape(20, 3, 2, -1), -3).mean(axis=-1)
    spread = means.max(axis=1) - means.min(axis=1)
    assert spread.max() < 0.02  # what is left is the mean of the noise
    assert means[:, 1].std(axis=0).min() > 0.05


def test_lesion_share_decides_how_many_patches_hold_lesions():
    sampler = [toy_head(0), *(toy_head(i, lesions=0) for i in range(1, 10))]

    def share(lesion_share: float) -> float:
        config = PatchConfig(size=16, lesion_share=lesion_share, shift=4)
        _, labels = PatchSampler(sampler, config).batch(np.random.default_rng(1), 300)
        return float((labels.sum((1, 2)) > 0).mean())

    assert share(1.0) > 0.9
    assert share(0.0) < 0.2


def test_infarct_share_decides_how_many_patches_hold_infarcts():
    heads = [toy_head(0, lesions=0, infarcts=2), *(toy_head(i, lesions=i % 2) for i in range(1, 9))]

    def share(infarct_share: float, lesion: int = 2) -> float:
        config = PatchConfig(size=16, lesion_share=0.4, infarct_share=infarct_share, shift=4)
        _, labels = PatchSampler(heads, config, 3).batch(np.random.default_rng(1), 300)
        return float((labels == lesion).any((1, 2)).mean())

    assert share(0.6) == pytest.approx(0.6, abs=0.1)
    assert share(0.0) < 0.15
    assert share(0.6, lesion=1) == pytest.approx(0.4, abs=0.1)


def test_where_no_head_has_wml_patches_beside_infarcts_keep_to_their_share():
    heads = [toy_head(0, lesions=0, infarcts=2), *(toy_head(i, lesions=0) for i in range(1, 9))]
    config = PatchConfig(size=16, lesion_share=0.5, infarct_share=0.2, shift=4)
    _, labels = PatchSampler(heads, config, 3).batch(np.random.default_rng(1), 300)
    assert (labels == 2).any((1, 2)).mean() == pytest.approx(0.2, abs=0.08)


def test_for_a_network_of_two_classes_infarcts_are_background():
    head = toy_head(0, lesions=1, infarcts=3)
    without = TrainingVolume(head.channels, np.where(head.labels == 2, 0, head.labels), head.name)
    drawn, wanted = (PatchSampler([h]).batch(np.random.default_rng(3), 50) for h in (head, without))
    np.testing.assert_array_equal(drawn[0], wanted[0])
    np.testing.assert_array_equal(drawn[1], wanted[1])
    assert set(np.unique(drawn[1])) == {0, 1}


def test_flip_mirrors_left_and_right_only():
    channels = np.zeros((1, 16, 16, 1))
    channels[0, :8] = 1.0  # the left half is bright, so rows tell left from right
    head = TrainingVolume(channels, np.zeros((16, 16, 1), np.uint8))
    sampler = PatchSampler([head], PatchConfig(size=64, flip=1.0))
    plain = PatchSampler([head], PatchConfig(size=64, flip=0.0))
    flipped, _ = sampler.batch(np.random.default_rng(0), 4)
    unflipped, _ = plain.batch(np.random.default_rng(0), 4)
    np.testing.assert_array_equal(flipped, unflipped[:, :, ::-1])


def test_same_generator_draws_the_same_batch():
    sampler = PatchSampler([toy_head(0), toy_head(1)])
    first = sampler.batch(np.random.default_rng(5), 8, jitter_intensities)
    again = sampler.batch(np.random.default_rng(5), 8, jitter_intensities)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


def test_augmentation_leaves_the_background_alone_and_stays_in_range():
    sampler = PatchSampler([toy_head(0)])
    plain, _ = sampler.batch(np.random.default_rng(2), 16)
    varied, _ = sampler.batch(np.random.default_rng(2), 16, jitter_intensities)
    outside = (plain == -3).all(axis=1, keepdims=True)
    assert (varied[np.broadcast_to(outside, varied.shape)] == -3).all()
    assert varied.min() >= -3
    assert varied.max() <= 3
    assert np.abs(varied - plain).mean() > 0.02


def test_head_without_brain_is_refused_by_name():
    empty = TrainingVolume(np.full((1, 8, 8, 2), -3.0), np.zeros((8, 8, 2), np.uint8), "sub-07")
    with pytest.raises(BadDataError, match="sub-07"):
        PatchSampler([empty])
