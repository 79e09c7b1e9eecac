"""Brightness of grey matter and fluid beside white matter: what tells a FLAIR from T1w and T2w.

On FLAIR fluid is dark and grey matter brighter than white; on T1w grey matter is darker, on T2w
fluid bright. The numbers are ratios of medians in regions of the template's tissue maps, so that
neither scale nor lesions nor the exact fit matter much.
"""

from __future__ import annotations

import math

import nibabel as nib
import numpy as np

from ctwml_bids.preprocessing.grids import Grid, grid_of, resample

# Regions are looked at on the template's axes at this resolution, mm.
_SPACING_MM = np.array([2.0, 2.0, 3.0])
# Tissue probability above which a voxel belongs to a region, and share of it in the brain mask.
_WHITE, _GREY, _VENTRICLE, _BRAIN = 0.9, 0.7, 0.9, 0.9
# Values under this share of the brain's median are fluid on FLAIR and T1w: sulci and wide
# ventricles lie in the regions of grey and white matter.
_FLUID = 0.6
# Fewer voxels (12 µL each) say nothing: an image may end below the ventricles.
_LEAST_VOXELS = 50


def flair_contrast(
    image: nib.Nifti1Image,
    brain_mask: nib.Nifti1Image,
    template_to_native: np.ndarray,
    tissues: dict[str, nib.Nifti1Image],
) -> dict[str, float]:
    """Measure how bright grey matter and fluid are beside white matter.

    Parameters
    ----------
    image
        MR image, 3D, any orientation and scale.
    brain_mask
        uint8 on the image's grid.
    template_to_native
        4×4, RAS mm: points of the template → points of the image (`nine_parameter`).
    tissues
        In template space: ``gm`` and ``wm`` (probabilities, 0–1) and ``ventricles`` (mask).

    Returns
    -------
    dict
        ``grey_to_white``, medians; ``grey_to_darker_white``, against the lower quartile of white
        matter; ``fluid_to_white``, median within the ventricles. NaN where too little is seen.
    """
    grid = _coarse(grid_of(tissues["wm"]))
    values = np.asarray(image.dataobj, dtype=np.float32)
    level = resample(values - values.min(), image.affine, grid, template_to_native)
    inside = np.asarray(brain_mask.dataobj, dtype=np.float32)
    brain = resample(inside, brain_mask.affine, grid, template_to_native) > _BRAIN
    share = {
        name: resample(np.asarray(of.dataobj, dtype=np.float32), of.affine, grid, average=True)
        for name, of in tissues.items()
    }
    solid = brain & (level > _FLUID * np.median(level[brain])) if brain.any() else brain
    white = level[solid & (share["wm"] > _WHITE)]
    grey = level[solid & (share["gm"] > _GREY)]
    fluid = level[brain & (share["ventricles"] > _VENTRICLE)]
    of_white, darker = _percentile(white, 50), _percentile(white, 25)
    return {
        "grey_to_white": round(_percentile(grey, 50) / of_white, 3),
        "grey_to_darker_white": round(_percentile(grey, 50) / darker, 3),
        "fluid_to_white": round(_percentile(fluid, 50) / of_white, 3),
    }


def _coarse(grid: Grid) -> Grid:
    steps = np.maximum(np.round(_SPACING_MM / grid.spacing), 1).astype(int)
    x, y, z = (int(n) for n in np.asarray(grid.shape) // steps)
    return Grid((x, y, z), grid.affine @ np.diag([*steps, 1.0]))


def _percentile(values: np.ndarray, percent: float) -> float:
    return float(np.percentile(values, percent)) if values.size >= _LEAST_VOXELS else math.nan
