"""Losses are those of their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctwml_bids.training.losses import segmentation_loss


def test_dice_loss_is_that_of_the_formula_and_finite_without_lesions():
    logits = torch.tensor([[[[0.3, -1.0]], [[1.2, 0.4]]]], dtype=torch.float64)
    lesion = torch.sigmoid(logits[0, 1] - logits[0, 0])  # of two classes, softmax is a sigmoid
    labels = torch.tensor([[[1, 0]]])
    entropy = -(torch.log(lesion[0, 0]) + torch.log(1 - lesion[0, 1])) / 2
    overlap = (2 * lesion[0, 0] + 1) / (lesion.sum() + 1 + 1)
    assert torch.isclose(segmentation_loss(logits, labels, "dice+cross-entropy"), entropy - overlap)
    none = segmentation_loss(logits, torch.zeros_like(labels), "dice+cross-entropy")
    assert torch.isfinite(none)


@pytest.mark.parametrize("present", [(0, 1, 2), (0, 2), (0, 1), (0,)])
def test_loss_of_three_classes_takes_the_mean_dice_of_the_lesions_that_are_there(present):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 3, 4, 5))
    labels = rng.choice(present, size=(2, 4, 5))
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    entropy = -np.log(np.take_along_axis(probability, labels[:, None], axis=1)).mean()
    dices = []
    for lesion in present[1:]:
        found, wanted = probability[:, lesion], labels == lesion
        dices.append((2 * found[wanted].sum() + 1) / (found.sum() + wanted.sum() + 1))
    of = torch.from_numpy(logits), torch.from_numpy(labels)
    assert float(segmentation_loss(*of, "cross-entropy")) == pytest.approx(entropy)
    wanted = entropy - (np.mean(dices) if dices else 0)
    assert float(segmentation_loss(*of, "dice+cross-entropy")) == pytest.approx(wanted)
