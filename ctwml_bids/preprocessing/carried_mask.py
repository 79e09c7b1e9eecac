"""A FLAIR's brain mask on the CT: carried there, and without the bone that the CT shows."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids.geometry import bounding_box
from ctwml_bids.preprocessing.brain_border import largest
from ctwml_bids.preprocessing.grids import Grid, grid_of, resample


def carry(mask: nib.Nifti1Image, grid: Grid, flair_to_ct: np.ndarray) -> np.ndarray:
    """Bring a FLAIR's brain mask onto the CT's grid.

    Parameters
    ----------
    mask
        uint8, on the FLAIR's grid.
    grid
        The CT's grid.
    flair_to_ct
        4×4, RAS mm: FLAIR points → CT points.

    Returns
    -------
    numpy.ndarray
        bool, shape ``grid.shape``.
    """
    array = np.asarray(mask.dataobj)
    return resample(array, mask.affine, grid, np.linalg.inv(flair_to_ct)) >= 0.5


def without_bone(
    mask: np.ndarray, ct: nib.Nifti1Image, bone_hu: float
) -> tuple[np.ndarray, dict[str, float]]:
    """Take bone out of a brain mask from its outside inwards.

    A FLAIR shows no bone: on thick slices its brain mask reaches a few mm into the vault, most
    where the vault slopes. Only bone that reaches the mask's surface goes, with what it cuts off
    (marrow, scalp); calcifications within the brain stay.

    Parameters
    ----------
    mask
        bool, shape (x, y, z), on the CT's grid.
    ct
        CT in HU, same grid.
    bone_hu
        What is at least as bright is bone, HU.

    Returns
    -------
    numpy.ndarray
        bool, same shape; never empty where the mask was not, even if all of it is bone.
    dict
        ``carried_ml``, volume before; ``bone_ml``, what of it was as bright as bone;
        ``removed_ml``.
    """
    voxel_ml = grid_of(ct).voxel_ml
    inside = np.asarray(mask) > 0
    bone = inside & (np.asarray(ct.dataobj) >= bone_hu)
    if not inside.any():
        return inside, {"carried_ml": 0.0, "bone_ml": 0.0, "removed_ml": 0.0}
    box = bounding_box(inside, 1)
    # Outside of the mask, in a margin that surrounds it, and the bone that touches it from there.
    around, hard = np.pad(~inside[box], 1, constant_values=True), np.pad(bone[box], 1)
    reached = ndimage.binary_propagation(around, mask=around | hard)[1:-1, 1:-1, 1:-1]
    kept = inside.copy()
    kept[box] &= ~reached
    kept = largest(kept) if kept.any() else inside
    facts = {
        "carried_ml": round(float(inside.sum() * voxel_ml), 1),
        "bone_ml": round(float(bone.sum() * voxel_ml), 1),
        "removed_ml": round(float((inside & ~kept).sum() * voxel_ml), 1),
    }
    return kept, facts
