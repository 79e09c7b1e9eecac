"""Notice slices that are not spaced as the header says.

A NIfTI header has one slice spacing. Clinical CT may have thin slices through the skull base and
thick ones above; converters then write one of them, or a mean, and every volume is wrong. The
sidecar sometimes tells. Otherwise only the picture can: the vault of a skull is close to half an
ellipsoid, about as high above its widest level as it is wide on average.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from ctwml_bids.preprocessing.grids import Grid
from ctwml_bids.slices import SPACING_KEY, position_gaps, slice_gap

# Relative deviation from even spacing that changes volumes noticeably.
UNEVEN = 0.02
# Vertical half axis of the vault over the radius of the disc with its largest area. Two heads
# whose spacing is right measured 0.92 and 0.97; beyond these bounds the shape contradicts the
# header.
VAULT_RATIO = (0.78, 1.4)
BONE_HU = 150.0
# Silhouettes are measured on pixels of about this size, in mm.
PIXEL_MM = 2.0
# Slices of the vault used: from the widest level up to this share of its area.
SMALLEST_SHARE = 0.35
MIN_VAULT_SLICES = 5


def spacing_facts(
    data: np.ndarray, native: Grid, sidecar: Mapping[str, object], axis: int
) -> tuple[dict, list[str]]:
    """Compare the header's slice spacing with the sidecar and with the shape of the skull.

    Parameters
    ----------
    data
        CT in HU, shape (x, y, z), on the file's own grid.
    native
        That grid; tilt is allowed.
    sidecar
        BIDS sidecar, may be empty.
    axis
        Array axis of the slices, as `slices.slice_axis` finds it with the file's header.

    Returns
    -------
    facts : dict
        ``slice_spacing_mm``; ``slice_positions_uneven`` (largest deviation of a distance between
        slices from their mean, as a share of it) and ``slice_gap_ratio`` (largest over smallest
        distance), None where unknown; ``stated_spacing_ratio`` (the sidecar's spacing over the
        header's, None where it agrees or is not there);
        ``vault_ratio`` (None where the vault is not in the picture).
    warnings : list of str
    """
    gap = slice_gap(native.affine, axis)
    gaps = position_gaps(sidecar, native.shape[axis], native.affine, axis)
    uneven = None if gaps is None else float(np.abs(gaps - gaps.mean()).max() / gaps.mean())
    ratio = vault_ratio(data, native, axis)
    warnings = []
    if uneven is not None and uneven > UNEVEN:
        warnings.append(
            f"slice positions in the sidecar are uneven by {uneven:.0%} of their mean distance, "
            f"but the header has one spacing ({gap:.2f} mm); volumes are wrong by up to that share "
            "where the slices are not evenly spaced"
        )
    stated, stated_ratio = sidecar.get(SPACING_KEY), None
    if isinstance(stated, int | float) and stated > 0 and abs(stated / gap - 1) > UNEVEN:
        along = float(native.spacing[axis])
        if abs(stated / along - 1) > UNEVEN:
            stated_ratio = round(stated / gap, 3)
            warnings.append(
                f"the sidecar says {stated:g} mm between slices, the header {gap:.2f} mm; volumes "
                f"would change by a factor of {stated / gap:.2f}"
            )
    if ratio is not None and not VAULT_RATIO[0] <= ratio <= VAULT_RATIO[1]:
        warnings.append(
            f"the skull looks {'flattened' if ratio < 1 else 'stretched'}: with the header's "
            f"{gap:.2f} mm between slices the vault is {ratio:.2f} times as high as expected. The "
            f"slices there may lie about {gap / ratio:.1f} mm apart (variable slice spacing is "
            "lost in NIfTI); volumes are wrong by the same factor. Convert the scan again with "
            "a version of dcm2niix that corrects it (files ending in _Eq)"
        )
    facts = {
        "slice_spacing_mm": round(gap, 4),
        "slice_positions_uneven": None if uneven is None else round(uneven, 4),
        "slice_gap_ratio": None if gaps is None else _gap_ratio(gaps),
        "stated_spacing_ratio": stated_ratio,
        "vault_ratio": None if ratio is None else round(ratio, 3),
    }
    return facts, warnings


def vault_ratio(data: np.ndarray, native: Grid, axis: int) -> float | None:
    """Height of the skull's vault relative to its mean radius, None if it cannot be measured.

    The area inside the outer skull is fitted as that of an ellipsoid, A(z) = A0 (1 − (z/c)²),
    from the widest slice upwards; the ratio is c / √(A0/π).
    """
    direction = native.affine[:3, axis] / native.spacing[axis]
    if abs(direction[2]) < np.cos(np.radians(35)):
        return None
    slices = np.moveaxis(data, axis, 2)
    if direction[2] < 0:
        slices = slices[:, :, ::-1]
    others = [a for a in range(3) if a != axis]
    edges = native.affine[:3, others]
    step = np.maximum(np.round(PIXEL_MM / native.spacing[others]), 1).astype(int)
    pixel = float(np.linalg.norm(np.cross(edges[:, 0], edges[:, 1])) * step.prod())
    gap = slice_gap(native.affine, axis)
    stride = max(1, round(2.0 / gap))
    areas = pixel * np.array(
        [_skull_area(slices[:: step[0], :: step[1], k]) for k in range(0, slices.shape[2], stride)]
    )
    return _ellipsoid_ratio(areas, gap * stride)


def _skull_area(values: np.ndarray) -> int:
    """Pixels inside the largest outline of bone in a slice."""
    bone = values > min(BONE_HU, 0.85 * float(values.max()))
    filled = ndimage.binary_opening(ndimage.binary_fill_holes(bone), iterations=2)
    labels, count = ndimage.label(filled)
    return int(np.bincount(labels.ravel())[1:].max()) if count else 0


def _ellipsoid_ratio(areas: np.ndarray, gap: float) -> float | None:
    # A head's largest section measures 200 to 330 cm²; much less is no head.
    if len(areas) < MIN_VAULT_SLICES or areas.max() < 12000:
        return None
    widest = int(areas.argmax())
    above = areas[widest:]
    end = np.flatnonzero(above < SMALLEST_SHARE * areas.max())
    vault = above[: end[0]] if end.size else above
    if len(vault) < MIN_VAULT_SLICES or vault.min() > 0.6 * vault.max():
        return None
    z = np.arange(len(vault)) * gap
    curvature, slope, offset = np.polyfit(z, vault, 2)
    largest = offset - slope**2 / (4 * curvature)
    if curvature >= 0 or largest <= 0:
        return None
    return float(np.sqrt(largest / -curvature) / np.sqrt(largest / np.pi))


def _gap_ratio(gaps: np.ndarray) -> float:
    """Largest over smallest distance; slices at one place count as 0.01 mm apart."""
    return round(float(gaps.max() / max(gaps.min(), 0.01)), 3)
