"""A sampling grid, and resampling an image onto another one in a single interpolation."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np

from ctwml_bids.geometry import bounding_box, nifti, slices_met, voxel_volume_ml
from ctwml_bids.preprocessing import separable
from ctwml_bids.trilinear import through_affine

# Voxels by which a coordinate may be off through rounding alone.
_ROUNDING = 1e-3
# An image reaches half a voxel beyond the centres of its last voxels.
_REACH = 0.5 + _ROUNDING


@dataclass(frozen=True)
class Grid:
    """Where an image's voxels lie.

    Attributes
    ----------
    shape
        Number of voxels along the three array axes.
    affine
        4×4, voxel indices → RAS mm.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray

    @property
    def spacing(self) -> np.ndarray:
        """Voxel edge lengths in mm, along the array axes."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in mL; right for sheared grids too."""
        return voxel_volume_ml(self.affine)

    def part(self, box: tuple[slice, ...]) -> Grid:
        """Return the grid of a box of voxels; its slices have a start and a stop."""
        affine = self.affine.copy()
        affine[:3, 3] += self.affine[:3, :3] @ [cut.start for cut in box]
        x, y, z = (cut.stop - cut.start for cut in box)
        return Grid((x, y, z), affine)


def grid_of(image: nib.spatialimages.SpatialImage) -> Grid:
    """Return the grid of a 3D image."""
    x, y, z = image.shape[:3]
    return Grid((int(x), int(y), int(z)), np.asarray(image.affine, dtype=float))


def image_on(array: np.ndarray, grid: Grid) -> nib.Nifti1Image:
    """Wrap an array (x, y, z) as a NIfTI image on a grid (`geometry.nifti`)."""
    return nifti(array, grid.affine)


def resample(
    array: np.ndarray,
    affine: np.ndarray,
    grid: Grid,
    grid_to_image: np.ndarray | None = None,
    *,
    fill: float = 0.0,
    average: bool = False,
) -> np.ndarray:
    """Resample an array onto a grid, once and linearly.

    Parameters
    ----------
    array
        Image data, shape (x, y, z).
    affine
        4×4, voxel indices of ``array`` → RAS mm.
    grid
        Where values are wanted.
    grid_to_image
        4×4, RAS mm: points of the grid's space → points of the image's space. Identity if None.
    fill
        Value outside the image; its last voxels reach as far as their edges.
    average
        Average over each target voxel (samples no further apart than the image's own voxels)
        instead of sampling its centre: thin slices become thick ones without aliasing.

    Returns
    -------
    numpy.ndarray
        float32, shape ``grid.shape``.
    """
    to_image = np.eye(4) if grid_to_image is None else np.asarray(grid_to_image, dtype=float)
    voxel_map = np.linalg.inv(affine) @ to_image @ grid.affine
    source = np.asarray(array, dtype=np.float32)
    reordered = _reordered(source, voxel_map, grid.shape)
    if reordered is not None:
        return reordered
    steps = np.ones(3, dtype=int)
    if average:
        # Length of one target step measured in source voxels, per target axis.
        steps = np.maximum(np.ceil(np.abs(voxel_map[:3, :3]).max(axis=0) - 0.25), 1).astype(int)
    axes = separable.axes_of(voxel_map, grid.shape, tolerance=_ROUNDING)
    if axes is not None:
        return separable.resampled(
            source, voxel_map, axes, grid.shape, steps, reach=_REACH, fill=fill
        )
    # What the fill surrounds ends a voxel beyond its last other value.
    held = source != fill
    if not held.any():
        return np.full(grid.shape, fill, dtype=np.float32)
    box = bounding_box(held, 1)
    source = source[box]
    voxel_map[:3, 3] -= [cut.start for cut in box]
    # A margin for samples off the voxels' centres.
    met = slices_met(voxel_map, source.shape, grid.shape, reach=_REACH, margin=1)
    result = np.full(grid.shape, fill, dtype=np.float32)
    total = result[met]
    total[...] = 0
    for index in np.ndindex(*steps) if total.size else ():
        shift = (np.asarray(index) + 0.5) / steps - 0.5
        offset = voxel_map[:3, 3] + voxel_map[:3, :3] @ (shift + [cut.start for cut in met])
        part = through_affine(source, voxel_map[:3, :3], offset, total.shape)
        part[_outside(voxel_map[:3, :3], offset, source.shape, total.shape)] = fill
        total += part
    total /= np.float32(np.prod(steps))
    return result


def _reordered(
    source: np.ndarray, voxel_map: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray | None:
    """Return the array with its axes permuted and flipped if that is all the map does."""
    matrix = np.round(voxel_map[:3, :3])
    axes = np.abs(matrix).argmax(axis=0)
    if sorted(axes) != [0, 1, 2] or np.abs(matrix).sum() != 3:
        return None
    if tuple(source.shape[axis] for axis in axes) != tuple(shape):
        return None
    flipped = matrix.sum(axis=1) < 0
    exact = np.eye(4)
    exact[:3, :3] = matrix
    exact[:3, 3] = np.where(flipped, np.asarray(source.shape) - 1, 0)
    # The corners say it best: what is off by rounding alone is nowhere far off.
    corners = np.array([*np.ndindex(2, 2, 2)]) * (np.asarray(shape) - 1)
    if np.abs((voxel_map - exact)[:3] @ np.c_[corners, np.ones(8)].T).max() > _ROUNDING:
        return None
    turned = source[tuple(slice(None, None, -1 if flip else 1) for flip in flipped)]
    return np.array(turned.transpose(axes), order="C")


def _outside(
    matrix: np.ndarray, offset: np.ndarray, source: tuple[int, ...], target: tuple[int, ...]
) -> np.ndarray:
    """Tell which target voxels have their centre beyond the edges of the source's last voxels."""
    i, j, k = (axis.astype(np.float32) for axis in np.ogrid[tuple(map(slice, target))])
    matrix, offset = matrix.astype(np.float32), offset.astype(np.float32)
    outside = np.zeros(target, dtype=bool)
    for axis in range(3):
        along = matrix[axis, 0] * i + matrix[axis, 1] * j + matrix[axis, 2] * k + offset[axis]
        outside |= (along < -_REACH) | (along > source[axis] - 1 + _REACH)
    return outside
