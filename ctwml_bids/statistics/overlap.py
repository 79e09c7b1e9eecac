"""Voxel and lesion overlap of a CT segmentation with the FLAIR segmentation of the same head.

Dice and the correctly and incorrectly segmented volumes are those of Pitkänen et al. 2020; H95,
volume difference, lesion recall and lesion F1 follow the definitions of the WMH Segmentation
Challenge (Kuijf et al. 2019, IEEE Trans Med Imaging 38:2556) so that numbers compare.
In all of them FLAIR is the reference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage
from scipy.spatial import KDTree

from ctwml_bids.geometry import voxel_volume_ml

CORNERS_TOUCH = np.ones((3, 3, 3), dtype=bool)  # 26-connectivity


@dataclass(frozen=True)
class Overlap:
    """How a CT segmentation agrees with the FLAIR segmentation, voxel by voxel.

    Attributes
    ----------
    dice
        ``2|X∩Y| / (|X| + |Y|)``; 1 when both are empty, see ``both_empty``.
    both_empty
        Neither image has a lesion: the Dice of 1 says nothing about segmentation quality.
    true_positive_ml, ct_only_ml, flair_only_ml
        Volume segmented in both, in CT alone, in FLAIR alone.
    h95_mm
        95th-percentile Hausdorff distance; NaN when either is empty.
    avd_percent
        ``|V_CT − V_FLAIR| / V_FLAIR · 100``; NaN when FLAIR is empty.
    lesion_recall, lesion_f1
        Over 26-connected lesions, any shared voxel is a hit.
    """

    dice: float
    both_empty: bool
    true_positive_ml: float
    ct_only_ml: float
    flair_only_ml: float
    h95_mm: float
    avd_percent: float
    lesion_recall: float
    lesion_f1: float


def compare(ct: np.ndarray, flair: np.ndarray, *, affine: np.ndarray) -> Overlap:
    """Measure a CT segmentation against the FLAIR segmentation on the same grid.

    Parameters
    ----------
    ct, flair
        Lesion masks, bool or 0/1, shape (x, y, z), on one grid (FLAIR space).
    affine
        4×4, voxel indices → RAS mm; sheared ones are fine.

    Returns
    -------
    Overlap
        Volumes in mL, distances in mm.

    Raises
    ------
    ValueError
        The masks differ in shape.
    """
    ct, flair = np.asarray(ct) > 0, np.asarray(flair) > 0
    _require_same_shape(ct, flair)
    voxel_ml = voxel_volume_ml(affine)
    both = int(np.count_nonzero(ct & flair))
    in_ct, in_flair = int(np.count_nonzero(ct)), int(np.count_nonzero(flair))
    recall, f1 = lesion_detection(ct, flair)
    return Overlap(
        dice=dice(ct, flair),
        both_empty=in_ct + in_flair == 0,
        true_positive_ml=both * voxel_ml,
        ct_only_ml=(in_ct - both) * voxel_ml,
        flair_only_ml=(in_flair - both) * voxel_ml,
        h95_mm=hausdorff95(ct, flair, affine=affine),
        avd_percent=absolute_volume_difference(in_ct, in_flair),
        lesion_recall=recall,
        lesion_f1=f1,
    )


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Return ``2|X∩Y| / (|X| + |Y|)`` of two masks of one shape; 1 when both are empty."""
    first, second = np.asarray(first) > 0, np.asarray(second) > 0
    _require_same_shape(first, second)
    total = int(np.count_nonzero(first)) + int(np.count_nonzero(second))
    return 2.0 * int(np.count_nonzero(first & second)) / total if total else 1.0


def absolute_volume_difference(result: float, reference: float) -> float:
    """Return ``|result − reference| / reference · 100`` (percent); NaN for a reference of 0."""
    return abs(result - reference) / reference * 100.0 if reference else math.nan


def hausdorff95(result: np.ndarray, reference: np.ndarray, *, affine: np.ndarray) -> float:
    """Return the larger of the two directed 95th-percentile boundary distances, in mm.

    The boundary of a mask is what a 3×3 erosion within each slice takes away; the edge of the
    image does not erode. Distances run between boundary voxel centres in 3D. Slices lie along the
    array axis of the largest spacing, and among equal ones along that nearest to
    superior–inferior.

    Parameters
    ----------
    result, reference
        Masks, shape (x, y, z), on one grid.
    affine
        4×4, voxel indices → RAS mm.

    Returns
    -------
    float
        NaN when either mask is empty.
    """
    result, reference = np.asarray(result) > 0, np.asarray(reference) > 0
    _require_same_shape(result, reference)
    if not result.any() or not reference.any():
        return math.nan
    axis = _across_slices(affine)
    from_result = _boundary_points(result, affine, axis)
    from_reference = _boundary_points(reference, affine, axis)
    to_reference = KDTree(from_reference).query(from_result)[0]
    to_result = KDTree(from_result).query(from_reference)[0]
    return float(max(np.percentile(to_reference, 95), np.percentile(to_result, 95)))


def lesion_detection(result: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Return recall and F1 over 26-connected lesions; any shared voxel is a hit.

    Recall is 1 where the reference has no lesion, precision is 1 where the result has none (the
    challenge's convention): two empty masks score 1 and 1.

    Parameters
    ----------
    result, reference
        Masks, shape (x, y, z), on one grid.

    Returns
    -------
    tuple of float
        Recall and F1, each in [0, 1].
    """
    result, reference = np.asarray(result) > 0, np.asarray(reference) > 0
    _require_same_shape(result, reference)
    recall = _share_of_lesions_hit(reference, result)
    precision = _share_of_lesions_hit(result, reference)
    both = precision + recall
    return recall, 2.0 * precision * recall / both if both else 0.0


def _share_of_lesions_hit(lesions: np.ndarray, other: np.ndarray) -> float:
    """Return the share of 26-connected components of ``lesions`` that share a voxel."""
    labels, count = ndimage.label(lesions, structure=CORNERS_TOUCH)
    hit = np.unique(labels[other & lesions])
    return float(hit.size / count) if count else 1.0


def _boundary_points(mask: np.ndarray, affine: np.ndarray, slice_axis: int) -> np.ndarray:
    """Return RAS mm of the voxels that an in-plane 3×3 erosion removes, shape (n, 3)."""
    shape = [3, 3, 3]
    shape[slice_axis] = 1
    inner = ndimage.binary_erosion(mask, structure=np.ones(shape, dtype=bool), border_value=1)
    points: np.ndarray = apply_affine(np.asarray(affine, float), np.argwhere(mask & ~inner))
    return points


def _across_slices(affine: np.ndarray) -> int:
    """Return the array axis with the largest spacing, preferring superior–inferior in a tie."""
    columns = np.asarray(affine, dtype=float)[:3, :3]
    spacing = np.linalg.norm(columns, axis=0)
    uprightness = np.abs(columns[2]) / spacing
    near_largest = spacing > 0.99 * spacing.max()
    return int(np.argmax(np.where(near_largest, uprightness, -1.0)))


def _require_same_shape(first: np.ndarray, second: np.ndarray) -> None:
    if first.shape != second.shape:
        raise ValueError(f"the two masks differ in shape: {first.shape} and {second.shape}")
