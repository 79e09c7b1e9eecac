"""Noise of a CT: its power over spatial frequency, and slices of it.

Filtered back projection weights spatial frequencies by a ramp, so its noise has little power near
zero frequency, most at a few millimetres, and none beyond what the kernel lets through.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft

from ctwml_bids.simulation.sampling import Scan

HIGHEST = 2.0  # cycles per mm; no kernel for soft tissue passes more
SLICES_APART = 4.0  # mm; slices as far apart or farther have independent noise
SHARP_CUTOFF = 0.24  # cycles per mm; kernels that pass more are called sharp
REFERENCE_SLICE = 5.0  # mm; the slice thickness for which the SD is given


@dataclass(frozen=True)
class NoiseTexture:
    """How noise is distributed over spatial frequencies, without its strength.

    Attributes
    ----------
    floor
        Cycles per mm below which the ramp no longer falls.
    cutoff
        Cycles per mm at which the kernel passes half of the power.
    order
        How steeply the kernel falls: 1 exponential, 2 Gaussian.
    reach
        mm over which the noise of neighbouring thin slices is alike (0: not at all).
    """

    floor: float
    cutoff: float
    order: float
    reach: float


def draw_texture(rng: np.random.Generator) -> NoiseTexture:
    """Draw a texture around those of real CTs.

    Fits to white matter of real CTs (floor, cutoff, order): 0.03, 0.25, 1.7 for a standard kernel;
    0.07, 0.23, 2.0 for a sharp one; 0.2, 0.11, 1.0 for an image resampled after a gantry tilt,
    whose slices 2.6 mm apart correlate by 0.8. Slices 4.9 mm apart do not correlate.
    """
    order = float(rng.uniform(0.8, 2.3))
    cutoff = (0.115 + 0.12 * (order - 1)) * np.exp(rng.normal(0, 0.2))
    return NoiseTexture(
        floor=float(np.exp(rng.uniform(np.log(0.02), np.log(0.25)))),
        cutoff=float(np.clip(cutoff, 0.08, 0.38)),
        order=order,
        reach=float(rng.uniform(0.5, 5.5)) if rng.random() < 0.4 else 0.0,
    )


def _shape(texture: NoiseTexture, frequency: np.ndarray) -> np.ndarray:
    ramp = np.hypot(frequency, texture.floor)
    return ramp * np.exp2(-((frequency / texture.cutoff) ** texture.order))


def power(texture: NoiseTexture, sd: float, frequency: np.ndarray) -> np.ndarray:
    """Return the noise power at spatial frequencies.

    Parameters
    ----------
    texture
        How it is distributed.
    sd
        Standard deviation in HU over all frequencies up to `HIGHEST`.
    frequency
        Cycles per mm in the slice, any shape.

    Returns
    -------
    numpy.ndarray
        HU² mm², same shape; its integral over the plane of frequencies is ``sd``².
    """
    radii = np.linspace(0, HIGHEST, 2001)
    total = np.trapezoid(2 * np.pi * radii * _shape(texture, radii), radii)
    return sd**2 * _shape(texture, frequency) / total


def sd_of_slice(sd: float, thickness: float) -> float:
    """Return the SD in slices of a thickness (mm), from that in slices of 5 mm.

    The current of a tube is raised for thin slices, but not by as much as they lose.
    """
    return float(sd * (REFERENCE_SLICE / np.clip(thickness, 1.0, 8.0)) ** 0.4)


def draw_noise(
    rng: np.random.Generator, scan: Scan, texture: NoiseTexture, sd: float
) -> np.ndarray:
    """Draw noise on a scanner's grid.

    Frequencies that the grid cannot hold are left out, as averaging into larger pixels does; so
    the SD is smaller than ``sd`` where pixels are large.

    Parameters
    ----------
    rng
        Source of randomness.
    scan
        The grid; slices along its third axis.
    texture, sd
        As for `power`.

    Returns
    -------
    numpy.ndarray
        float32 HU, shape ``scan.shape``.
    """
    dx, dy, dz = scan.spacing
    padded = [fft.next_fast_len(n, real=True) for n in scan.shape[:2]]
    radius = np.hypot(fft.fftfreq(padded[0], dx)[:, None], fft.rfftfreq(padded[1], dy)[None])
    # White noise of SD 1 has a power of one pixel's area.
    amplitude = np.sqrt(power(texture, sd, radius) / (dx * dy)).astype(np.float32)
    alike = np.exp(-((dz / texture.reach) ** 2)) if texture.reach and dz < SLICES_APART else 0.0
    noise = np.empty(scan.shape, dtype=np.float32)
    white = rng.standard_normal(padded, dtype=np.float32)
    for k in range(scan.shape[2]):
        if k:
            new = rng.standard_normal(padded, dtype=np.float32)
            white = np.float32(alike) * white + np.float32(np.sqrt(1 - alike**2)) * new
        plane = fft.irfft2(fft.rfft2(white) * amplitude, s=padded)
        noise[:, :, k] = plane[: scan.shape[0], : scan.shape[1]]
    return noise
