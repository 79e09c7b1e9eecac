"""Islands of lesion probability outside the white matter."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

# What holds together above this is judged together: low, so that little is left around an island.
LEVEL = 0.1


def outside_white_matter(
    probability: np.ndarray, white_matter: np.ndarray, share: float
) -> np.ndarray:
    """Find regions of lesion probability that lie mostly outside the white matter.

    What a network marks in a fissure or in the cortex, apart from everything in the white matter,
    is fluid or grey matter. A region that reaches into the white matter stays whole: a template's
    tissue lies some millimetres off in a head with atrophy.

    Parameters
    ----------
    probability
        Lesion probability, (x, y, z).
    white_matter
        Probability of white matter on the same grid, such as a template's.
    share
        A region (26-connected, probability above `LEVEL`) is outside if the mean of
        ``white_matter`` over it, weighted by ``probability``, is below this.

    Returns
    -------
    numpy.ndarray
        bool, (x, y, z): the voxels of regions outside.
    """
    regions, count = ndimage.label(probability > LEVEL, structure=np.ones((3, 3, 3)))
    flat = regions.ravel()
    total = np.bincount(flat, probability.ravel(), count + 1)
    white = np.bincount(flat, (probability * white_matter).ravel(), count + 1)
    outside = white < share * total
    outside[0] = False
    return outside[regions]
