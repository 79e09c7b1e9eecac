"""Which axis the slices of an image lie along, and how far apart, by its header and its sidecar."""

from __future__ import annotations

from collections.abc import Mapping

import nibabel as nib
import numpy as np

# Sidecar entries that list slice positions in mm; single numbers are not lists and are ignored.
POSITION_KEYS = ("SlicePositions", "SliceLocations", "SliceLocation", "ImagePositionPatient")
# Sidecar entries with the distance of slices, their thickness, and the edges of a pixel, in mm.
SPACING_KEY, THICKNESS_KEY, PIXEL_KEY = "SpacingBetweenSlices", "SliceThickness", "PixelSpacing"
# Sidecar entries with DICOM's direction cosines of rows and columns (LPS), as converters name them.
ORIENTATION_KEYS = ("ImageOrientationPatientDICOM", "ImageOrientationPatient")
# Sidecar entry with the array axis of an MR's slices: i, j or k, perhaps with a minus sign.
ENCODING_KEY = "SliceEncodingDirection"
# Pixels are square to within header rounding; slices are this much thicker or thinner.
_SQUARE, _NOT_SQUARE = 2e-3, 1e-2
# A plane's matrix is square and a multiple of this (160, 256, 320, 512); a stack rarely is.
_MATRIX = 32


def slice_axis(
    image: nib.spatialimages.SpatialImage, sidecar: Mapping[str, object] | None = None
) -> int:
    """Return the array axis along which an image's slices were acquired.

    Not simply the coarsest: thin overlapping slices lie closer together than their pixels. What
    is asked, in this order: the sidecar's direction of the planes, and its lists of slice
    positions, which are as long as the axis; the two axes with square pixels, if the third
    differs; what header or sidecar name as the slice axis (dim_info, SliceEncodingDirection),
    which tools that reorder axes forget; the two axes with a square matrix; the coarsest axis,
    of several the last, where converters put slices.

    Parameters
    ----------
    image
        3D, with its affine; a NIfTI header's dim_info is read.
    sidecar
        The BIDS sidecar's content, if there is one.

    Returns
    -------
    int
        0, 1 or 2.
    """
    sidecar = sidecar or {}
    affine = np.asarray(image.affine, dtype=float)[:3, :3]
    spacing = np.linalg.norm(affine, axis=0)
    shape = np.asarray(image.shape[:3])
    normal = _plane_normal(sidecar)
    if normal is not None:
        return int(np.argmax(np.abs(normal @ (affine / spacing))))
    lists = [found for key in POSITION_KEYS if isinstance(found := sidecar.get(key), list)]
    stacks = {len(values) for values in lists if len(values) > 3}
    axes = [axis for axis in range(3) if int(shape[axis]) in stacks]
    if len(axes) == 1:
        return axes[0]
    pairs = {axis: np.delete(np.arange(3), axis) for axis in range(3)}
    # How far a pair's voxel edges are from equal, and the third edge from theirs.
    apart = {axis: abs(np.log(spacing[a] / spacing[b])) for axis, (a, b) in pairs.items()}
    square = [
        axis
        for axis in range(3)
        if apart[axis] < _SQUARE and min(apart[other] for other in pairs[axis]) > _NOT_SQUARE
    ]
    if square:
        return square[0]
    named = _named_axis(image, sidecar)
    if named is not None:
        return named
    matrix = [
        axis
        for axis, (a, b) in pairs.items()
        if shape[a] == shape[b] != shape[axis] and shape[a] % _MATRIX == 0
    ]
    # A matrix says more than edges that hardly differ, and less than slices of twice the pixels.
    if matrix and spacing.max() < 2 * spacing.min():
        return matrix[0]
    return int(np.flatnonzero(spacing > spacing.max() * (1 - _SQUARE))[-1])


def slice_gap(affine: np.ndarray, axis: int) -> float:
    """Return the distance in mm between planes across an array axis; shorter than a tilted step."""
    edges = np.delete(np.asarray(affine, dtype=float)[:3, :3], axis, axis=1)
    normal = np.cross(edges[:, 0], edges[:, 1])
    return float(abs(affine[:3, axis] @ normal) / np.linalg.norm(normal))


def position_gaps(
    sidecar: Mapping[str, object], count: int, affine: np.ndarray, axis: int
) -> np.ndarray | None:
    """Return the distances in mm between neighbouring slices as the sidecar lists their positions.

    Parameters
    ----------
    sidecar
        The BIDS sidecar's content.
    count
        Number of slices; a list of another length is of something else.
    affine, axis
        4×4, voxel indices → RAS mm, and the slice axis.

    Returns
    -------
    numpy.ndarray or None
        ``count`` - 1 distances; None where there is no such list.
    """
    edges = np.delete(np.asarray(affine, dtype=float)[:3, :3], axis, axis=1)
    normal = np.cross(edges[:, 0], edges[:, 1])
    normal /= np.linalg.norm(normal)
    for key in POSITION_KEYS:
        positions = sidecar.get(key)
        if not isinstance(positions, list) or len(positions) != count or count < 3:
            continue
        try:
            values = np.asarray(positions, dtype=float)
        except (TypeError, ValueError):
            continue
        if values.ndim == 2 and values.shape[1] != 3:
            continue
        # Sidecar positions follow DICOM (LPS); the normal is RAS.
        line = values @ (normal * [-1, -1, 1]) if values.ndim == 2 else values
        gaps = np.abs(np.diff(np.sort(line)))
        if np.isfinite(gaps).all() and gaps.mean() > 0:
            return gaps
    return None


def stated_gaps(
    sidecar: Mapping[str, object], count: int, affine: np.ndarray, axis: int
) -> dict[str, float]:
    """Return what a sidecar says of the mean distance of slices: entry → mm; empty if nothing.

    Parameters are those of `position_gaps`.
    """
    found = {}
    stated = sidecar.get(SPACING_KEY)
    if isinstance(stated, int | float) and not isinstance(stated, bool) and stated > 0:
        found[SPACING_KEY] = float(stated)
    gaps = position_gaps(sidecar, count, affine, axis)
    if gaps is not None:
        found["slice positions"] = float(gaps.mean())
    return found


def _plane_normal(sidecar: Mapping[str, object]) -> np.ndarray | None:
    """Return the normal (RAS) of the planes that a sidecar directs, None where it does not."""
    for key in ORIENTATION_KEYS:
        try:
            cosines = np.asarray(sidecar.get(key), dtype=float)
        except (TypeError, ValueError):
            continue
        if cosines.shape == (6,):
            normal = np.cross(cosines[:3], cosines[3:]) * [-1, -1, 1]
            length = np.linalg.norm(normal)
            if np.isfinite(length) and length > 0.5:
                return normal / length
    return None


def _named_axis(image: nib.spatialimages.SpatialImage, sidecar: Mapping[str, object]) -> int | None:
    """Return the slice axis that the header, else the sidecar, names; None where neither does."""
    if isinstance(image.header, nib.Nifti1Header):
        named = image.header.get_dim_info()[2]
        if named is not None:
            return int(named)
    direction = str(sidecar.get(ENCODING_KEY, ""))[:1]
    return "ijk".index(direction) if direction in ("i", "j", "k") else None
