"""Studholme's normalised mutual information between two images under a transform."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on, resample

# Grey levels of the joint histogram.
_BINS = 32
# Share of the fixed points that must meet the moving image; below it a similarity means nothing.
_MINIMUM_OVERLAP = 0.4
# Points at a time: few enough that what is computed of them stays in the processor's cache.
_BLOCK = 32_768


class Similarity:
    """Normalised mutual information of a fixed and a moving image, as a function of a transform.

    Of Studholme, Hill and Hawkes 1999, in the overlap of both.

    Parameters
    ----------
    fixed, moving
        Images of any grid; values are binned in 32 levels between each image's extremes, so clip
        before.
    mask
        On the fixed image's grid, shape (x, y, z): where to measure. Everywhere if None.
    """

    def __init__(
        self, fixed: nib.Nifti1Image, moving: nib.Nifti1Image, mask: np.ndarray | None = None
    ) -> None:
        everywhere = np.ones(fixed.shape[:3], dtype=bool)
        indices = np.argwhere(everywhere if mask is None else np.asarray(mask) > 0.5)
        self.points = apply_affine(fixed.affine, indices)
        self._columns = np.ascontiguousarray(self.points.T)
        values = _unit(np.asarray(fixed.dataobj, dtype=np.float32))[tuple(indices.T)]
        self._rows = np.minimum((values * _BINS).astype(np.intp), _BINS - 1) * _BINS
        # Bin centres, so that linear interpolation between voxels is also linear between bins.
        self._moving = _unit(np.asarray(moving.dataobj, dtype=np.float32)) * (_BINS - 1)
        self._to_index = np.linalg.inv(moving.affine)

    def __call__(self, fixed_to_moving: np.ndarray) -> float:
        """Return (H(fixed) + H(moving)) / H(fixed, moving), 1 (nothing shared) to 2 (identical).

        Parameters
        ----------
        fixed_to_moving
            4×4, RAS mm. Only points inside the moving image count; 1 is returned when these are
            less than 40% of the fixed points.
        """
        matrix = self._to_index @ fixed_to_moving
        joint, met = np.zeros(_BINS**2), 0
        for start in range(0, len(self._rows), _BLOCK):
            block = slice(start, start + _BLOCK)
            indices = matrix[:3, :3] @ self._columns[:, block] + matrix[:3, 3:]
            inside = np.ones(indices.shape[1], dtype=bool)
            for along, size in zip(indices, self._moving.shape, strict=True):
                inside &= (along > -0.5) & (along < size - 0.5)
            met += int(np.count_nonzero(inside))
            values = ndimage.map_coordinates(
                self._moving, indices.compress(inside, axis=1), order=1, mode="nearest"
            )
            lower = np.clip(values.astype(np.intp), 0, _BINS - 2)
            share = values - lower
            cell = self._rows[block].compress(inside) + lower
            joint += np.bincount(cell, 1 - share, _BINS**2)
            joint += np.bincount(cell + 1, share, _BINS**2)
        if met == 0 or met < _MINIMUM_OVERLAP * len(self._rows):
            return 1.0
        joint = joint.reshape(_BINS, _BINS) / joint.sum()
        marginals = _entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1))
        together = _entropy(joint)
        return float(marginals / together) if together > 0 else 1.0


def coarsened(image: nib.Nifti1Image, spacing: float, fill: float = 0.0) -> nib.Nifti1Image:
    """Average an image onto voxels of at least ``spacing`` mm along its own axes.

    Axes that are coarser stay as they are, so thick slices are not interpolated.
    """
    grid = grid_of(image)
    factors = np.maximum(spacing / grid.spacing, 1.0)
    counts = np.maximum(np.floor(np.asarray(grid.shape) / factors), 1).astype(int)
    affine = grid.affine.copy()
    affine[:3, :3] *= factors
    centre = apply_affine(grid.affine, (np.asarray(grid.shape) - 1) / 2)
    affine[:3, 3] = centre - affine[:3, :3] @ ((counts - 1) / 2)
    coarse = Grid((int(counts[0]), int(counts[1]), int(counts[2])), affine)
    array = np.asarray(image.dataobj, dtype=np.float32)
    return image_on(resample(array, grid.affine, coarse, fill=fill, average=True), coarse)


def _unit(array: np.ndarray) -> np.ndarray:
    low, high = float(array.min()), float(array.max())
    return (array - low) / (high - low) if high > low else np.zeros_like(array)


def _entropy(probabilities: np.ndarray) -> float:
    positive = probabilities[probabilities > 0]
    return float(-(positive * np.log(positive)).sum())
