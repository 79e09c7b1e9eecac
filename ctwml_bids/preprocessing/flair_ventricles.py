"""Ventricles on FLAIR: the dark, central spaces near where the template has them."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids.geometry import bounding_box
from ctwml_bids.preprocessing.brain_border import local_intensity
from ctwml_bids.preprocessing.distances import closed, dilated
from ctwml_bids.preprocessing.grids import grid_of, image_on
from ctwml_bids.preprocessing.mr_floor import above_floor
from ctwml_bids.preprocessing.thick_fluid import thick_fluid
from ctwml_bids.preprocessing.ventricle_guide import carried, in_boxes

# CSF is nulled on FLAIR; a voxel is CSF below this fraction of the tissue around it, and may be
# the partly filled edge of it below the other.
CSF_FRACTION = 0.55
EDGE_FRACTION = 0.72
# Seeds lie in the carried template ventricles or this close to them.
SEED_MM = 2.0
# Wide ventricles reach beyond the template's, but not further than this …
REACH_MM = 14.0
# … and not into what lies this near the brain's surface: sulci and Sylvian fissures do.
SURFACE_MM = 12.0
# Both hold for what a sulcus could be. What is too thick for that (`thick_fluid`) is ventricle with
# all fluid so close (mm) to it: its corners and the stumps of its horns.
BESIDE_THICK_MM = 5.0
# So close to the template's ventricles, neither depth nor the boxes below exclude a voxel.
SURE_MM = 2.5
# Dark spaces that touch the ventricles or nearly so, as boxes in MNI mm (x without its sign):
# the interhemispheric fissure in front of and above the corpus callosum, the quadrigeminal and
# ambient cisterns behind and beside the midbrain with the vein of Galen's, and what is below.
NOT_VENTRICLE = (
    ((0, 6), (18, 110), (-60, 90)),
    ((0, 6), (-120, 110), (22, 90)),
    ((0, 17), (-120, -27), (-60, 14)),
    ((0, 20), (-27, 110), (-60, -8)),
)


def flair_ventricles(
    image: nib.Nifti1Image,
    brain_mask: nib.Nifti1Image,
    template_to_native: np.ndarray,
    template_ventricles: nib.Nifti1Image,
) -> nib.Nifti1Image:
    """Find the lateral ventricles (and what of the third opens into them) on a FLAIR image.

    Parameters
    ----------
    image
        FLAIR, 3D, any orientation.
    brain_mask
        uint8 on the image's grid.
    template_to_native
        4×4, RAS mm: points of the template → points of the image (`nine_parameter`).
    template_ventricles
        Mask of the lateral ventricles in template space.

    Returns
    -------
    nibabel.Nifti1Image
        uint8 on the image's grid. Empty when nothing dark lies where ventricles are expected.
    """
    grid = grid_of(image)
    spacing = grid.spacing
    array = np.nan_to_num(np.asarray(image.dataobj, dtype=np.float32))
    brain = np.asarray(brain_mask.dataobj) > 0
    result = np.zeros(grid.shape, dtype=np.uint8)
    expected = carried(template_ventricles, template_to_native, grid) & brain
    if not expected.any():
        return image_on(result, grid)
    box = bounding_box(brain)
    inside, expected, values = brain[box], expected[box], above_floor(array)[box]
    ratio = values / np.maximum(local_intensity(values, inside, spacing), 1e-6)
    other = in_boxes(grid, box, template_to_native, NOT_VENTRICLE)
    dark = (ratio < CSF_FRACTION) & inside
    near = dilated(expected, SEED_MM, spacing)
    thick = thick_fluid(dark, near, spacing)
    allowed = _allowed(expected, inside, other, spacing)
    allowed |= dilated(thick, BESIDE_THICK_MM, spacing) & inside & (thick | ~other)
    csf = (dark | thick) & allowed
    seeds = csf & (near | thick)
    core = ndimage.binary_propagation(seeds, mask=csf)
    # The edge, half tissue within its voxel, belongs to the ventricle one voxel deep.
    rim = ndimage.binary_dilation(core, _plane_cross(spacing)) & (ratio < EDGE_FRACTION)
    result[box] = closed(core | (rim & allowed), 1.5, spacing) & allowed
    return image_on(result, grid)


def _allowed(
    expected: np.ndarray, inside: np.ndarray, other: np.ndarray, spacing: np.ndarray
) -> np.ndarray:
    """Where ventricles may be: deep in the brain, near the template's, not in another space."""
    depth = ndimage.distance_transform_edt(np.pad(inside, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    distance = ndimage.distance_transform_edt(~expected, sampling=spacing)
    possible = (depth > SURFACE_MM) & (distance <= REACH_MM) & ~other
    return possible | (distance <= SURE_MM)


def _plane_cross(spacing: np.ndarray) -> np.ndarray:
    """Four neighbours within the slice."""
    cross = ndimage.generate_binary_structure(3, 1)
    axis = int(np.argmax(spacing))
    index: list = [slice(None)] * 3
    for end in (0, 2):
        index[axis] = end
        cross[tuple(index)] = False
    return cross
