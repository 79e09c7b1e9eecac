"""Toy heads: a grey disc with darker blobs, which a small training learns within seconds."""

from __future__ import annotations

import numpy as np

from ctwml_bids.training.patches import TrainingVolume


def toy_head(
    seed: int = 0, *, lesions: int = 4, infarcts: int = 0, shape=(48, 56, 3)
) -> TrainingVolume:
    """Two channels; noise of SD 0.3 around 0.5, −3 outside the disc.

    Lesions are 2 lower, infarcts 2 higher.
    """
    rng = np.random.default_rng(seed)
    x, y = np.mgrid[: shape[0], : shape[1]]
    inside = ((x - shape[0] / 2) / 20) ** 2 + ((y - shape[1] / 2) / 24) ** 2 < 1
    labels = np.zeros(shape, dtype=np.uint8)
    for label in [1] * lesions + [2] * infarcts:
        cx, cy = rng.integers(12, 36), rng.integers(14, 42)
        labels[((x - cx) ** 2 + (y - cy) ** 2 < 16) & inside] = label
    image = 0.5 + 0.3 * rng.standard_normal(shape) + np.array([0.0, -2.0, 2.0])[labels]
    image = np.where(inside[..., None], np.clip(image, -3, 3), -3)
    return TrainingVolume(np.stack([image, image]).astype(np.float16), labels, f"toy{seed}")
