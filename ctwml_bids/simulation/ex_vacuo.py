"""Tissue that moves with an infarct.

An old infarct has lost tissue: it is smaller than it was, and what surrounds it, sulci and
ventricle above all, has been drawn towards it. A fresh one is swollen.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from ctwml_bids.geometry import bounding_box
from ctwml_bids.simulation.anatomy import BRAIN_BOX, Head
from ctwml_bids.simulation.bending import WARP_STEP
from ctwml_bids.simulation.fields import soft_step, upsample
from ctwml_bids.simulation.infarct_places import REACH_MM

PULL_MM = 9.0  # over which the movement of tissue around an infarct fades
SKULL_MM = 6.0  # below the skull's inner surface over which tissue cannot follow
# Share of an infarct's half thickness by which its border moves, and most (mm): less than PULL_MM
# and SKULL_MM, or tissue would be folded. Swelling moves it less far.
LOST, MOST_MM = (0.05, 0.17), 4.5
LEAST_MM, MOST_SWELLING_MM = 0.3, 2.0
# Logarithm of the factor on the odds of fluid in the sulci, at the infarct.
OPENED, EFFACED = (0.6, 1.8), (-1.6, -0.4)
WALL_MM = (0.5, 3.0)  # by which a ventricle's wall gives way beside an old infarct, beyond the pull


def reshaped(
    rng: np.random.Generator, head: Head, distance: np.ndarray, old: bool
) -> tuple[Head, np.ndarray, np.ndarray]:
    """Move a head's tissue towards old infarcts, or away from fresh ones.

    Parameters
    ----------
    rng
        Source of randomness.
    head
        Before them.
    distance
        mm from their surface in BRAIN_BOX, negative inside.
    old
        Whether they are old.

    Returns
    -------
    head, distance, former
        The head with its tissue moved, sulci and ventricle widened (narrowed where fresh); the
        distance moved with it; and what was grey or white matter before sulci widened, 0-1. The
        skull and what lies below its inner surface stay where they were.
    """
    step = int(WARP_STEP)
    thin = (slice(None, None, step),) * 3
    # Half the thickness where the infarct is thickest: what can be lost on a side.
    depth = float(max(-distance.min(), 1.0))
    move = float(np.clip(rng.uniform(*LOST) * depth, LEAST_MM, MOST_MM))
    if not old:
        move = -min(0.8 * move, MOST_SWELLING_MM)
    smooth = ndimage.gaussian_filter(distance[thin], 1.5)
    slope = np.stack(np.gradient(smooth, WARP_STEP))
    slope /= np.maximum(np.sqrt((slope**2).sum(axis=0)), 0.5)
    fade = np.where(smooth < 0, np.clip(1 + smooth / depth, 0, 1), np.exp(-smooth / PULL_MM))
    room = np.clip((head.gap - head.skull_distance[BRAIN_BOX][thin]) / SKULL_MM, 0, 1)
    shift = (move * fade * room * slope * (smooth < REACH_MM - 4)).astype(np.float32)
    coarse = bounding_box(np.abs(shift).max(axis=0) > 0.05, 2)
    box = tuple(
        slice(part.start * step, min(part.stop * step, length))
        for part, length in zip(coarse, distance.shape, strict=True)
    )
    size = tuple(part.stop - part.start for part in box)
    places = [
        upsample(part[coarse], size, WARP_STEP) + np.float32(1) * index
        for part, index in zip(shift, np.ogrid[box], strict=True)
    ]

    def moved(field: np.ndarray, order: int = 1) -> np.ndarray:
        return ndimage.map_coordinates(
            field, places, order=order, mode="nearest", output=field.dtype
        )

    # All that lies within the skull is tissue or fluid, also where tissue has moved away from it.
    total = (head.grey + head.white + head.csf)[box]
    grey, white = (np.minimum(moved(field), total) for field in (head.grey, head.white))
    solid = np.minimum(grey + white, total)
    apart, wall = moved(distance), moved(head.ventricle_distance)
    near = np.exp(-np.maximum(apart, 0) / PULL_MM)
    filled = np.maximum(total, np.float32(1e-3))
    more = (total - solid) / filled * np.exp(rng.uniform(*(OPENED if old else EFFACED)) * near)
    fluid = more / (more + solid / filled + 1e-6)
    if old:
        wall -= np.float32(rng.uniform(*WALL_MM) * min(depth / 10, 1)) * near
    ventricles = soft_step(-wall, 1.2) * total
    fluid = np.maximum(fluid, ventricles / filled)
    left = (1 - fluid) * filled / np.maximum(grey + white, np.float32(1e-3))
    # No tissue comes where fluid was whole.
    left = np.minimum(left, 3)
    changed = {
        "grey": grey * left,
        "white": white * left,
        "csf": total - (grey + white) * left,
        "ventricles": ventricles,
        "ventricle_distance": wall,
    }
    new = {name: getattr(head, name).copy() for name in changed}
    for name, field in changed.items():
        new[name][box] = field
    labels = head.labels.copy()
    labels[BRAIN_BOX][box] = moved(head.labels[BRAIN_BOX], order=0)
    former = head.grey + head.white
    former[box] = solid
    result = distance.copy()
    result[box] = apart
    return replace(head, labels=labels, **new), result, former
