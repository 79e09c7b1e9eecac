"""Lay an image on orthonormal axes that are closest to RAS."""

from __future__ import annotations

import nibabel as nib
import numpy as np

from ctwml_bids.geometry import shear
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on, resample

# Cosine between two axes above which an image counts as sheared; 0.0005 is 0.03 degrees,
# 0.1 mm over a head. Header rounding stays a hundred times below it.
SHEAR_TOLERANCE = 5e-4


def orthonormal(image: nib.Nifti1Image, fill: float = 0.0) -> nib.Nifti1Image:
    """Return an image on orthonormal axes that are closest to RAS.

    Unsheared images are reordered and flipped, never interpolated, also when they are oblique.
    A sheared one (gantry tilt) is resampled linearly onto a grid with the same in-plane axes
    and the slice normal as third axis: each slice is shifted within its own plane, as scanner
    software does it, and none is mixed with its neighbours.

    Parameters
    ----------
    image
        3D image.
    fill
        Value where the sheared image has no data.

    Returns
    -------
    nibabel.Nifti1Image
        float32, axis order x, y, z closest to R, A, S.
    """
    data = np.asarray(image.dataobj, dtype=np.float32)
    grid = grid_of(image)
    if shear(grid.affine) > SHEAR_TOLERANCE:
        upright = _upright_grid(grid)
        data = resample(data, grid.affine, upright, fill=fill)
        grid = upright
    canonical = nib.as_closest_canonical(nib.Nifti1Image(data, grid.affine))
    # Rounding leaves a trace of shear: the nearest axes have none, with spacing and origin kept.
    affine = np.array(canonical.affine, dtype=float)
    affine[:3, :3] = nearest_axes(affine) * grid_of(canonical).spacing
    data = np.ascontiguousarray(np.asarray(canonical.dataobj, dtype=np.float32))
    return image_on(data, Grid(data.shape, affine))


def nearest_axes(affine: np.ndarray) -> np.ndarray:
    """Return the orthonormal axes (3×3, as columns) that are nearest to those of a 4×4 affine."""
    u, _, vt = np.linalg.svd(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    return u @ vt


def _upright_grid(grid: Grid) -> Grid:
    """Grid without shear that covers a sheared one; its slices are the sheared grid's slices."""
    axes = grid.affine[:3, :3] / grid.spacing
    cosines = np.abs(axes.T @ axes)
    # The slice axis is the one left out by the pair that is closest to orthogonal.
    pairs = {2: (0, 1), 1: (0, 2), 0: (1, 2)}
    slice_axis = min(pairs, key=lambda k: cosines[pairs[k]])
    first, second = pairs[slice_axis]
    new = np.zeros((3, 3))
    new[:, first] = axes[:, first]
    rest = axes[:, second] - (axes[:, second] @ axes[:, first]) * axes[:, first]
    new[:, second] = rest / np.linalg.norm(rest)
    normal = np.cross(new[:, first], new[:, second])
    new[:, slice_axis] = normal * np.sign(normal @ axes[:, slice_axis])
    # Distance between slice planes: the step along the slice axis, projected on the normal.
    spacing = grid.spacing.copy()
    spacing[slice_axis] = abs(grid.affine[:3, slice_axis] @ normal)
    affine = np.eye(4)
    affine[:3, :3] = new * spacing
    affine[:3, 3] = grid.affine[:3, 3]
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.asarray(grid.shape) - 1)
    points = corners @ grid.affine[:3, :3].T
    index = points @ np.linalg.inv(affine[:3, :3]).T
    low = np.floor(index.min(axis=0) + 1e-3)
    high = np.ceil(index.max(axis=0) - 1e-3)
    affine[:3, 3] += affine[:3, :3] @ low
    shape = (high - low + 1).astype(int)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)
