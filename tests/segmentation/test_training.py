"""Training learns, and stops and resumes without a difference."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ctwml_bids.errors import BadDataError
from ctwml_bids.segmentation.patches import PatchConfig, jitter_intensities
from ctwml_bids.segmentation.training import (
    TrainingConfig,
    checkpoint_weights,
    learning_rate,
    segmentation_loss,
    train,
)
from tests.segmentation.toy import toy_head

HEADS = [toy_head(i) for i in range(3)]
CONFIG = TrainingConfig(
    steps=6,
    batch=4,
    patches=PatchConfig(size=32, shift=12),
    precision="float32",
    checkpoint_every=3,
    log_every=3,
)


def test_loss_falls_and_dice_rises_on_toy_heads():
    config = replace(CONFIG, steps=30, log_every=10, learning_rate=2e-3)
    log = train(HEADS, config).log
    assert log[-1]["loss"] < 0.5 * log[0]["loss"]
    assert log[-1]["dice"] > 0.8


@pytest.mark.parametrize("variant", ["standard", "dropout"])
def test_resumed_training_equals_the_unbroken_one(tmp_path, variant):
    config = replace(CONFIG, variant=variant)
    unbroken = train(HEADS, config, augment=jitter_intensities).weights

    def interrupt_at_step_5(row):
        if row["step"] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(
            HEADS,
            replace(config, log_every=5),
            tmp_path,
            augment=jitter_intensities,
            on_log=interrupt_at_step_5,
        )
    assert checkpoint_weights(tmp_path / "checkpoint.safetensors")[1] == 3
    resumed = train(HEADS, config, tmp_path, augment=jitter_intensities).weights
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)


def test_dice_loss_is_that_of_the_formula_and_finite_without_lesions():
    logits = torch.tensor([[[[0.3, -1.0]], [[1.2, 0.4]]]], dtype=torch.float64)
    lesion = torch.sigmoid(logits[0, 1] - logits[0, 0])  # of two classes, softmax is a sigmoid
    labels = torch.tensor([[[1, 0]]])
    entropy = -(torch.log(lesion[0, 0]) + torch.log(1 - lesion[0, 1])) / 2
    overlap = (2 * lesion[0, 0] + 1) / (lesion.sum() + 1 + 1)
    assert torch.isclose(segmentation_loss(logits, labels, "dice+cross-entropy"), entropy - overlap)
    none = segmentation_loss(logits, torch.zeros_like(labels), "dice+cross-entropy")
    assert torch.isfinite(none)


def test_finished_training_returns_its_weights_at_once(tmp_path):
    first = train(HEADS, CONFIG, tmp_path)
    again = train(HEADS, CONFIG, tmp_path)
    assert again.log == ()
    assert all(torch.equal(first.weights[name], again.weights[name]) for name in first.weights)


def test_seeds_give_different_networks():
    one = train(HEADS, replace(CONFIG, steps=1)).weights
    other = train(HEADS, replace(CONFIG, steps=1, seed=1)).weights
    assert not torch.equal(one["encoder.0.conv.weight"], other["encoder.0.conv.weight"])


def test_checkpoint_of_another_training_is_refused_and_says_what_differs(tmp_path):
    train(HEADS, replace(CONFIG, steps=1), tmp_path)
    with pytest.raises(BadDataError, match="learning_rate"):
        train(HEADS, replace(CONFIG, steps=1, learning_rate=1.0), tmp_path)


def test_damaged_checkpoint_is_refused(tmp_path):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"not a checkpoint")
    with pytest.raises(BadDataError, match="not a checkpoint"):
        train(HEADS, CONFIG, tmp_path)


def test_learning_rate_falls_from_the_start_to_two_percent():
    assert learning_rate(CONFIG, 0) == CONFIG.learning_rate
    assert learning_rate(CONFIG, CONFIG.steps) == pytest.approx(0.02 * CONFIG.learning_rate)
