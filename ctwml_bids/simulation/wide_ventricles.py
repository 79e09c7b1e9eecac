"""Ventricles far wider than age makes them, as in hydrocephalus: a flow that pushes tissue out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ctwml_bids.simulation.bending import WARP_STEP
from ctwml_bids.simulation.canonical import BRAIN_BOX, CanonicalHead
from ctwml_bids.simulation.fields import upsample
from ctwml_bids.trilinear import at_points

# What can be asked for (mL): below, age alone makes such ventricles; above, no brain is left.
RANGE_ML = (100.0, 300.0)
# How far (SD, mm) fluid pushes: tissue between two horns is pushed from both sides and stays.
REACH_MM = 9.0
# The push rises over this depth in the brain (mm), since the skull does not give way.
MANTLE_MM = 22.0
# The fastest point moves so far in a step (mm), less than from point to point of the warp grid.
STEP_MM = 1.8
MOST_STEPS = 80


def widened(
    source: Sequence[np.ndarray], base: CanonicalHead, ventricle_voxels: float
) -> list[np.ndarray]:
    """Widen a head's lateral ventricles to a wanted volume; the brain's surface stays.

    Tissue flows away from fluid along the slope of the blurred ventricles, slower towards the
    skull, against which it is compressed. Narrow horns widen less than the bodies.

    Parameters
    ----------
    source
        Of `bending.aged_warp`: source voxel indices of ``base`` along x, y, z, whole grid.
    base
        The head that is bent.
    ventricle_voxels
        Wanted volume of the lateral ventricles in voxels of the working grid.

    Returns
    -------
    list of numpy.ndarray
        As ``source``, another within BRAIN_BOX; ``source`` itself where they are as wide already.

    Raises
    ------
    ValueError
        If the brain has no room for so much.
    """
    thin = tuple(slice(part.start, part.stop, int(WARP_STEP)) for part in BRAIN_BOX)
    places = [part[thin] for part in source]
    index = np.indices(places[0].shape, dtype=np.float32)
    depth = -_at(base.skull_distance, places)
    room = np.clip(depth / MANTLE_MM, 0, 1)
    wanted, reached = ventricle_voxels / WARP_STEP**3, _fluid(base, places)
    if reached.sum() >= wanted:
        return list(source)
    for _ in range(MOST_STEPS):
        before, push, last = reached.sum(), _push(reached, room), places
        places = [_at(part, index - push) for part in last]
        reached = _fluid(base, places)
        if reached.sum() >= wanted:
            break
    else:
        raise ValueError(f"no room for ventricles of {ventricle_voxels:.0f} voxels in this brain")
    share = (wanted - before) / (reached.sum() - before)
    places = [_at(part, index - share * push) for part in last]
    shape = tuple(part.stop - part.start for part in BRAIN_BOX)
    inside = np.indices(shape, dtype=np.float32)
    result = []
    for axis, part in enumerate(source):
        moved = part.copy()
        shift = places[axis] - WARP_STEP * index[axis]
        moved[BRAIN_BOX] = upsample(shift, shape, WARP_STEP) + inside[axis]
        result.append(moved)
    return result


def _fluid(base: CanonicalHead, places: Sequence[np.ndarray]) -> np.ndarray:
    """Share of each point's surroundings that is ventricle, 0 or 1 but for the wall."""
    distance = _at(base.ventricle_distance, places)
    # Of the points' own slope, or a stretched wall would count as half a ventricle.
    slope = np.sqrt(sum(part**2 for part in np.gradient(distance)))
    return np.clip(0.5 - distance / np.maximum(slope, 0.1), 0, 1)


def _push(fluid: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Displacement of one step in voxels of the warp grid, (3, x, y, z)."""
    # The root: the bodies' push would leave the horns far behind.
    blurred = np.sqrt(ndimage.gaussian_filter(fluid, REACH_MM / WARP_STEP) + np.float32(1e-4))
    push = -np.stack(np.gradient(blurred)) * room
    return push * (STEP_MM / WARP_STEP / np.sqrt((push**2).sum(axis=0)).max())


def _at(field: np.ndarray, places: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    return at_points(field, list(places))
