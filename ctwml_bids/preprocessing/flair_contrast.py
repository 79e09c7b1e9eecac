"""Brightness of grey matter and fluid beside white matter: what tells a FLAIR from T1w and T2w.

On FLAIR fluid is dark and grey matter brighter than white; on T1w grey matter is darker, on T2w
fluid bright. The numbers are ratios of medians in regions of the template's tissue maps, so that
neither scale nor the exact fit matter much. Lesions brighten white matter on FLAIR and make it look
like that of a T1w image, so white matter is measured without the lesions found and their
surroundings. On a T1w image the network marks white matter itself, which is hardly brighter than
the rest of it; then nothing is left out.
"""

from __future__ import annotations

import math

import nibabel as nib
import numpy as np

from ctwml_bids.preprocessing.distances import dilated
from ctwml_bids.preprocessing.grids import Grid, grid_of, resample
from ctwml_bids.preprocessing.mr_floor import above_floor

# Regions are looked at on the template's axes at this resolution, mm.
_SPACING_MM = np.array([2.0, 2.0, 3.0])
# Tissue probability above which a voxel belongs to a region, and share of it in the brain mask.
_WHITE, _GREY, _VENTRICLE, _BRAIN = 0.9, 0.7, 0.9, 0.9
# Values under this share of the brain's median are fluid on FLAIR and T1w: sulci and wide
# ventricles lie in the regions of grey and white matter.
_FLUID = 0.6
# Fewer voxels (12 µL each) say nothing: an image may end below the ventricles.
_LEAST_VOXELS = 50
# Share of lesion from which a voxel belongs to the lesions found, and above which it is one.
_TOUCHED, _LESION = 0.25, 0.5
# White matter this near to a lesion is brighter than it looks elsewhere, mm.
SURROUNDINGS_MM = 6.0
# Lesions count as such from this brightness beside the white matter that is left. What the network
# marks reaches 1.29 and more on real FLAIR, 1.04 to 1.13 on real T1w images.
BRIGHT_LESIONS = 1.15


def flair_contrast(
    image: nib.Nifti1Image,
    brain_mask: nib.Nifti1Image,
    template_to_native: np.ndarray,
    tissues: dict[str, nib.Nifti1Image],
    lesions: nib.Nifti1Image | None = None,
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
    lesions
        Mask of the lesions found, in the image's space on any grid; without it nothing is left
        out of white matter.

    Returns
    -------
    dict
        ``grey_to_white``, medians; ``grey_to_darker_white``, against the lower quartile of white
        matter; ``fluid_to_white``, median within the ventricles. With ``lesions`` also
        ``lesions_to_white``, their median beside that of the white matter more than
        `SURROUNDINGS_MM` away from them, and ``white_left_out``, the share of white matter (0–1)
        nearer to them: it does not count for any of the ratios, unless ``lesions_to_white`` is
        below `BRIGHT_LESIONS` and all of it does. NaN where too little is seen.
    """
    grid = _coarse(grid_of(tissues["wm"]))
    values = np.asarray(image.dataobj, dtype=np.float32)
    level = resample(above_floor(values), image.affine, grid, template_to_native)
    inside = np.asarray(brain_mask.dataobj, dtype=np.float32)
    brain = resample(inside, brain_mask.affine, grid, template_to_native) > _BRAIN
    share = {
        name: resample(np.asarray(of.dataobj, dtype=np.float32), of.affine, grid, average=True)
        for name, of in tissues.items()
    }
    solid = brain & (level > _FLUID * np.median(level[brain])) if brain.any() else brain
    white = solid & (share["wm"] > _WHITE)
    grey = level[solid & (share["gm"] > _GREY)]
    fluid = level[brain & (share["ventricles"] > _VENTRICLE)]
    of_lesions = {}
    if lesions is not None:
        found = np.asarray(lesions.dataobj, dtype=np.float32)
        lesion = resample(found, lesions.affine, grid, template_to_native, average=True)
        native_mm = np.linalg.norm((template_to_native @ grid.affine)[:3, :3], axis=0)
        rest = white & ~dilated(lesion > _TOUCHED, SURROUNDINGS_MM, native_mm)
        marked = level[solid & (lesion > _LESION)]
        brightness = _percentile(marked, 50) / _percentile(level[rest], 50)
        # Not known of a few small ones, which matter little, or where next to nothing is left.
        left_out = 0.0
        if not brightness < BRIGHT_LESIONS:
            left_out = 1 - np.count_nonzero(rest) / max(int(np.count_nonzero(white)), 1)
            white = rest
        of_lesions = {
            "lesions_to_white": round(brightness, 3),
            "white_left_out": round(left_out, 3),
        }
    of_white, darker = (_percentile(level[white], percent) for percent in (50, 25))
    return {
        "grey_to_white": round(_percentile(grey, 50) / of_white, 3),
        "grey_to_darker_white": round(_percentile(grey, 50) / darker, 3),
        "fluid_to_white": round(_percentile(fluid, 50) / of_white, 3),
        **of_lesions,
    }


def _coarse(grid: Grid) -> Grid:
    steps = np.maximum(np.round(_SPACING_MM / grid.spacing), 1).astype(int)
    x, y, z = (int(n) for n in np.asarray(grid.shape) // steps)
    return Grid((x, y, z), grid.affine @ np.diag([*steps, 1.0]))


def _percentile(values: np.ndarray, percent: float) -> float:
    return float(np.percentile(values, percent)) if values.size >= _LEAST_VOXELS else math.nan
