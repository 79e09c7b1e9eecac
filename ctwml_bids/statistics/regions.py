"""Where the lesions of one image lie and how large they are.

Volumes come from the determinant of the affine and distances from voxel centres in mm, so that
anisotropic grids and grids sheared by a gantry tilt measure right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage
from scipy.spatial import KDTree

from ctwml_bids.geometry import PERIVENTRICULAR_MM, bounding_box, voxel_volume_ml
from ctwml_bids.statistics.overlap import CORNERS_TOUCH

# Of a voxel near the border of the brain mask: from its centre to that of the nearest outside.
NEAR_BORDER_MM = 3.0
# A ball of 3 mm across: guidelines ask for 3 mm along a lesion's longest axis (Filippi et al. 2019,
# Brain 142:1858). A volume, since an extent would depend on the slice thickness.
MINIMUM_LESION_ML = 0.014


@dataclass(frozen=True)
class Lesion:
    """One 26-connected lesion.

    Attributes
    ----------
    volume_ml
        Volume in mL.
    centroid_mm
        Centre of mass in the image's RAS mm (x to the right, y forwards, z up).
    ventricle_distance_mm
        From its nearest voxel to the ventricles; 0 when it reaches into them, NaN without a
        ventricle mask.
    """

    volume_ml: float
    centroid_mm: tuple[float, float, float]
    ventricle_distance_mm: float


@dataclass(frozen=True)
class LesionMeasures:
    """Lesion volumes of one image, in mL; what `columns` has a column of is named as it.

    Attributes
    ----------
    wml_ml, brain_ml, ventricle_ml
        Volume of the lesion mask, specks included, of the brain mask, of the ventricle mask.
    wml_percent
        Lesions as a percentage of the brain mask; NaN for an empty brain mask.
    lesion_count
        Number of 26-connected lesions of at least the minimum volume.
    lesion_median_ml, lesion_largest_ml
        Sizes of those lesions; 0 when there is none.
    speck_ml
        Volume in foci below the minimum: part of the total, of no lesion in the table.
    periventricular_ml, deep_ml
        Volume of voxels whose centres are within, and beyond, `PERIVENTRICULAR_MM` of the centre
        of a ventricle voxel; NaN without a ventricle mask.
    left_ml, right_ml
        Volume in each of the patient's hemispheres.
    near_border
        Share (0–1) of the lesion probability near the border of the brain mask.
    in_ventricles_ml
        Volume of lesions within the ventricle mask.
    lesions
        Every lesion that is counted, largest first.
    """

    wml_ml: float
    brain_ml: float
    ventricle_ml: float
    wml_percent: float
    lesion_count: int
    lesion_median_ml: float
    lesion_largest_ml: float
    speck_ml: float
    periventricular_ml: float
    deep_ml: float
    left_ml: float
    right_ml: float
    near_border: float
    in_ventricles_ml: float
    lesions: tuple[Lesion, ...]


def measure(
    lesions: np.ndarray,
    *,
    affine: np.ndarray,
    probability: np.ndarray,
    brain: np.ndarray,
    ventricles: np.ndarray,
    left: np.ndarray,
    minimum_ml: float = MINIMUM_LESION_ML,
) -> LesionMeasures:
    """Measure the lesions of one image in its own space.

    Parameters
    ----------
    lesions, brain, ventricles
        Masks, bool or 0/1, shape (x, y, z), on one grid.
    affine
        4×4, voxel indices → RAS mm; may be anisotropic, oblique or sheared.
    probability
        0–1, that each voxel is a lesion, on that grid.
    left
        True where a voxel lies in the patient's left hemisphere (see `left_of_midline`).
    minimum_ml
        Smaller foci are neither counted nor listed as lesions; volumes take them in.

    Returns
    -------
    LesionMeasures
        Volumes in mL.

    Raises
    ------
    ValueError
        The masks differ in shape.
    """
    lesions, brain = np.asarray(lesions) > 0, np.asarray(brain) > 0
    ventricles, left = np.asarray(ventricles) > 0, np.asarray(left) > 0
    shapes = {array.shape for array in (lesions, brain, ventricles, left, np.asarray(probability))}
    if len(shapes) > 1:
        raise ValueError(f"the masks differ in shape: {sorted(shapes)}")
    voxel_ml = voxel_volume_ml(affine)
    indices = np.argwhere(lesions)
    where = tuple(indices.T)
    distance = _distance_to(ventricles, indices, affine)
    near = int(np.count_nonzero(distance <= PERIVENTRICULAR_MM + 1e-6))
    total, total_left = len(indices), int(np.count_nonzero(left[where]))
    brain_ml = int(np.count_nonzero(brain)) * voxel_ml
    foci = _lesion_table(lesions, indices, distance, affine)
    table = tuple(focus for focus in foci if focus.volume_ml >= minimum_ml)
    sizes = [lesion.volume_ml for lesion in table]
    has_ventricles = bool(ventricles.any())
    return LesionMeasures(
        wml_ml=total * voxel_ml,
        brain_ml=brain_ml,
        ventricle_ml=int(np.count_nonzero(ventricles)) * voxel_ml,
        wml_percent=100.0 * total * voxel_ml / brain_ml if brain_ml else math.nan,
        lesion_count=len(table),
        lesion_median_ml=float(np.median(sizes)) if sizes else 0.0,
        lesion_largest_ml=sizes[0] if sizes else 0.0,
        speck_ml=float(sum(focus.volume_ml for focus in foci[len(table) :])),
        periventricular_ml=near * voxel_ml if has_ventricles else math.nan,
        deep_ml=(total - near) * voxel_ml if has_ventricles else math.nan,
        left_ml=total_left * voxel_ml,
        right_ml=(total - total_left) * voxel_ml,
        near_border=share_near_border(np.where(lesions, probability, 0), brain, affine=affine),
        in_ventricles_ml=int(np.count_nonzero(ventricles[where])) * voxel_ml,
        lesions=table,
    )


def left_of_midline(
    shape: tuple[int, int, int], affine: np.ndarray, native_to_template: np.ndarray
) -> np.ndarray:
    """Return True where a voxel's centre is left of the midline plane x = 0 of the template.

    Parameters
    ----------
    shape
        Voxels along x, y, z.
    affine
        4×4, voxel indices → RAS mm of the image.
    native_to_template
        4×4, RAS mm: points of the image → points of the template.

    Returns
    -------
    numpy.ndarray
        bool, the given shape.
    """
    row = (native_to_template @ np.asarray(affine, dtype=float))[0]
    i, j, k = np.ogrid[: shape[0], : shape[1], : shape[2]]
    left: np.ndarray = row[0] * i + row[1] * j + row[2] * k + row[3] < 0
    return left


def share_near_border(lesions: np.ndarray, brain: np.ndarray, *, affine: np.ndarray) -> float:
    """Return the share of the lesion volume that lies near the border of the brain mask.

    Parameters
    ----------
    lesions
        Mask or probabilities, shape (x, y, z); probabilities count by their value.
    brain
        Brain mask on the same grid.
    affine
        4×4, voxel indices → RAS mm.

    Returns
    -------
    float
        In [0, 1]; lesions outside the mask count as near. 0 without lesions.
    """
    brain = np.asarray(brain) > 0
    indices = np.argwhere(np.asarray(lesions) > 0)
    weights = np.asarray(lesions, dtype=float)[tuple(indices.T)]
    if not weights.sum():
        return 0.0
    shell = np.zeros_like(brain)
    if brain.any():
        box = bounding_box(brain, 1)
        shell[box] = ndimage.binary_dilation(brain[box], structure=CORNERS_TOUCH) & ~brain[box]
    distance = _distance_to(shell, indices, affine, limit_mm=NEAR_BORDER_MM + 1e-6)
    near = np.isfinite(distance) | ~brain[tuple(indices.T)]
    return float(weights[near].sum() / weights.sum())


def _distance_to(
    target: np.ndarray, indices: np.ndarray, affine: np.ndarray, limit_mm: float = math.inf
) -> np.ndarray:
    """Return the distance in mm of voxels (n, 3) from a mask; 0 inside, NaN for an empty mask.

    Beyond the limit it is infinite, which is much quicker where most voxels are far away.

    Only the rim of the mask is searched, which keeps a large ventricle mask quick; from a voxel
    outside, the nearest voxel of a mask is always on its rim.
    """
    if not target.any():
        return np.full(len(indices), math.nan)
    inside = target[tuple(indices.T)]
    distance = np.zeros(len(indices))
    if not inside.all():
        box = bounding_box(target, 1)
        rim = target[box] & ~ndimage.binary_erosion(target[box], structure=CORNERS_TOUCH)
        corner = [edge.start for edge in box]
        tree = KDTree(apply_affine(affine, np.argwhere(rim) + corner))
        points = apply_affine(affine, indices[~inside])
        distance[~inside] = tree.query(points, distance_upper_bound=limit_mm)[0]
    return distance


def _lesion_table(
    lesions: np.ndarray, indices: np.ndarray, distance: np.ndarray, affine: np.ndarray
) -> tuple[Lesion, ...]:
    """Describe each 26-connected lesion, largest first."""
    if not len(indices):
        return ()
    box = bounding_box(lesions, 1)
    labels = ndimage.label(lesions[box], structure=CORNERS_TOUCH)[0][lesions[box]] - 1
    sizes = np.bincount(labels)
    centres = np.stack([np.bincount(labels, weights=axis) / sizes for axis in indices.T], axis=1)
    nearest = np.full(len(sizes), np.inf)
    with np.errstate(invalid="ignore"):  # NaN without ventricles, and NaN is what is wanted
        np.minimum.at(nearest, labels, distance)
    voxel_ml = voxel_volume_ml(affine)
    centroids = apply_affine(affine, centres)
    order = np.argsort(-sizes, kind="stable")
    return tuple(
        Lesion(
            volume_ml=float(sizes[at] * voxel_ml),
            centroid_mm=(float(x), float(y), float(z)),
            ventricle_distance_mm=float(nearest[at]),
        )
        for at, (x, y, z) in zip(order, centroids[order], strict=True)
    )
