"""The level of nothing on an MR image, which scales are counted from."""

from __future__ import annotations

import numpy as np

# Values below this percentile, by more than this share of the way up to bright tissue, are bad
# voxels. Ringing around an extracted brain reaches 0.2 (sub-lj07, sub-lj19).
FLOOR_PERCENT, BRIGHT_PERCENT, REACH = 0.1, 99.0, 0.25


def above_floor(values: np.ndarray) -> np.ndarray:
    """Count MR intensities from the darkest that is no bad voxel.

    Parameters
    ----------
    values
        Intensities, any shape and scale.

    Returns
    -------
    numpy.ndarray
        0 there and at voxels that are darker.
    """
    low, bright = np.percentile(values, (FLOOR_PERCENT, BRIGHT_PERCENT))
    floor = values[values >= low - REACH * (bright - low)].min()
    return np.maximum(values - floor, 0)
