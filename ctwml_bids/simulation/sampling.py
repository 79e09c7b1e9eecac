"""Taking images of a head: a scanner's grid, poses, slice profiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ctwml_bids.geometry import slices_met
from ctwml_bids.simulation import canonical
from ctwml_bids.simulation.fields import interpolate
from ctwml_bids.trilinear import through_affine


@dataclass(frozen=True)
class Scan:
    """A scanner's grid.

    Attributes
    ----------
    shape
        Voxels along x, y, z.
    affine
        4×4, voxel indices → RAS mm; sheared when a gantry was tilted.
    thickness
        Width in mm of the box over which each slice averages, along the third axis.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    thickness: float

    @property
    def spacing(self) -> np.ndarray:
        """Voxel edge lengths in mm."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)


def rotation(angles: Sequence[float]) -> np.ndarray:
    """Return the 3×3 rotation Rz·Ry·Rx for angles about x, y, z in degrees."""
    a, b, c = np.deg2rad(np.asarray(angles, dtype=float))
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return rz @ ry @ rx


def pose(rng: np.random.Generator, scale: np.ndarray, degrees: float, shift: float) -> np.ndarray:
    """Draw template_to_native = T·R·S with three rotations and a translation (4×4, RAS mm)."""
    angles = rng.normal(0, degrees, 3) * np.array([1.3, 0.7, 0.8])
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(np.clip(angles, -25, 25)) @ np.diag(scale)
    matrix[:3, 3] = rng.uniform(-shift, shift, 3)
    return matrix


def take(
    array: np.ndarray,
    start: Sequence[int],
    template_to_native: np.ndarray,
    scan: Scan,
    *,
    fill: float = 0.0,
    finest: float = 0.8,
) -> np.ndarray:
    """Sample a field of the working grid on a scanner's grid, averaging over each slice.

    Parameters
    ----------
    array
        Values on (a box of) the working grid.
    start
        Index of its first voxel on the working grid.
    template_to_native
        4×4 of the pose.
    scan
        Where values are wanted.
    fill
        Value beyond the box.
    finest
        Along axes finer than this (mm) the field is sampled so, then interpolated: the head is
        known to 1 mm, and finer sampling costs time without adding anything.

    Returns
    -------
    numpy.ndarray
        float32, shape ``scan.shape``.
    """
    origin = np.eye(4)
    origin[:3, 3] = canonical.ORIGIN + np.asarray(start)
    to_array = np.linalg.inv(origin) @ np.linalg.inv(template_to_native) @ scan.affine
    factor = np.maximum(finest / scan.spacing, 1.0)
    shape = tuple(int(np.ceil((n - 1) / f)) + 1 for n, f in zip(scan.shape, factor, strict=True))
    to_array[:3, :3] *= factor
    count = max(1, round(scan.thickness / 1.1))
    slice_steps = scan.thickness / (scan.spacing[2] * factor[2])
    met = slices_met(to_array, array.shape, shape, margin=int(np.ceil(slice_steps / 2)))
    total = np.full(shape, fill, dtype=np.float32)
    total[met] = 0
    for index in range(count if total[met].size else 0):
        corner = np.array([part.start for part in met], dtype=float)
        corner[2] += slice_steps * ((index + 0.5) / count - 0.5)
        total[met] += through_affine(
            array,
            to_array[:3, :3],
            to_array[:3, :3] @ corner + to_array[:3, 3],
            total[met].shape,
            fill,
        )
    total[met] /= count
    for axis in range(3):
        if factor[axis] > 1:
            total = interpolate(total, axis, float(factor[axis]), scan.shape[axis])
    return total
