"""Noise power of a CT in white matter, the texture that fits it, and how near that comes."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from scipy import ndimage
from scipy.optimize import least_squares

from ctwml_bids import templates
from ctwml_bids.preprocessing.grids import Grid, resample
from ctwml_bids.simulation.ct_noise import NoiseTexture, draw_noise, power
from ctwml_bids.simulation.pair import simulate_pair
from ctwml_bids.simulation.sampling import Scan

PATCH_MM = 16.0  # edge of the squares in which noise is measured
PATCHES = 60  # at most
COVER = 0.93  # share of a square that is white matter away from edges
BINS = np.arange(0.03, 1.0, 0.06)  # cycles per mm
HIGHEST = 0.5  # cycles per mm up to which textures are fitted and compared
# Limits of floor, cutoff and order within which `ct_noise.draw_texture` draws.
DRAWN = ((0.02, 0.08, 0.8), (0.25, 0.38, 2.3))


def calm_white(hu: np.ndarray, grid: Grid, brain: np.ndarray, white: np.ndarray) -> np.ndarray:
    """Mark white matter (share over 0.75) without fluid or bone nearby; arrays (x, y, z)."""
    soft = ndimage.gaussian_filter(hu, (*(1.5 / grid.spacing[:2]), 0))
    return brain & (white > 0.75) & (soft > 18) & (soft < 36)


def away_from(lesions: np.ndarray, grid: Grid) -> np.ndarray:
    """Mark what is more than 3 mm from lesions."""
    if not lesions.any():
        return np.ones(lesions.shape, dtype=bool)
    return ndimage.distance_transform_edt(~lesions, sampling=grid.spacing) > 3


def patches(hu: np.ndarray, grid: Grid, calm: np.ndarray) -> np.ndarray:
    """Return squares of HU in calm places, each without its quadratic trend, shape (n, e, e)."""
    edge = max(8, round(PATCH_MM / float(grid.spacing[:2].mean())))
    y, x = np.meshgrid(np.linspace(-1, 1, edge), np.linspace(-1, 1, edge), indexing="ij")
    terms = np.stack([np.ones(edge**2), *(t.ravel() for t in (x, y, x * x, x * y, y * y))], 1)
    found: list[np.ndarray] = []
    for z in np.flatnonzero(calm.any(axis=(0, 1))):
        cover = ndimage.uniform_filter(calm[:, :, z].astype(np.float32), edge)
        while cover.max() > COVER and len(found) < PATCHES:
            i, j = (int(k) for k in np.unravel_index(cover.argmax(), cover.shape))
            part = hu[i - edge // 2 :, j - edge // 2 :, z][:edge, :edge]
            trend = terms @ np.linalg.lstsq(terms, part.ravel(), rcond=None)[0]
            found.append(part - trend.reshape(edge, edge))
            reach = edge // 2
            cover[max(i - reach, 0) : i + reach, max(j - reach, 0) : j + reach] = 0
    return np.array(found).reshape(-1, edge, edge)


def radial_power(squares: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return spatial frequencies (cycles per mm) and the mean noise power there (HU² mm²)."""
    edge = squares.shape[1]
    window = np.outer(np.hanning(edge), np.hanning(edge))
    spacing = grid.spacing[:2]
    raw = np.mean(np.abs(np.fft.fft2(squares * window)) ** 2, axis=0)
    raw *= float(np.prod(spacing)) / (window**2).sum()
    axes = [np.fft.fftfreq(edge, float(step)) for step in spacing]
    radius = np.hypot(*np.meshgrid(*axes, indexing="ij"))
    place = np.digitize(radius, BINS)
    bins = [place == k for k in range(1, len(BINS)) if (place == k).any()]
    return (
        np.array([radius[part].mean() for part in bins]),
        np.array([raw[part].mean() for part in bins]),
    )


def fit_texture(frequency: np.ndarray, measured: np.ndarray) -> tuple[NoiseTexture, float]:
    """Return the texture within the drawn range, and the SD in HU, that fit a noise power best.

    Parameters
    ----------
    frequency, measured
        From `radial_power`. What is above `HIGHEST` is left out, and so is the lowest bin:
        tissue that differs from place to place and the removed trend change it.
    """
    used = (frequency > BINS[1]) & (frequency <= HIGHEST)
    at, wanted = frequency[used], np.log(measured[used])

    def off(values: np.ndarray) -> np.ndarray:
        texture = NoiseTexture(*values[1:], reach=0.0)
        return np.log(power(texture, np.exp(values[0]), at)) - wanted

    bounds = [(np.log(0.1), *DRAWN[0]), (np.log(50), *DRAWN[1])]
    starts = [(1.0, floor, cutoff, order) for floor, cutoff, order in
              ((0.03, 0.25, 1.7), (0.2, 0.12, 1.1))]  # fmt: skip
    found = min((least_squares(off, s, bounds=bounds) for s in starts), key=lambda r: r.cost)
    sd, floor, cutoff, order = (float(value) for value in found.x)
    return NoiseTexture(floor, cutoff, order, reach=0.0), float(np.exp(sd))


def simulated_power(
    grid: Grid, texture: NoiseTexture, sd: float, age: float, lesion_ml: float, seed: int
) -> np.ndarray:
    """Return the power, by frequency, of a simulated head with noise of a texture.

    Parameters
    ----------
    grid
        Of the real CT: the head is sampled with its voxel size.
    texture, sd
        Of the noise.
    age, lesion_ml, seed
        Of the head: years, mL.
    """
    spacing = tuple(float(step) for step in grid.spacing)
    pair = simulate_pair(
        seed, age=age, lesion_ml=lesion_ml, modality="ct", ct_noise=1e-9, ct_spacing=spacing
    )
    own = Grid(pair.ct.shape, pair.ct.affine)
    scan = Scan(own.shape, own.affine, spacing[2])
    hu = np.asarray(pair.ct.dataobj, dtype=np.float32)
    hu += draw_noise(np.random.default_rng(seed), scan, texture, sd)
    brain, lesions = (
        np.asarray(image.dataobj) > 0 for image in (pair.ct_truth.brain, pair.ct_truth.lesions)
    )
    template = nib.load(templates.packaged().wm)
    white = resample(
        np.asarray(template.dataobj, np.float32), template.affine, own,
        np.linalg.inv(pair.template_to_ct),
    )  # fmt: skip
    calm = calm_white(hu, own, brain, white) & away_from(lesions, own)
    return radial_power(patches(hu, own, calm), own)[1]
