"""CTs that were exported through a display window: 8 bits between its two ends."""

from __future__ import annotations

from collections.abc import Sequence

import nibabel as nib
import numpy as np

from ctwml_bids.geometry import nifti

LEVELS = 255  # steps of 8 bits


def through_window(image: nib.Nifti1Image, window: Sequence[float]) -> nib.Nifti1Image:
    """Clip a CT to a window and round it to 256 grey values, as an 8-bit export does.

    Parameters
    ----------
    image
        CT in HU.
    window
        Lower and upper end in HU. Air and padding get the lower one, bone the upper one.

    Returns
    -------
    nibabel.Nifti1Image
        HU as a reader sees them after rescaling, float32, on the same grid.

    Raises
    ------
    ValueError
        If the upper end is not above the lower one.
    """
    low, high = (float(end) for end in window)
    if not low < high:
        raise ValueError(f"ct_window must be a lower and a higher value in HU, not {window!r}")
    grey = np.round((np.clip(np.asarray(image.dataobj), low, high) - low) / (high - low) * LEVELS)
    return nifti((low + grey * (high - low) / LEVELS).astype(np.float32), image.affine)
