"""Smooth random fields and cheap resampling between regular grids."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import ndimage


def upsample(coarse: np.ndarray, shape: tuple[int, ...], step: float, order: int = 1) -> np.ndarray:
    """Sample a coarse grid at every voxel of a fine one (float32).

    Parameters
    ----------
    coarse
        Values at fine positions 0, step, 2·step, ... along each axis.
    shape
        Shape of the fine grid.
    step
        Fine voxels between two coarse ones.
    order
        Spline order.
    """
    with warnings.catch_warnings():
        # SciPy warns that a diagonal is read as a matrix nowadays, which is what is meant.
        warnings.simplefilter("ignore", UserWarning)
        return ndimage.affine_transform(
            np.asarray(coarse, dtype=np.float32),
            np.full(len(shape), 1.0 / step),
            output_shape=shape,
            order=order,
            mode="nearest",
            output=np.float32,
        )


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
