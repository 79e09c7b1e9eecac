"""Lateral ventricles on CT: fluid, against this head's own tissue, where a template expects it."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids.geometry import bounding_box
from ctwml_bids.preprocessing.blocks import block_mean, finer
from ctwml_bids.preprocessing.distances import dilated, eroded
from ctwml_bids.preprocessing.grids import grid_of, image_on
from ctwml_bids.preprocessing.thick_fluid import thick_fluid
from ctwml_bids.preprocessing.ventricle_guide import carried, in_boxes

# Voxels are averaged up to this edge length in mm; detail below it is noise.
WORKING_MM = 1.0
# Smoothing (SD, mm) before thresholds: noise of 4 to 10 HU must not break a frontal horn.
SMOOTH_MM = 1.0
# CSF is this percentile of what the template's ventricles cover (choroid and tissue are above),
# within these bounds in HU.
CSF_PERCENTILE = 15.0
CSF_HU = (0.0, 14.0)
# Tissue around a voxel: mean of what is surely no fluid, weighted by a Gaussian of this SD.
NEIGHBOURHOOD_MM = 6.0
# Less tissue than this (share) around a voxel tells nothing: the whole brain's is taken.
LEAST_TISSUE = 0.02
# Surely no fluid: this many HU above it. Leukoaraiosis reads 17.5 ± 4.7, CSF 5.
ABOVE_CSF_HU = 7.0
# The border lies midway between fluid and the tissue beside it, yet within these HU of fluid.
BORDER_SHARE = 0.5
BORDER_HU = (5.0, 13.0)
# Seeds lie in the carried template ventricles or this close (mm) to them.
SEED_MM = 3.0
# Wide ventricles reach beyond the template's, not further than this (mm) ...
REACH_MM = 16.0
# ... and not into what lies this near the brain's surface: sulci and the Sylvian fissure.
SURFACE_MM = 14.0
# Both hold for what a sulcus could be. What is too thick for that (`thick_fluid`) is ventricle with
# all fluid so close (mm) to it: its corners and the stumps of its horns.
BESIDE_THICK_MM = 5.0
# Bridges thinner than twice this (mm), as the choroid fissure's, do not carry growth.
BRIDGE_MM = 1.0
# Smaller pieces are sulci or holes in leukoaraiosis, in mL.
MIN_PIECE_ML = 0.3
# Cisterns that touch the ventricles, as boxes in template coordinates (x taken without its
# sign), mm: quadrigeminal and ambient; suprasellar and interpeduncular.
CISTERNS = (
    ((0, 15), (-70, -26), (-40, 8)),
    ((0, 24), (-45, 10), (-60, -6)),
)


def ct_ventricles(
    image: nib.Nifti1Image,
    brain_mask: nib.Nifti1Image,
    template_to_native: np.ndarray,
    template_ventricles: nib.Nifti1Image,
) -> nib.Nifti1Image:
    """Find the lateral ventricles on a CT, and what of the third opens into them.

    Parameters
    ----------
    image
        CT in HU, shape (x, y, z), orthonormal axes closest to RAS.
    brain_mask
        uint8 on the image's grid.
    template_to_native
        4×4, RAS mm: points of the template → points of the image.
    template_ventricles
        Mask of the lateral ventricles in the template's space.

    Returns
    -------
    nibabel.Nifti1Image
        uint8 on the image's grid; empty when no fluid lies where ventricles are expected.
    """
    native = grid_of(image)
    data, grid = block_mean(np.asarray(image.dataobj, dtype=np.float32), native, WORKING_MM)
    brain = block_mean(np.asarray(brain_mask.dataobj) > 0, native, WORKING_MM)[0] >= 0.5
    expected = carried(template_ventricles, template_to_native, grid) & brain
    found = np.zeros(grid.shape, dtype=bool)
    if expected.any():
        margin = np.ceil((REACH_MM + 3 * NEIGHBOURHOOD_MM) / grid.spacing).astype(int)
        box = bounding_box(expected, margin)
        depth = ndimage.distance_transform_edt(brain, grid.spacing)[box]
        cisterns = in_boxes(grid, box, template_to_native, CISTERNS)
        found[box] = _found(data[box], brain[box], expected[box], depth, cisterns, grid.spacing)
    inside = finer(found, grid, native) & (np.asarray(brain_mask.dataobj) > 0)
    return image_on(inside.astype(np.uint8), native)


def _found(
    data: np.ndarray,
    brain: np.ndarray,
    expected: np.ndarray,
    depth: np.ndarray,
    cisterns: np.ndarray,
    spacing: np.ndarray,
) -> np.ndarray:
    """Ventricles from HU, brain, carried template, depth in the brain (mm) and cisterns."""
    hu = _smoothed(data, brain, spacing)
    csf = float(np.clip(np.percentile(hu[expected], CSF_PERCENTILE), *CSF_HU))
    fluid = (hu < _border(hu, brain, csf, spacing)) & brain
    distance = ndimage.distance_transform_edt(~expected, spacing)
    thick = thick_fluid(fluid, distance <= SEED_MM, spacing)
    beside = dilated(thick, BESIDE_THICK_MM, spacing)
    allowed = (distance <= REACH_MM) & (depth > SURFACE_MM) | (distance <= SEED_MM)
    allowed = (allowed | beside) & (~cisterns | expected | thick)
    return _grown((fluid | thick) & allowed, (distance <= SEED_MM) | thick, spacing)


def _smoothed(hu: np.ndarray, brain: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Gaussian mean over brain voxels only; calcified choroid is capped at tissue's HU."""
    sigma = SMOOTH_MM / spacing
    weight = ndimage.gaussian_filter(brain.astype(np.float32), sigma)
    total = ndimage.gaussian_filter(np.where(brain, np.clip(hu, -20, 60), 0), sigma)
    return total / np.maximum(weight, 1e-3)


def _border(hu: np.ndarray, brain: np.ndarray, csf: float, spacing: np.ndarray) -> np.ndarray:
    """HU below which a voxel is fluid, between fluid and the tissue around it."""
    tissue = brain & (hu > csf + ABOVE_CSF_HU)
    sigma = NEIGHBOURHOOD_MM / spacing
    weight = ndimage.gaussian_filter(tissue.astype(np.float32), sigma)
    total = ndimage.gaussian_filter(np.where(tissue, hu, 0).astype(np.float32), sigma)
    local = total / np.maximum(weight, LEAST_TISSUE)
    if tissue.any():
        local[weight < LEAST_TISSUE] = hu[tissue].mean()
    return csf + np.clip(BORDER_SHARE * (local - csf), *BORDER_HU)


def _grown(fluid: np.ndarray, near: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Fluid connected to the seeds over bridges that are not too thin, calcifications filled."""
    if not fluid.any():
        return fluid
    core, seeds = eroded(fluid, BRIDGE_MM, spacing, beyond=True), fluid & near
    connected = ndimage.binary_propagation(seeds, mask=core | seeds)
    reach = dilated(connected, BRIDGE_MM + spacing.min(), spacing)
    body = fluid & reach
    labels, count = ndimage.label(body)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * spacing.prod() / 1000.0
    sizes[0] = 0
    body = (sizes >= MIN_PIECE_ML)[labels]
    for k in range(body.shape[2]):
        body[:, :, k] = ndimage.binary_fill_holes(body[:, :, k])
    return body
