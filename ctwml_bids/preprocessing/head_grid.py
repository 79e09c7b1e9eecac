"""The coarse grid, centred on the head, on which the brain network sees every image."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage
from skimage.filters import threshold_otsu

from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing.brain_border import largest
from ctwml_bids.preprocessing.grids import Grid, grid_of, resample

# 4 mm: coarse enough that a thick-sliced image loses nothing along its slices and that a whole
# head is one small input; the surface between voxels comes back from the probability's slope.
HEAD_SPACING_MM = 4.0
HEAD_SHAPE = (48, 64, 48)
# Air kept above the vertex, so that a head tilted far back still fits.
TOP_MARGIN_MM = 12.0
# The head is centred on what lies this far below its top: longer, and the neck or the
# shoulders of a generous field of view would pull the centre backwards.
CENTRE_DEPTH_MM = 140.0
# A slice belongs to the head, not to noise above it, from this area on.
LEAST_AREA_CM2 = 20.0


def survey(image: nib.Nifti1Image) -> tuple[np.ndarray, Grid]:
    """Resample the whole field of view onto RAS axes at the coarse spacing.

    Returns
    -------
    array : numpy.ndarray
        float32 (x, y, z), zero outside the image.
    grid : Grid
        RAS axes, ``HEAD_SPACING_MM`` isotropic.
    """
    own = grid_of(image)
    corners = np.array([*np.ndindex(2, 2, 2)]) * (np.asarray(own.shape) - 1)
    points = apply_affine(own.affine, corners)
    low, high = points.min(axis=0), points.max(axis=0)
    x, y, z = (int(n) for n in np.ceil((high - low) / HEAD_SPACING_MM) + 1)
    affine = np.diag([HEAD_SPACING_MM] * 3 + [1.0])
    affine[:3, 3] = low
    grid = Grid((x, y, z), affine)
    data = np.nan_to_num(np.asarray(image.dataobj, dtype=np.float32))
    return resample(data, own.affine, grid, average=True), grid


def head_mask(array: np.ndarray) -> np.ndarray:
    """Find the head in a coarse image: the largest bright body by Otsu's threshold, filled.

    Intensities are compressed first (square root): bright fat would otherwise push the threshold
    above the brain.
    """
    smooth = ndimage.gaussian_filter(np.sqrt(np.clip(array - array.min(), 0, None)), 1.0)
    bright = smooth > 0.8 * threshold_otsu(smooth)
    if not bright.any():
        return bright
    head = ndimage.binary_closing(np.pad(largest(bright), 3), iterations=2)
    return ndimage.binary_fill_holes(head)[3:-3, 3:-3, 3:-3]


def place_head_grid(head: np.ndarray, grid: Grid) -> Grid:
    """Place the network's grid on a head: centred left–right and front–back, its top near the top.

    Parameters
    ----------
    head
        bool (x, y, z) on ``grid``.
    grid
        Grid with RAS axes, as from `survey`.

    Returns
    -------
    Grid
        Shape ``HEAD_SHAPE``, RAS axes, ``HEAD_SPACING_MM`` isotropic.

    Raises
    ------
    BadDataError
        When nothing of the size of a head is there.
    """
    spacing = grid.spacing
    area_cm2 = head.sum(axis=(0, 1)) * spacing[0] * spacing[1] / 100.0
    slices = np.flatnonzero(area_cm2 > LEAST_AREA_CM2)
    if not slices.size:
        raise BadDataError(
            "no head was found in the image: no slice shows a body of more than "
            f"{LEAST_AREA_CM2:.0f} cm²; check that it is a head MRI with its spacing in mm"
        )
    top = int(slices[-1])
    bottom = max(0, top - int(CENTRE_DEPTH_MM / spacing[2]))
    x, y, _ = np.nonzero(head[:, :, bottom : top + 1])
    centre = [np.percentile(axis, (1, 99)).mean() for axis in (x, y)]
    extent = (np.asarray(HEAD_SHAPE) - 1) * HEAD_SPACING_MM
    top_mm = (grid.affine @ [*centre, top, 1])[:3]
    affine = np.diag([HEAD_SPACING_MM] * 3 + [1.0])
    affine[:2, 3] = top_mm[:2] - extent[:2] / 2
    affine[2, 3] = top_mm[2] + TOP_MARGIN_MM - extent[2]
    return Grid(HEAD_SHAPE, affine)


def scale_intensity(array: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Scale MR intensities to about 0 (air) … 1 (the bright end of the head), clipped to [0, 2].

    Parameters
    ----------
    array
        Intensities, shape (x, y, z), on the network's grid.
    head
        bool, the head on the same grid.

    Returns
    -------
    numpy.ndarray
        float32, same shape.
    """
    low = np.percentile(array, 1)
    inside = array[head] if head.any() else array
    high = np.percentile(inside, 95)
    return np.clip((array - low) / max(float(high - low), 1e-6), 0, 2).astype(np.float32)


def head_grid(image: nib.Nifti1Image) -> Grid:
    """Find the head and place the network's grid on it.

    Raises
    ------
    BadDataError
        When no head is found.
    """
    coarse, coarse_grid = survey(image)
    return place_head_grid(head_mask(coarse), coarse_grid)


def network_view(image: nib.Nifti1Image, grid: Grid) -> np.ndarray:
    """Bring an image to what the brain network sees.

    Parameters
    ----------
    image
        3D MR image of a head, any orientation.
    grid
        As from `head_grid`.

    Returns
    -------
    numpy.ndarray
        float32, shape ``grid.shape``, RAS axes, intensities from `scale_intensity`.
    """
    data = np.nan_to_num(np.asarray(image.dataobj, dtype=np.float32))
    array = resample(data, image.affine, grid, fill=float(data.min()), average=True)
    return scale_intensity(array, head_mask(array))
