"""Average an image over whole blocks of voxels: coarser, quieter, nothing interpolated."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ctwml_bids.preprocessing.grids import Grid


def block_mean(array: np.ndarray, grid: Grid, target_mm: float) -> tuple[np.ndarray, Grid]:
    """Average blocks of voxels as large as fit into ``target_mm`` along each axis.

    Parameters
    ----------
    array
        Shape (x, y, z), numbers or bool (then the share of true voxels results).
    grid
        Where its voxels lie.
    target_mm
        Blocks are at most 5% longer than this; axes with longer voxels stay as they are. Voxels
        that do not fill a last block are left out.

    Returns
    -------
    averaged : numpy.ndarray
        float32.
    coarse : Grid
    """
    steps = np.maximum(np.floor(target_mm / grid.spacing + 0.05), 1).astype(int)
    steps = np.minimum(steps, grid.shape)
    shape = np.asarray(grid.shape) // steps
    whole = array[tuple(slice(0, n * s) for n, s in zip(shape, steps, strict=True))]
    split = [int(size) for pair in zip(shape, steps, strict=True) for size in pair]
    averaged = whole.reshape(split).mean(axis=(1, 3, 5), dtype=np.float32)
    scale = np.diag([*steps, 1.0])
    scale[:3, 3] = (steps - 1) / 2.0
    return averaged, Grid((int(shape[0]), int(shape[1]), int(shape[2])), grid.affine @ scale)


def every_nth(data: np.ndarray, step: int) -> np.ndarray:
    """Return ``data.ravel()[::step]``, without a copy of all where memory has another order."""
    if step == 1 or data.flags.c_contiguous:
        return data.ravel()[::step]
    return data.flat[::step]


def finer(mask: np.ndarray, coarse: Grid, grid: Grid, smooth: float = 0.0) -> np.ndarray:
    """Carry a mask from a grid with the same axes to a finer one, by linear interpolation.

    Parameters
    ----------
    mask
        bool, shape ``coarse.shape``.
    coarse, grid
        Grids whose axes are parallel.
    smooth
        SD of a Gaussian in voxels of the coarse grid, so that steps between slices become slopes.

    Returns
    -------
    numpy.ndarray
        bool, shape ``grid.shape``.
    """
    soft = mask.astype(np.float32)
    if smooth > 0:
        soft = ndimage.gaussian_filter(soft, smooth, mode="nearest")
    to_coarse = np.linalg.inv(coarse.affine) @ grid.affine
    # Parallel axes make linear interpolation separable, which is far quicker than a 3D map.
    steps, offset = to_coarse[:3, :3].diagonal(), to_coarse[:3, 3]
    lines = [
        np.clip(np.arange(n) * step + start, 0, size - 1)
        for n, step, start, size in zip(grid.shape, steps, offset, coarse.shape, strict=True)
    ]
    for axis, line in enumerate(lines):
        below = np.minimum(line.astype(int), max(coarse.shape[axis] - 2, 0))
        share = (line - below).astype(np.float32)
        share = share.reshape([-1 if a == axis else 1 for a in range(3)])
        above = np.minimum(below + 1, coarse.shape[axis] - 1)
        soft = np.take(soft, below, axis) * (1 - share) + np.take(soft, above, axis) * share
    return soft >= 0.5
