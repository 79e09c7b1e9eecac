"""Warps that make one head of another: smooth shape, and ventricles of a wanted volume."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage

from ctwml_bids.simulation import canonical
from ctwml_bids.simulation.canonical import BRAIN_BOX, CanonicalHead
from ctwml_bids.simulation.fields import coarse_shape, smooth_noise, soft_step, upsample
from ctwml_bids.trilinear import at_points, nearest_at_points

WARP_STEP = 2.0  # mm between the points at which the warp is known


def elastic(rng: np.random.Generator) -> list[np.ndarray]:
    """Draw a smooth displacement in mm on the warp grid: several mm over 40 mm, less below."""
    shape = coarse_shape(canonical.SHAPE, WARP_STEP)
    strength = rng.uniform(0.6, 1.3)
    field = [
        strength
        * (
            2.8 * smooth_noise(rng, shape, 34 / WARP_STEP, step=4)
            + 0.9 * smooth_noise(rng, shape, 14 / WARP_STEP, step=2)
        )
        for _ in range(3)
    ]
    # Without its affine part over the brain, the nine parameters stay the head's true pose.
    points, inverse = affine_fit()
    centred = [_indices(axis, WARP_STEP) - shape[axis] * WARP_STEP / 2 for axis in range(3)]
    for part in field:
        fit = inverse @ part.ravel()[points]
        part -= fit[0] + sum(fit[axis + 1] * centred[axis] for axis in range(3))
    return field


@lru_cache(maxsize=1)
def affine_fit() -> tuple[np.ndarray, np.ndarray]:
    """Return points of the warp grid in the brain, and the pseudo-inverse of (1, x, y, z)."""
    thin = (slice(None, None, int(WARP_STEP)),) * 3
    shape = coarse_shape(canonical.SHAPE, WARP_STEP)
    points = np.flatnonzero(canonical.canonical_head().brain[thin] > 0.5)[::50]
    index = np.stack(np.unravel_index(points, shape), axis=1) * WARP_STEP
    centred = index - np.asarray(shape) * WARP_STEP / 2
    design = np.column_stack([np.ones(len(points)), centred])
    return points, np.linalg.pinv(design).astype(np.float32)


@lru_cache(maxsize=2)
def _away_from_ventricles(base: CanonicalHead) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the ventricles' distance on the warp grid, and its gradient."""
    thin = (slice(None, None, int(WARP_STEP)),) * 3
    distance = base.ventricle_distance
    blurred = ndimage.gaussian_filter(distance, 1.5)
    gradient = [np.gradient(blurred, axis=axis)[thin].astype(np.float32) for axis in range(3)]
    return distance[thin], gradient


def _widening(
    growth: float, away: tuple[np.ndarray, list[np.ndarray]], box: tuple[slice, ...]
) -> list[np.ndarray]:
    """Return the displacement (warp grid) that moves the ventricles' surface out by some mm."""
    distance, gradient = away
    distance = distance[box]
    beyond = np.exp(-np.maximum(distance - max(growth, 0), 0) / 16.0)
    if growth <= 0:
        pull = -growth * beyond * np.clip(1 + distance / 4.0, 0, 1)
    else:
        # The outermost millimetre and a half of the ventricle is stretched over the new room,
        # so that no point is taken from across a narrow horn.
        layer = np.clip((distance + 1.5) / (growth + 1.5), 0, 1)
        pull = np.where(distance < growth, distance + 1.5 - 1.5 * layer, growth * beyond)
        pull = -np.where(distance < -1.5, 0, pull)
    pull = pull.astype(np.float32)
    return [pull * part[box] for part in gradient]


def _indices(axis: int, step: float) -> np.ndarray:
    """Return the working grid's voxel indices along an axis, broadcastable."""
    index = np.arange(0, canonical.SHAPE[axis], step, dtype=np.float32)
    return index.reshape([-1 if other == axis else 1 for other in range(3)])


def aged_warp(
    rng: np.random.Generator,
    base: CanonicalHead,
    ventricle_voxels: float,
    least_growth: float = -1.5,
) -> list[np.ndarray]:
    """Draw a warp whose ventricles have a wanted volume.

    Parameters
    ----------
    rng
        Source of randomness.
    base
        The head to bend.
    ventricle_voxels
        Wanted volume of the lateral ventricles in voxels of the working grid.
    least_growth
        The least that the ventricles' surface moves outward, in mm; negative: it may shrink.

    Returns
    -------
    list of numpy.ndarray
        Source voxel indices along x, y, z, each on the whole grid.
    """
    bent = elastic(rng)
    away = _away_from_ventricles(base)
    box = tuple(slice(part.start // 2, part.stop // 2) for part in BRAIN_BOX)
    low, high = least_growth, 11.0
    fixed = [(_indices(a, WARP_STEP) + bent[a])[box] for a in range(3)]
    for _ in range(6):
        growth = (low + high) / 2
        move = _widening(growth, away, box)
        source = [fixed[a] + move[a] for a in range(3)]
        distance = at_points(base.ventricle_distance, source)
        volume = float(soft_step(-distance, 1.2).sum()) * WARP_STEP**3
        low, high = (growth, high) if volume < ventricle_voxels else (low, growth)
    move = _widening(growth, away, (slice(None),) * 3)
    return [
        upsample(bent[axis] + move[axis], canonical.SHAPE, WARP_STEP) + _indices(axis, 1)
        for axis in range(3)
    ]


def warp(array: np.ndarray, source: list[np.ndarray], box: tuple[slice, ...], order: int):
    """Take a canonical field at displaced positions of a box: the nearest voxel's, or linearly."""
    points = [part[box] for part in source]
    if order == 0:
        return nearest_at_points(array, points)
    return at_points(array, points).astype(array.dtype, copy=False)
