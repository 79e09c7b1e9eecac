"""Random contrast, sharpness and shading of FLAIR patches.

The simulated FLAIR images are smoother than real ones, and their lesions brighter than many that
experts outline: a network that saw no image of a data set took sharp bright cortex for lesions
there, and missed faint ones. FLAIR is not calibrated either, so appearance may vary beyond what
the simulation and a few real images show.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ctwml_bids.training.patches import jitter_intensities

# Knots of the random curve, in SD of the brain: fluid, dark tissue, white matter, grey matter and
# (the last two pieces) what is brighter than nearly all of it, lesions above all.
_KNOTS = np.array([-3.0, -1.5, -0.4, 0.3, 0.9, 1.6, 3.0])
_FIXED = 3  # the curve passes through this knot unchanged
# SD of the logarithm of each piece's slope, and the range of the last two pieces' common factor.
_SLOPE_SD = 0.25
_BRIGHT_SLOPE = (0.4, 1.3)
# Largest share of the difference from a 3 × 3 mean that is added (sharper) or taken away.
_SHARPEN = (-0.6, 1.5)
_MOST_NOISE = 0.3
_MOST_SHADING = 0.3


def jitter_contrasts(
    rng: np.random.Generator, channels: np.ndarray, brain: np.ndarray
) -> np.ndarray:
    """Vary the contrast, sharpness, shading and noise of every patch, then as on CT.

    Parameters
    ----------
    rng
        Source of randomness.
    channels
        Patches of z-scored images, (n, c, slices, x, y).
    brain
        Where they are not background, (n, slices, x, y), bool.

    Returns
    -------
    numpy.ndarray
        As ``channels``, float32; outside the brain without meaning.
    """
    varied = np.where(brain[:, None], channels, 0).astype(np.float32)
    for index in range(len(varied)):
        if rng.random() < 0.6:
            varied[index] = _sharpened(rng, varied[index], brain[index])
        if rng.random() < 0.8:
            varied[index] = np.interp(varied[index], _KNOTS, random_curve(rng))
    varied += _shading(rng, varied.shape)
    strength = rng.uniform(0, _MOST_NOISE, (len(varied), 1, 1, 1, 1))
    strength *= rng.random(strength.shape) < 0.5
    varied += strength * rng.standard_normal(varied.shape, dtype=np.float32)
    return jitter_intensities(rng, varied, brain)


def random_curve(rng: np.random.Generator) -> np.ndarray:
    """Return what the knots of an intensity curve become: increasing, (7,), in SD."""
    slopes = np.exp(rng.normal(0, _SLOPE_SD, len(_KNOTS) - 1))
    slopes[-2:] *= np.exp(rng.uniform(*np.log(_BRIGHT_SLOPE)))
    heights = np.r_[0.0, np.cumsum(slopes * np.diff(_KNOTS))]
    return heights - heights[_FIXED] + _KNOTS[_FIXED]


def _sharpened(rng: np.random.Generator, patch: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Sharpen or soften a patch (c, slices, x, y) in its plane, within the brain alone."""
    size = (1, 1, 3, 3)
    inside = np.broadcast_to(brain, patch.shape).astype(np.float32)
    weight = ndimage.uniform_filter(inside, size, mode="nearest")
    mean = ndimage.uniform_filter(patch * inside, size, mode="nearest") / np.maximum(weight, 1e-3)
    return patch + np.float32(rng.uniform(*_SHARPEN)) * (patch - mean) * inside


def _shading(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return a level that changes linearly over each patch, (n, 1, 1, x, y), float32."""
    x, y = (np.linspace(-1, 1, size, dtype=np.float32) for size in shape[-2:])
    along = rng.uniform(-0.5, 0.5, (2, shape[0], 1, 1, 1, 1)).astype(np.float32) * _MOST_SHADING
    return along[0] * x[:, None] + along[1] * y[None, :]
