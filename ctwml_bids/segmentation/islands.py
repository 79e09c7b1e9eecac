"""Small regions that are left out: WML outside the white matter, and specks of infarct."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

# What holds together above this is judged together: low, so that little is left around an island.
LEVEL = 0.1
# An island marks less than this, in the template's space (about 1.1 mL in a head).
ISLAND_ML = 1.5


def outside_white_matter(
    probability: np.ndarray,
    white_matter: np.ndarray,
    *,
    share: float,
    threshold: float,
    voxel_ml: float,
) -> np.ndarray:
    """Find small regions of lesion probability that lie mostly outside the white matter.

    What a network marks in a fissure or in the cortex, apart from everything in the white matter,
    is fluid or grey matter. A region that reaches into the white matter stays whole, and a large
    one in any case: a template's tissue lies some millimetres off in a head with atrophy.

    Parameters
    ----------
    probability
        Lesion probability, (x, y, z).
    white_matter
        Probability of white matter on the same grid (`normalisation.white_matter_on_grid`).
    share
        A region (26-connected, probability above `LEVEL`) is outside if the mean of
        ``white_matter`` over it, weighted by ``probability``, is below this.
    threshold
        Of the lesion mask: a region that has `ISLAND_ML` and more above it is no island.
    voxel_ml
        Volume of a voxel of the grid in mL.

    Returns
    -------
    numpy.ndarray
        bool, (x, y, z): the voxels of islands outside.
    """
    regions, count = ndimage.label(probability > LEVEL, structure=np.ones((3, 3, 3)))
    flat = regions.ravel()
    total, white, marked = (
        np.bincount(flat, weights.ravel(), count + 1)
        for weights in (probability, probability * white_matter, probability > threshold)
    )
    outside = (white < share * total) & (marked * voxel_ml < ISLAND_ML)
    outside[0] = False
    return outside[regions]


def small_regions(mask: np.ndarray, least_ml: float, voxel_ml: float) -> np.ndarray:
    """Find the regions of a mask that are too small to be believed.

    Parameters
    ----------
    mask
        bool, (x, y, z).
    least_ml
        A region (26-connected) of less than this volume is small.
    voxel_ml
        Volume of a voxel of the grid in mL.

    Returns
    -------
    numpy.ndarray
        bool, (x, y, z): the voxels of small regions.
    """
    regions, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    small = np.bincount(regions.ravel(), minlength=count + 1) * voxel_ml < least_ml
    small[0] = False
    found: np.ndarray = small[regions]
    return found
