"""Large dark areas of a CT that replace brain tissue, as infarcts and cysts do.

Fluid is dark where anatomy has it, too: cisterns, fissures, sulci, ventricles. The packaged
template, carried into the head, tells where that is; the other side of the head tells the rest,
as fissures and the wide sulci of age lie on both. Leukoaraiosis keeps to white matter, whereas an
infarct takes grey matter with it.
"""

from __future__ import annotations

from functools import lru_cache

import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids.geometry import bounding_box
from ctwml_bids.image_files import load_nifti
from ctwml_bids.preprocessing.distances import dilated, eroded
from ctwml_bids.preprocessing.grids import Grid, resample
from ctwml_bids.preprocessing.template_pose import TEMPLATE

# An infarct reads 11.9 ± 5.9 (old) to 18.9 ± 6.4 HU (acute); a voxel counts this far below the
# head's own tissue, so that a scanner's offset does not matter.
DARK_BELOW_TISSUE_HU = 9.0
# An infarct is bulky: this much room (radius, mm) distinguishes it from a sulcus.
BULK_MM = 3.0
# Fluid is expected where the template has less grey and white matter than this share, and this
# far (mm) around: the fit of nine parameters is off by some mm, and fluid is wider in the old.
TISSUE_SHARE = 0.5
FLUID_MM = 3.0
# Both sides are dark where dark bulk lies this close (mm) to the mirrored place.
MIRROR_MM = 4.0
# Less grey matter in an area, by the template: it keeps to white matter.
GREY_SHARE = 0.2
# Smaller areas, mL, are wide sulci, lacunes and streaks beside bone.
AREA_ML = 1.0


def large_dark_areas(
    hu: np.ndarray,
    brain: np.ndarray,
    ventricles: np.ndarray,
    *,
    tissue_hu: float,
    grid: Grid,
    guide_to_ct: np.ndarray,
) -> np.ndarray:
    """Find large dark areas in place of grey and white matter.

    Parameters
    ----------
    hu
        Smoothed HU, shape (x, y, z).
    brain, ventricles
        bool, same shape.
    tissue_hu
        Median HU of this head's tissue.
    grid
        Where the voxels lie.
    guide_to_ct
        4×4, RAS mm: points of the packaged template → points of the CT.

    Returns
    -------
    numpy.ndarray
        bool, same shape: bulky, one-sided, of at least `AREA_ML`, with grey matter in it, away
        from where the template has fluid. What lies alike on both sides is left out, so of two
        infarcts that mirror each other only what differs is found.
    """
    found = np.zeros(hu.shape, dtype=bool)
    if not brain.any():
        return found
    box = bounding_box(brain)
    part = grid.part(box)
    dark = brain[box] & ~ventricles[box] & (hu[box] < tissue_hu - DARK_BELOW_TISSUE_HU)
    to_guide = np.linalg.inv(guide_to_ct)
    grey, white = (
        resample(np.asarray(image.dataobj, dtype=np.float32), image.affine, part, to_guide)
        for image in _guide_tissues()
    )
    expected = dilated(grey + white < TISSUE_SHARE, FLUID_MM, part.spacing)
    both_sides = _mirrored(_bulk(dark, part.spacing), part, guide_to_ct)
    areas = _bulk(dark & ~expected, part.spacing) & ~both_sides
    found[box] = _kept(areas, grey, part.voxel_ml)
    return found


def not_covered(areas: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return what a mask leaves of the connected areas of which it covers less than half.

    The rest of the others is left out: outlines never agree to the voxel, and the rim of a large
    area would be as much as a small area. So the volumes of mask and rest add up.

    Parameters
    ----------
    areas, mask
        bool, (x, y, z), on one grid.
    """
    labels, count = ndimage.label(areas)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    covered = np.bincount(labels[mask], minlength=count + 1)
    left = covered < 0.5 * sizes
    left[0] = False
    return left[labels] & ~mask


@lru_cache(maxsize=1)
def _guide_tissues() -> tuple[nib.Nifti1Image, nib.Nifti1Image]:
    """Return the packaged template's probabilities of grey and of white matter."""
    grey, white = (
        load_nifti(TEMPLATE / f"tpl-MNI152NLin2009aSym_res-1_label-{label}_probseg.nii.gz")
        for label in ("GM", "WM")
    )
    return grey, white


def _bulk(dark: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Return what of a mask lies within `BULK_MM` of a place with that much room."""
    return dark & dilated(eroded(dark, BULK_MM, spacing, beyond=True), BULK_MM, spacing)


def _mirrored(mask: np.ndarray, grid: Grid, guide_to_ct: np.ndarray) -> np.ndarray:
    """Mirror a mask at the template's midline (x = 0), and widen it by `MIRROR_MM`."""
    mirror = guide_to_ct @ np.diag([-1.0, 1.0, 1.0, 1.0]) @ np.linalg.inv(guide_to_ct)
    other = resample(mask.astype(np.float32), grid.affine, grid, mirror) >= 0.5
    return dilated(other, MIRROR_MM, grid.spacing)


def _kept(areas: np.ndarray, grey: np.ndarray, voxel_ml: float) -> np.ndarray:
    """Keep areas that are large enough and hold grey matter."""
    labels, count = ndimage.label(areas)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    share = np.bincount(labels.ravel(), weights=grey.ravel(), minlength=count + 1)
    kept = (sizes * voxel_ml >= AREA_ML) & (share >= GREY_SHARE * sizes)
    kept[0] = False
    return kept[labels]
