"""Mean HU across the border of lesions on a CT."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ctwml_bids.preprocessing.grids import Grid

STEPS = np.arange(-8.5, 12.0, 1.0)  # mm, limits of the bins; negative inside
FLUID_MM = 3.0  # what is nearer to fluid is left out: partial volume
LEAST_VOXELS = 200  # per bin


def edge_profile(
    hu: np.ndarray, grid: Grid, brain: np.ndarray, white: np.ndarray, lesions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return mm from the border of lesions and the mean HU of white matter there.

    Parameters
    ----------
    hu, grid
        The CT, axes x, y, z.
    brain, lesions
        bool.
    white
        Share of white matter by the template, 0–1.

    Returns
    -------
    distance
        Centres of the bins in mm, negative inside.
    mean
        HU; NaN where a bin has under `LEAST_VOXELS` voxels.
    """
    soft = ndimage.gaussian_filter(hu, (*(1.5 / grid.spacing[:2]), 0))
    fluid = ndimage.binary_opening(brain & (soft < 10), np.ones((3, 3, 1)))
    dry = ndimage.distance_transform_edt(~fluid, sampling=grid.spacing) >= FLUID_MM
    used = brain & (white > 0.6) & (soft < 42) & dry
    outside = ndimage.distance_transform_edt(~lesions, sampling=grid.spacing)
    inside = ndimage.distance_transform_edt(lesions, sampling=grid.spacing)
    half = float(grid.spacing[:2].mean()) / 2
    distance = np.where(lesions, half - inside, outside - half)[used]
    place = np.digitize(distance, STEPS)
    values = hu[used]
    mean = [
        values[place == k].mean() if (place == k).sum() >= LEAST_VOXELS else np.nan
        for k in range(1, len(STEPS))
    ]
    return (STEPS[1:] + STEPS[:-1]) / 2, np.array(mean)
