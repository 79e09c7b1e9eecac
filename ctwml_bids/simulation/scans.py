"""The grids on which scanners put a head: matrix, spacing, slice thickness, place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ctwml_bids.simulation.sampling import Scan

MOST_GAP = 0.3  # share of the distance between slices that none of them sees
# FLAIR slices in mm: nearly all of the paper's are 4 to 5 mm apart, others from 3 to 10.
USUAL_FLAIR_MM, OTHER_FLAIR_MM, OTHER_FLAIR_SHARE = (4.0, 5.0), (3.0, 10.0), 0.25
SAGITTAL_MARGIN = 7.5  # mm of a sagittal field of view above and below the head


def draw_ct_grid(
    rng: np.random.Generator,
    matrix: np.ndarray,
    spacing: Sequence[float] | None,
    size: str,
    *,
    gap: float | None = None,
    covered_from: float | None = None,
) -> Scan:
    """Draw a CT's grid: the paper's range, a coarser one, or a given spacing.

    Parameters
    ----------
    rng
        Source of randomness.
    matrix
        4×4, RAS mm, template points → native points: the head's pose in the scanner.
    spacing
        Voxel edges in mm, or None for drawn ones.
    size
        "full" (clinical, now and then with a tilted gantry) or "small".
    gap
        Share of the distance between slices that none of them sees, 0 to `MOST_GAP`; None: 0.
    covered_from
        Lowest z (mm, template) at which the head is known, or None.

    Returns
    -------
    Scan
        Slices as thick as they are apart, less the gap.
    """
    pixel = rng.uniform(0.41, 0.55) if size == "full" else rng.uniform(1.2, 1.6)
    thick = float(rng.choice([1.5, 2.5, 3, 4, 5, 5])) if size == "full" else rng.choice([4.0, 5.0])
    low = rng.uniform(-98, -80)
    if spacing is None:
        spacing = (pixel, pixel, thick)
        columns = 512 if size == "full" else int(np.ceil(230 / pixel / 2) * 2)
        rows = columns
    else:
        columns, rows = int(np.ceil(196 / spacing[0])), int(np.ceil(236 / spacing[1]))
        low = -84.0
    low = _covered(low, covered_from, float(spacing[2]))
    bottom, top = _native_range(matrix, low, 96.0)
    slices = int(np.ceil((top - bottom) / spacing[2])) + 1
    centre = _head_centre(matrix)
    centre[2] = (bottom + top) / 2
    tilt = float(rng.uniform(-18, 18)) if size == "full" and rng.random() < 0.15 else 0.0
    shape = (columns, rows, slices)
    flip = bool(rng.random() < 0.5)
    affine = _spaced_affine(shape, spacing, centre, flip, tilt)
    return Scan(shape, affine, float(spacing[2] * (1 - (gap or 0.0))))


def draw_flair_grid(
    rng: np.random.Generator,
    matrix: np.ndarray,
    spacing: Sequence[float] | None,
    size: str,
    sagittal: bool,
    *,
    gap: float | None = None,
    covered_from: float | None = None,
) -> Scan:
    """Draw a FLAIR's grid: axial 2D, or sagittal 3D, stored as the scanner would.

    Parameters
    ----------
    rng, matrix, spacing, size, gap, covered_from
        As for `draw_ct_grid`; without a gap given, half of the axial ones have one.
    sagittal
        Whether it is a sagittal 3D one; a given spacing makes it axial all the same.

    Returns
    -------
    Scan
        With gaps slices are thinner than they are apart; a sagittal 3D one has none.
    """
    low = _covered(rng.uniform(-98, -84), covered_from, SAGITTAL_MARGIN if sagittal else 5.0)
    bottom, top = _native_range(matrix, low, 98.0)
    centre = _head_centre(matrix)
    centre[2] = (bottom + top) / 2
    if sagittal and spacing is None:
        pixel = rng.uniform(0.9, 1.1) if size == "full" else rng.uniform(1.2, 1.5)
        thick = rng.uniform(0.9, 1.2) if size == "full" else 2.0
        shape = (
            int(240 / pixel),
            int((top - bottom + 2 * SAGITTAL_MARGIN) / pixel),
            int(176 / thick),
        )
        affine = np.eye(4)
        affine[:3, :3] = np.array([[0, 0, thick], [pixel, 0, 0], [0, pixel, 0]])
        affine[:3, 3] = centre - affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
        return Scan(shape, affine, float(thick))
    if spacing is None:
        pixel = rng.uniform(0.43, 0.98) if size == "full" else rng.uniform(1.1, 1.5)
        other = size == "full" and rng.random() < OTHER_FLAIR_SHARE
        spacing = (pixel, pixel, rng.uniform(*(OTHER_FLAIR_MM if other else USUAL_FLAIR_MM)))
    drawn = 0.0 if rng.random() < 0.5 else rng.uniform(0.05, MOST_GAP)
    gap = drawn if gap is None else gap
    shape = (
        int(np.ceil(196 / spacing[0] / 2) * 2),
        int(np.ceil(236 / spacing[1] / 2) * 2),
        int(np.ceil((top - bottom) / spacing[2])) + 1,
    )
    affine = _spaced_affine(shape, spacing, centre, bool(rng.random() < 0.5))
    return Scan(shape, affine, float(spacing[2] * (1 - gap)))


def _spaced_affine(
    shape: Sequence[int],
    spacing: Sequence[float],
    centre: np.ndarray,
    flip_x: bool,
    tilt: float = 0.0,
) -> np.ndarray:
    """Return the affine of an axial grid about a centre; ``tilt`` shears y along z (degrees)."""
    steps = np.diag(np.asarray(spacing, dtype=float))
    if flip_x:
        steps[0, 0] *= -1
    steps[1, 2] = spacing[2] * np.tan(np.deg2rad(tilt))
    affine = np.eye(4)
    affine[:3, :3] = steps
    affine[:3, 3] = centre - steps @ ((np.asarray(shape) - 1) / 2)
    return affine


def _head_centre(template_to_native: np.ndarray) -> np.ndarray:
    """Return the native point (mm) around which a technician centres the field of view."""
    return template_to_native[:3, :3] @ np.array([0, -17.0, 5.0]) + template_to_native[:3, 3]


def _covered(low: float, covered_from: float | None, margin: float) -> float:
    """Raise the lowest z so that what a slice or field of view has below it is known, too."""
    return low if covered_from is None else max(low, covered_from + 1.2 * margin)


def _native_range(template_to_native: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Return native z of two template heights on the midline (mm)."""
    points = np.array([[0, -40.0, low, 1], [0, -30.0, high, 1]]).T
    z = (template_to_native @ points)[2]
    return float(z[0]), float(z[1])
