"""What a brain mask is, and its border: moved to where brain tissue ends on an MR image."""

from __future__ import annotations

from dataclasses import dataclass, field

import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids.geometry import bounding_box
from ctwml_bids.preprocessing.distances import closed, dilated, eroded

# Tissue is at least this fraction of the brain's local intensity: CSF, dura and bone lie below.
DARKEST_TISSUE = 0.6
# The brain's local intensity is an average over about this distance (SD): longer than any lesion
# or lobe, shorter than a coil's shading.
SHADING_MM = 20.0
# Bridges to scalp, orbit and dura are thinner than twice this.
OPENING_MM = 3.0
# Sulci and fissures up to twice this wide belong to the brain.
CLOSING_MM = 8.0
# A rim of about a pixel: pia and the CSF between the gyri, lost to the threshold.
RIM_MM = 0.8


@dataclass(frozen=True)
class BrainMask:
    """A brain mask and what was noticed while making it.

    The mask is parenchyma with ventricles and sulci, cerebellum included, and the brainstem
    down to the foramen magnum.

    Attributes
    ----------
    mask
        uint8, 1 inside, on the grid of the image it was made from.
    facts
        JSON-able numbers and strings for quality control and provenance.
    """

    mask: nib.Nifti1Image
    facts: dict = field(default_factory=dict)


def largest(mask: np.ndarray) -> np.ndarray:
    """Keep the largest face-connected component."""
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    return labels == 1 + int(np.argmax(sizes[1:]))


def local_intensity(array: np.ndarray, mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Average the brain's tissue over `SHADING_MM` and extend it beyond the mask.

    Voxels under half of the mask's median (CSF) do not count. Same units as ``array``.
    """
    tissue = mask & (array > 0.5 * np.median(array[mask]))
    sd = SHADING_MM / np.asarray(spacing)
    # Every other voxel in plane: the result is smooth, the filter is not cheap.
    steps = tuple(slice(None, None, max(1, int(3.0 // step))) for step in spacing)
    coarse_sd = [s / (step.step or 1) for s, step in zip(sd, steps, strict=True)]
    weight = ndimage.gaussian_filter(tissue[steps].astype(np.float32), coarse_sd, mode="nearest")
    total = np.where(tissue, array, 0).astype(np.float32)[steps]
    total = ndimage.gaussian_filter(total, coarse_sd, mode="nearest")
    coarse = np.where(weight > 1e-3, total / np.maximum(weight, 1e-6), np.median(array[tissue]))
    factors = [n / c for n, c in zip(array.shape, coarse.shape, strict=True)]
    return ndimage.zoom(coarse, factors, order=1, mode="nearest", grid_mode=True)


def follow_tissue(
    array: np.ndarray,
    mask: np.ndarray,
    spacing: np.ndarray,
    *,
    reach_mm: float,
    core_mm: float,
    brightest: float,
) -> np.ndarray:
    """Regrow a brain mask from its core through tissue of the brain's own intensity.

    Parameters
    ----------
    array
        MR intensities, air near 0, shape (x, y, z).
    mask
        bool, rough brain mask.
    spacing
        Voxel edges in mm; slices along the coarsest axis.
    reach_mm
        The result stays within this distance of ``mask``.
    core_mm
        What lies deeper than this in ``mask`` is kept whatever its intensity.
    brightest
        Tissue is at most this many times the brain's local intensity (fat and marrow are above).

    Returns
    -------
    numpy.ndarray
        bool, same shape; sulci and ventricles closed.
    """
    if not mask.any():
        return mask.copy()
    spacing = np.asarray(spacing, dtype=float)
    region = dilated(mask, reach_mm, spacing)
    box = bounding_box(region, 1)
    values, region, rough = array[box], region[box], mask[box]
    core = largest(eroded(rough, core_mm, spacing))
    local = local_intensity(values, rough, spacing)
    tissue = region & (values > DARKEST_TISSUE * local) & (values < brightest * local)
    tissue |= core
    # Only holes of the rough mask: a bright ring of scalp would enclose the skull as well.
    tissue |= _filled(tissue, spacing) & rough
    opened = _plane_filter(tissue, OPENING_MM, spacing, eroded)
    opened = largest(ndimage.binary_propagation(core & opened, np.ones((3, 3, 3)), opened))
    grown = _plane_filter(opened, OPENING_MM + spacing.min(), spacing, dilated) & tissue
    full = _filled(closed(grown, CLOSING_MM, spacing), spacing)
    result = np.zeros(mask.shape, dtype=bool)
    result[box] = dilated(full, RIM_MM, spacing) & region
    return result


def _plane_filter(mask, distance, spacing, function):
    """Apply an erosion or dilation within slices: across thick ones it would delete the brain."""
    plane = np.array(spacing, dtype=float)
    plane[int(np.argmax(spacing))] = 1e3
    return function(mask, distance, plane)


def _filled(mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Fill holes slice by slice (a hole in 3D may be open towards the next, thick slice)."""
    axis = int(np.argmax(spacing))
    slices = [ndimage.binary_fill_holes(s) for s in np.moveaxis(mask, axis, 0)]
    return np.moveaxis(np.stack(slices), 0, axis)
