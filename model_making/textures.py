"""Simulated FLAIR heads with the fine structure of real ones.

The simulated cortex is a smooth band where the real one is folded finely, bright against the thin
white matter between its folds. Networks that saw the simulated one alone take such folds for
lesions. The fine structure of a real head, without its lesions, is therefore added to a copy of
every simulated one: what is bright there is normal, and is labelled so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing.distances import signed_distance
from ctwml_bids.preprocessing.normalisation import BACKGROUND
from ctwml_bids.training.patches import TrainingVolume
from model_making import shipped_heads

# Structure finer than this (mm, SD of a Gaussian): cortex and the white matter within a gyrus.
_FINE_MM = 4.0
# Real lesions are left out with this margin (mm).
_MARGIN_MM = 3.0
# Full strength down to this depth under the brain's surface (mm), none from the second on:
# around the ventricles of another head the structure would be caps and rims in wrong places.
_DEPTH_MM = (20.0, 30.0)
_STRENGTH = (0.4, 1.1)
# Random stream of a head's seed, another than those of `simulated_heads`.
_STREAM = 13


def fine_structure(image: np.ndarray, lesions: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return the fine structure of a real head's outer brain, in SD of its brain.

    Parameters
    ----------
    image
        z-scored FLAIR, (x, y, z), `BACKGROUND` outside the brain.
    lesions
        Expert mask on the same grid, bool.
    spacing
        Voxel edges in mm.

    Returns
    -------
    numpy.ndarray
        float32, (x, y, z); 0 outside the brain, in and beside lesions, and deep in the brain.
    """
    spacing = np.asarray(spacing, float)
    brain = image > BACKGROUND
    normal = brain.copy()
    if lesions.any():
        normal &= signed_distance(lesions, spacing) > _MARGIN_MM
    sigma = _FINE_MM / spacing
    weight = ndimage.gaussian_filter(normal.astype(np.float32), sigma)
    mean = ndimage.gaussian_filter(np.where(normal, image, 0).astype(np.float32), sigma)
    depth = -signed_distance(brain, spacing)
    outer = np.interp(depth, _DEPTH_MM, (1, 0))
    fine = np.where(normal, image - mean / np.maximum(weight, 1e-3), 0) * outer
    return fine.astype(np.float32)


def textured(rng: np.random.Generator, channels: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Add fine structure of a random strength to a head (1, x, y, z), background kept; float16."""
    brain = channels > BACKGROUND
    varied = channels.astype(np.float32) + rng.uniform(*_STRENGTH) * texture
    # Just above the background's value, so that no voxel of the brain is taken for it.
    varied = np.clip(varied, BACKGROUND + 0.01, -BACKGROUND)
    return np.where(brain, varied, np.float32(BACKGROUND)).astype(np.float16)


def make_textured_heads(folder: Path) -> None:
    """Write a copy of every simulated FLAIR head in a folder with a real head's fine structure.

    The real heads are those of the same folder. Each copy belongs to the same person as its
    head, and its facts name the real subject as ``texture``.

    Raises
    ------
    NoInputError
        If there is no FLAIR head.
    BadDataError
        If there is no real one among them.
    """
    spacing = shipped_heads.shipped_grid().spacing
    heads = shipped_heads.load_heads(folder, "flair")
    real = [head for head in heads if "subject" in head[1]]
    if not real:
        raise BadDataError(f"There is no real FLAIR head in {folder}: make them with `real`.")
    textures: dict[str, np.ndarray] = {}
    for volume, facts in heads:
        name = volume.name.replace("_pose-", "_texture-")
        if "subject" in facts or (folder / f"{name}_image.npy").is_file():
            continue
        rng = np.random.default_rng([int(facts["seed"]), _STREAM])
        chosen, about = real[int(rng.integers(len(real)))]
        if chosen.name not in textures:
            textures[chosen.name] = _texture_of(chosen, spacing)
        channels = textured(rng, np.asarray(volume.channels), textures[chosen.name])
        facts = facts | {"texture": about["subject"]}
        shipped_heads.save_head(folder, name, channels, np.asarray(volume.labels), facts)


def _texture_of(volume: TrainingVolume, spacing: Sequence[float]) -> np.ndarray:
    image = np.asarray(volume.channels[0], dtype=np.float32)
    return fine_structure(image, np.asarray(volume.labels) > 0, spacing)
