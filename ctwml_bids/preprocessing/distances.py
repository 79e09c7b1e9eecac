"""Distances from masks, and dilation and erosion by a distance in mm."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ctwml_bids.geometry import bounding_box

# Relative: what squares of float32 may be off by, so that a voxel just at the distance counts.
_ROUNDING = 1e-6


def dilated(mask: np.ndarray, distance: float, spacing: np.ndarray) -> np.ndarray:
    """Dilate a mask by a ball.

    Parameters
    ----------
    mask
        bool, any number of axes.
    distance
        Radius of the ball in mm; voxels whose centres are that far from the mask's count.
    spacing
        Voxel edges in mm.

    Returns
    -------
    numpy.ndarray
        bool, the mask's shape: a Euclidean distance transform cut at ``distance``. Only distances
        up to it are found, which is several times as fast for a few voxels. A voxel just at it
        counts, whatever rounding has made of the spacing of an oblique image.
    """
    if not mask.any():
        return mask.copy()
    reach = np.floor(distance / np.asarray(spacing) * (1 + _ROUNDING)).astype(int)
    box = bounding_box(mask, reach)
    squares = np.where(mask[box], np.float32(0), np.float32(np.inf))
    for axis, (edge, steps) in enumerate(zip(spacing, reach, strict=True)):
        squares = _nearest_along(squares, axis, float(edge), int(steps))
    result = np.zeros_like(mask)
    result[box] = squares <= distance**2 * (1 + _ROUNDING)
    return result


def eroded(
    mask: np.ndarray, distance: float, spacing: np.ndarray, *, beyond: bool = False
) -> np.ndarray:
    """Erode a mask by a ball (see `dilated`); ``beyond`` the array counts as mask or not."""
    if not mask.any():
        return mask.copy()
    part = bounding_box(mask, 1)
    outside = np.pad(~mask[part], 1, constant_values=not beyond)
    result = np.zeros_like(mask)
    result[part] = ~dilated(outside, distance, spacing)[(slice(1, -1),) * mask.ndim]
    return result


def closed(mask: np.ndarray, distance: float, spacing: np.ndarray) -> np.ndarray:
    """Close gaps up to twice a distance in mm wide, without sticking to the array's edge."""
    width = [int(np.ceil(distance / step)) + 1 for step in spacing]
    padded = np.pad(mask, [(n, n) for n in width])
    padded = eroded(dilated(padded, distance, spacing), distance, spacing)
    return padded[tuple(slice(n, -n) for n in width)]


def signed_distance(mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Distance in mm to the nearest voxel on the mask's other side: negative inside, float32.

    Neither side may be empty.
    """
    signed = ndimage.distance_transform_edt(~mask, spacing).astype(np.float32)
    part = bounding_box(mask, 1)
    signed[part] -= ndimage.distance_transform_edt(mask[part], spacing).astype(np.float32)
    return signed


def _nearest_along(squares: np.ndarray, axis: int, edge: float, steps: int) -> np.ndarray:
    """Lowest sum of a voxel's squared distance and that along an axis to it, float32 (mm²)."""
    source = np.moveaxis(squares, axis, 0)
    lowest = source.copy(order="K")
    for step in range(1, min(steps, len(source) - 1) + 1):
        cost = np.float32((step * edge) ** 2)
        np.minimum(lowest[step:], source[:-step] + cost, out=lowest[step:])
        np.minimum(lowest[:-step], source[step:] + cost, out=lowest[:-step])
    return np.moveaxis(lowest, 0, axis)
