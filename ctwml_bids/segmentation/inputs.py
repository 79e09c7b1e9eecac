"""What the lesion networks see of a head on their grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ctwml_bids.preprocessing.normalisation import network_input

# Soft tissue and fluid lie between these; air and bone that a brain mask's edge takes in (2–5% of
# its voxels on thick slices) lie outside, and would more than double the SD of the brain.
SOFT_TISSUE_HU = (-20.0, 80.0)


def network_channels(array: np.ndarray, mask: np.ndarray, channels: Sequence[str]) -> np.ndarray:
    """Make the input of a lesion network: training and inference both come through here.

    On CT ("hu" among the channels) air and bone within the mask are background, so that the
    mean and SD of the z-score are those of soft tissue and fluid.

    Parameters
    ----------
    array
        Image on the network's grid, (x, y, z); HU for CT.
    mask
        Brain mask on the same grid; inside where > 0.5.
    channels
        As in `normalisation.network_input`.

    Returns
    -------
    numpy.ndarray
        float32, (channels, x, y, z), −3 outside the brain.

    Raises
    ------
    BadDataError
        If nothing is left of the mask, or the image is constant within it.
    """
    inside = np.asarray(mask) > 0.5
    if "hu" in channels:
        low, high = SOFT_TISSUE_HU
        inside &= (array > low) & (array < high)
    return network_input(array, inside, channels)


def with_neighbours(channels: np.ndarray, context: int, fill: float) -> np.ndarray:
    """Give every slice its neighbours: (channels, x, y, z) → (slices · channels, x, y, z).

    Images are ordered from the slice below to the one above, the channels of each together;
    ``fill`` lies beyond the first and the last slice.
    """
    if context == 0:
        return channels
    depth = channels.shape[-1]
    ends = [(0, 0)] * (channels.ndim - 1) + [(context, context)]
    padded = np.pad(channels, ends, constant_values=fill)
    return np.concatenate([padded[..., k : k + depth] for k in range(2 * context + 1)])
