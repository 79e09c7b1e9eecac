"""Voxels, headers and ITK's text: the geometry that more than one folder needs.

It imports nothing of the package, so any folder may import it, as it may import `errors`.
"""

from __future__ import annotations

import nibabel as nib
import numpy as np

# The 10 mm rule of what is periventricular; beyond it is deep (DeCarli et al. 2005, Stroke 36:50;
# Griffanti et al. 2018, NeuroImage 170:174).
PERIVENTRICULAR_MM = 10.0

# RAS ↔ LPS: the first two axes change sign. It is its own inverse.
RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

# Axes whose cosine is at most this are at right angles: a qform and an ITK image hold no others.
RIGHT_ANGLE_COSINE = 1e-4


def voxel_volume_ml(affine: np.ndarray) -> float:
    """Return the volume of one voxel in mL, by the determinant: right for sheared grids too."""
    return abs(float(np.linalg.det(np.asarray(affine, dtype=float)[:3, :3]))) / 1000.0


def shear(affine: np.ndarray) -> float:
    """Return the largest cosine between two axes of a 4×4 affine: 0 when there is no shear."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.abs(axes.T @ axes - np.eye(3)).max())


def nifti(array: np.ndarray, affine: np.ndarray) -> nib.Nifti1Image:
    """Wrap an array (x, y, z) as a NIfTI image in mm whose sform and qform both state its affine.

    The qform of a sheared affine cannot hold the shear; only the sform is set for those.
    """
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, code=1)
    is_orthogonal = shear(affine) <= RIGHT_ANGLE_COSINE
    image.set_qform(affine if is_orthogonal else None, code=1 if is_orthogonal else 0)
    image.header.set_xyzt_units("mm")
    return image


def bounding_box(mask: np.ndarray, margin: int | np.ndarray = 0) -> tuple[slice, ...]:
    """Return the slices that hold a mask, with a margin of voxels.

    Raises
    ------
    ValueError
        If the mask is empty.
    """
    if not mask.any():
        raise ValueError("An empty mask has no bounding box.")
    axes = range(mask.ndim)
    found = [np.flatnonzero(mask.any(axis=tuple(a for a in axes if a != axis))) for axis in axes]
    margins = np.broadcast_to(np.asarray(margin, dtype=int), mask.ndim)
    return tuple(
        slice(max(int(at[0] - more), 0), min(int(at[-1] + more) + 1, length))
        for at, more, length in zip(found, margins, mask.shape, strict=True)
    )


def slices_met(
    voxel_map: np.ndarray,
    source: tuple[int, ...],
    target: tuple[int, ...],
    *,
    reach: float = 0.0,
    margin: int = 0,
) -> tuple[slice, ...]:
    """Return the slices of a target grid beyond which no voxel meets a source grid.

    Parameters
    ----------
    voxel_map
        4×4, target voxel indices → source voxel indices.
    source, target
        Shapes (x, y, z).
    reach
        Source voxels beyond the centres of the outer ones that still belong to the source.
    margin
        Target voxels to add on every side, for samples off the voxels' centres.
    """
    corners = np.array([*np.ndindex(2, 2, 2)]) * (np.asarray(source) - 1 + 2 * reach) - reach
    back = np.linalg.inv(voxel_map)
    points = corners @ back[:3, :3].T + back[:3, 3]
    low = np.clip(np.floor(points.min(axis=0)) - margin, 0, target).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)) + 1 + margin, low, target).astype(int)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


def ras_to_lps(matrix: np.ndarray) -> np.ndarray:
    """Express a 4×4 map between RAS points as a map between LPS points (and the reverse)."""
    return RAS_LPS @ np.asarray(matrix, dtype=float) @ RAS_LPS


def itk_text(matrix: np.ndarray) -> str:
    """Return the content of an ITK transform file.

    Parameters
    ----------
    matrix
        4×4, RAS mm, reference points → moving points.
    """
    lps = ras_to_lps(matrix)
    numbers = np.concatenate([lps[:3, :3].ravel(), lps[:3, 3]])
    return (
        "#Insight Transform File V1.0\n"
        "#Transform 0\n"
        "Transform: AffineTransform_double_3_3\n"
        f"Parameters: {' '.join(f'{number:.17g}' for number in numbers)}\n"
        "FixedParameters: 0 0 0\n"
    )
