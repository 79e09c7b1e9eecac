"""Toy heads: a grey disc with darker blobs, which a small training learns within seconds."""

from __future__ import annotations

import numpy as np

from ctwml_bids.training.patches import TrainingVolume


def toy_head(seed: int = 0, *, lesions: int = 4, shape=(48, 56, 3)) -> TrainingVolume:
    """Two channels; noise of SD 0.3 around 0.5, lesions 2 lower, −3 outside the disc."""
    rng = np.random.default_rng(seed)
    x, y = np.mgrid[: shape[0], : shape[1]]
    inside = ((x - shape[0] / 2) / 20) ** 2 + ((y - shape[1] / 2) / 24) ** 2 < 1
    labels = np.zeros(shape, dtype=np.uint8)
    for _ in range(lesions):
        cx, cy = rng.integers(12, 36), rng.integers(14, 42)
        labels[((x - cx) ** 2 + (y - cy) ** 2 < 16) & inside] = 1
    image = 0.5 + 0.3 * rng.standard_normal(shape) - 2.0 * labels
    image = np.where(inside[..., None], np.clip(image, -3, 3), -3)
    return TrainingVolume(np.stack([image, image]).astype(np.float16), labels, f"toy{seed}")
