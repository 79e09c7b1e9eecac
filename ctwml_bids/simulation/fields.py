"""Smooth random fields and cheap resampling between regular grids."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def upsample(coarse: np.ndarray, shape: tuple[int, ...], step: float) -> np.ndarray:
    """Sample a coarse grid linearly at every voxel of a fine one (float32).

    Parameters
    ----------
    coarse
        Values at fine positions 0, step, 2·step, ... along each axis; the last go on.
    shape
        Shape of the fine grid.
    step
        Fine voxels between two coarse ones.
    """
    fine = np.asarray(coarse, dtype=np.float32)
    for axis, length in enumerate(shape):
        fine = interpolate(fine, axis, step, length)
    return fine


def interpolate(array: np.ndarray, axis: int, step: float, length: int) -> np.ndarray:
    """Interpolate a float32 array linearly along one axis at positions 0, 1/step, 2/step, ..."""
    position = np.arange(length) / step
    low = np.minimum(position.astype(int), max(array.shape[axis] - 2, 0))
    high = np.minimum(low + 1, array.shape[axis] - 1)
    across = [1] * array.ndim
    across[axis] = length
    weight = np.minimum(position - low, 1).astype(np.float32).reshape(across)
    fine = np.take(array, high, axis=axis)
    first = np.take(array, low, axis=axis)
    fine -= first
    fine *= weight
    fine += first
    return fine


def coarse_shape(shape: tuple[int, ...], step: float) -> tuple[int, ...]:
    """Return the shape of the coarse grid that samples a fine one every ``step`` voxels."""
    return tuple(int((n - 1) / step) + 1 for n in shape)


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, ...], scale: float, step: float | None = None
) -> np.ndarray:
    """Return a Gaussian random field with mean 0 and SD 1 (float32).

    Parameters
    ----------
    rng
        Source of randomness.
    shape
        Shape of the field.
    scale
        Standard deviation in voxels of the Gaussian that makes it smooth.
    step
        The field is drawn on a grid coarser by this factor; by default ``scale / 1.5``.
    """
    step = max(1.0, scale / 1.5) if step is None else step
    coarse = rng.standard_normal(coarse_shape(shape, step), dtype=np.float32)
    coarse = ndimage.gaussian_filter(coarse, scale / step, mode="wrap", truncate=3)
    coarse /= max(float(coarse.std()), 1e-6)
    return coarse if step == 1.0 else upsample(coarse, shape, step)


def soft_step(value: np.ndarray, width: float) -> np.ndarray:
    """Return 0 well below zero, 1 well above, linear over ``width`` around zero."""
    return np.clip(value / width + 0.5, 0, 1)
