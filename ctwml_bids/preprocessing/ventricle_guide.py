"""Where the packaged template expects ventricles in a head in a head."""

from __future__ import annotations

from collections.abc import Sequence

import nibabel as nib
import numpy as np

from ctwml_bids.preprocessing.grids import Grid, resample

# Lowest and highest distance from the midline, then y and z, in template mm.
Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


def carried(
    template_ventricles: nib.Nifti1Image, template_to_native: np.ndarray, grid: Grid
) -> np.ndarray:
    """Bring the template's ventricles onto a grid in a head: bool, shape ``grid.shape``.

    Averaged over the grid's voxels: between thick slices the horns would be missed otherwise.
    """
    mask = np.asarray(template_ventricles.dataobj, dtype=np.float32)
    to_template = np.linalg.inv(template_to_native)
    return resample(mask, template_ventricles.affine, grid, to_template, average=True) > 0.5


def in_boxes(
    grid: Grid, part: tuple[slice, ...], template_to_native: np.ndarray, boxes: Sequence[Box]
) -> np.ndarray:
    """Tell which voxels of a part of a grid lie in boxes of the template's space, on either side.

    Parameters
    ----------
    grid, part
        A grid in the head, and slices of it.
    template_to_native
        4×4, RAS mm.
    boxes
        Edges included.
    """
    to_template = np.linalg.inv(template_to_native) @ grid.affine
    i, j, k = np.ogrid[part]
    x, y, z = (
        (row[0] * i + row[1] * j + row[2] * k + row[3]).astype(np.float32)
        for row in to_template[:3]
    )
    inside = np.zeros(x.shape, dtype=bool)
    for edges in boxes:
        within = [
            (a >= low) & (a <= high) for a, (low, high) in zip((abs(x), y, z), edges, strict=True)
        ]
        inside |= within[0] & within[1] & within[2]
    return inside
