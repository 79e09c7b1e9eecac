"""The classes that a lesion network tells apart, and which voxel belongs to which.

A network has the first two of them, or all three, as Guerrero et al. 2018 (NeuroImage: Clinical
17:918–934) trained uResNet on FLAIR: stroke is then no longer taken for WML.
"""

from __future__ import annotations

import numpy as np

# As in labels and in the output of networks.
BACKGROUND, WML, INFARCT = range(3)
# As model cards name them, in that order.
NAMES = ("background", "WML", "infarct")
COUNTS = (2, 3)


def exclusive_masks(
    wml: np.ndarray,
    threshold: float,
    infarct: np.ndarray | None = None,
    infarct_threshold: float | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Make masks of WML and infarcts from their probabilities; no voxel is in both.

    Where both exceed their thresholds, the one with the larger ratio of probability to threshold
    wins; WML where the ratios are equal.

    Parameters
    ----------
    wml, infarct
        Probabilities, of the same shape; ``infarct`` is None where the network has no such class.
    threshold, infarct_threshold
        A voxel is a lesion where the probability is above this.

    Returns
    -------
    wml, infarct
        bool, of that shape; the second is None without infarct probabilities.

    Raises
    ------
    ValueError
        If there are infarct probabilities without a threshold.
    """
    is_wml: np.ndarray = wml > threshold
    if infarct is None:
        return is_wml, None
    if infarct_threshold is None:
        raise ValueError("Infarct probabilities need a threshold.")
    is_infarct: np.ndarray = infarct > infarct_threshold
    both = is_wml & is_infarct
    # The few voxels alone: a large CT has a hundred million.
    larger = infarct[both] * threshold > wml[both] * infarct_threshold
    is_wml[both], is_infarct[both] = ~larger, larger
    return is_wml, is_infarct
