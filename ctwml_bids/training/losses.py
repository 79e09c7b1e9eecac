"""The losses that networks are trained to make small."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def segmentation_loss(logits: Tensor, labels: Tensor, kind: str) -> Tensor:
    """Return the loss of logits (n, classes, rows, columns) against labels (n, rows, columns).

    ``kind`` is "cross-entropy", or "dice+cross-entropy": less the soft Dice of the whole batch's
    lesions. With several lesion classes that is the mean over those that the batch has; a batch
    without any has none.
    """
    entropy = nn.functional.cross_entropy(logits, labels)
    if kind == "cross-entropy":
        return entropy
    probability = logits.softmax(1)
    if logits.shape[1] == 2:
        return entropy - _soft_dice(1 - probability[:, 0], (labels > 0).float())
    of_classes, present = [], []
    for lesion in range(1, logits.shape[1]):
        wanted = (labels == lesion).float()
        of_classes.append(_soft_dice(probability[:, lesion], wanted))
        present.append(wanted.amax())
    # Multiplied, not chosen: to ask a GPU which classes are there is to wait for it.
    weights = torch.stack(present)
    return entropy - (torch.stack(of_classes) * weights).sum() / weights.sum().clamp(min=1)


def _soft_dice(lesion: Tensor, wanted: Tensor) -> Tensor:
    # One voxel's worth in both parts: a batch without lesions has no zero below.
    return (2 * (lesion * wanted).sum() + 1) / (lesion.sum() + wanted.sum() + 1)
