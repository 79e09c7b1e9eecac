"""Numbers on a CT that a human should see before its lesions are believed.

They are flags, not diagnoses: bright voxels may be blood, contrast or calcification, a large
dark region an infarct, a cyst or a shunt's path.
"""

from __future__ import annotations

import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids.preprocessing.blocks import block_mean
from ctwml_bids.preprocessing.grids import grid_of
from ctwml_bids.preprocessing.hypodensity import large_dark_areas, not_covered

# Analysis voxels, mm: no finer than this, so that noise averages out.
WORKING_MM = 2.0
# Smoothing (SD, mm) on top of that.
SMOOTH_MM = 2.0
# Depth below the brain's surface from which brightness is not partial volume of bone, mm.
DEPTH_MM = 6.0
# Fresh blood reads 60 to 80 HU, enhanced vessels more; grey matter stays below 45.
BRIGHT_HU = 55.0
# Above this after averaging it is calcification or metal, not blood.
CALCIUM_HU = 120.0


def ct_quality(
    image: nib.Nifti1Image,
    brain_mask: nib.Nifti1Image,
    ventricles: nib.Nifti1Image,
    guide_to_ct: np.ndarray,
    infarcts: np.ndarray | None = None,
) -> dict:
    """Measure what speaks against trusting a CT's lesion volume.

    Parameters
    ----------
    image
        CT in HU, shape (x, y, z), orthonormal axes closest to RAS.
    brain_mask
        uint8 on the same grid.
    ventricles
        uint8 on the same grid; kept out of the dark areas.
    guide_to_ct
        4×4, RAS mm: points of the packaged template → points of the CT.
    infarcts
        Mask on the same grid, bool, where a model marks infarcts.

    Returns
    -------
    dict
        ``brain_ml``; ``tissue_hu``, median HU of the brain without surface and fluid (None if
        empty); ``noise_hu``, SD of the difference of neighbouring voxels over √2, robust;
        ``bright_ml``; ``dark_region_ml``, what large dark areas in place of tissue hold
        (`large_dark_areas`); with ``infarcts`` ``dark_unmarked_ml``, what these leave of those
        areas of which they cover less than half (`not_covered`).
    """
    grid = grid_of(image)
    inside = np.asarray(brain_mask.dataobj) > 0
    data = np.asarray(image.dataobj, dtype=np.float32)
    hu, coarse = block_mean(data, grid, WORKING_MM)
    brain = block_mean(inside, grid, WORKING_MM)[0] >= 0.99
    fluid = block_mean(np.asarray(ventricles.dataobj) > 0, grid, WORKING_MM)[0] > 0
    hu = ndimage.gaussian_filter(np.clip(hu, -50, 200), SMOOTH_MM / coarse.spacing)
    depth = ndimage.distance_transform_edt(brain, coarse.spacing)
    tissue = tissue_hu(hu[(depth > DEPTH_MM) & ~fluid])
    bright = (depth > DEPTH_MM) & (hu > BRIGHT_HU) & (hu < CALCIUM_HU)
    areas = np.zeros(brain.shape, dtype=bool)
    if tissue is not None:
        areas = large_dark_areas(
            hu, brain, fluid, tissue_hu=tissue, grid=coarse, guide_to_ct=guide_to_ct
        )
    unmarked = {}
    if infarcts is not None:
        left = not_covered(areas, block_mean(infarcts, grid, WORKING_MM)[0] >= 0.5)
        ml = float(np.count_nonzero(left)) * coarse.voxel_ml
        unmarked = {"dark_unmarked_ml": round(ml, 2)}
    return {
        "brain_ml": round(float(inside.sum()) * grid.voxel_ml, 1),
        "tissue_hu": None if tissue is None else round(tissue, 2),
        "noise_hu": _noise(data, inside),
        "bright_ml": round(float(bright.sum()) * coarse.voxel_ml, 2),
        "dark_region_ml": round(float(np.count_nonzero(areas)) * coarse.voxel_ml, 2),
        **unmarked,
    }


def tissue_hu(values: np.ndarray) -> float | None:
    """Median of brain values (HU) after one trimming of fluid, blood and calcium."""
    if values.size == 0:
        return None
    middle = float(np.median(values))
    near = values[np.abs(values - middle) < 15.0]
    return float(np.median(near)) if near.size else middle


def _noise(data: np.ndarray, inside: np.ndarray) -> float | None:
    """Noise SD in HU from differences along x between brain voxels, by their median."""
    both = inside[1:] & inside[:-1]
    if not both.any():
        return None
    step = np.abs(np.diff(data, axis=0)[both])
    # Median of |N(0, s)| is 0.6745 s; a difference of two voxels has SD s times the root of 2.
    return round(float(np.median(step) / 0.6745 / np.sqrt(2.0)), 2)
