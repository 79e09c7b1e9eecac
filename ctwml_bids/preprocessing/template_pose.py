"""A quick, robust pose of the packaged template in a head: where brain may be, roughly.

It guides the CT brain mask through the openings of the skull. It is not the normalisation:
surface points are matched to surfaces, coarsely, and the result is good to some millimetres.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage, optimize

from ctwml_bids.image_files import load_nifti
from ctwml_bids.preprocessing.distances import signed_distance
from ctwml_bids.preprocessing.grids import Grid, image_on, resample
from ctwml_bids.preprocessing.nine_parameters import compose

TEMPLATE = Path(__file__).resolve().parents[1] / "data/templates/tpl-MNI152NLin2009aSym"
# Head pitches to start from, in degrees: chin down, neutral, chin up.
START_PITCH = (-20.0, 0.0, 20.0)
# Bounds: rotations in radians (50 degrees), translation from the start in cm, log scales.
BOUNDS = np.array([0.87] * 3 + [8.0] * 3 + [0.4] * 3)
# How far heads differ from the template (SD): log scales 8%, rotations 17 degrees. Deviations
# weigh as if every fourth point lay one SD off in mm; a missing vertex cannot stretch the brain.
SCALE_SD = 0.08
ROTATION_SD = 0.3
# Surface distance in mm above which a point is treated as an outlier (leak, missing coverage).
OUTLIER_MM = 4.0
# What a template point outside the image costs, in mm: no free way out, no pull either.
OUTSIDE_MM = 3.0
COARSE_POINTS, POINTS = 300, 1500


@lru_cache(maxsize=1)
def template_brain() -> nib.Nifti1Image:
    """Return the packaged template's brain mask on a 2 mm grid, uint8."""
    image = load_nifti(TEMPLATE / "tpl-MNI152NLin2009aSym_res-1_desc-brain_mask.nii.gz")
    affine = image.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    shape = tuple((np.asarray(image.shape) + 1) // 2)
    mask = np.asarray(image.dataobj, dtype=np.float32)
    grid = Grid(shape, affine)
    return image_on((resample(mask, image.affine, grid) >= 0.5).astype(np.uint8), grid)


def template_pose(mask: nib.Nifti1Image) -> tuple[np.ndarray, float]:
    """Pose the template brain in a rough brain mask.

    Parameters
    ----------
    mask
        Rough brain mask, uint8, orthonormal axes; may leak through openings, and may be cut by
        the image's border, where its surface is not used.

    Returns
    -------
    template_to_native : numpy.ndarray
        4×4, RAS mm: rotation, translation and three scales along the template's axes.
    distance : float
        Median distance in mm between the surfaces.
    """
    target = _RoughSurface(mask)
    template = _template_surface()
    best = min(
        (_fit(start, template, target, COARSE_POINTS, 25) for start in _starts(template, target)),
        key=lambda solution: solution.cost,
    )
    best = _fit(best.x, template, target, POINTS, 60)
    matrix = _matrix(best.x, template.centre)
    points = apply_affine(matrix, template.points)
    distance = np.abs(target.distance_at(points))[~target.is_outside(points)]
    return matrix, float(np.median(distance)) if distance.size else np.inf


def _starts(template: _RoughSurface, target: _RoughSurface) -> list[np.ndarray]:
    """Pitches, with the centres matched and with the vertices matched (missing skull base)."""
    shift = target.centre - template.centre
    top = shift.copy()
    top[2] = target.points[:, 2].max() - template.points[:, 2].max()
    starts = []
    for pitch in START_PITCH:
        for translation in (shift, top):
            start = np.zeros(9)
            start[0] = np.radians(pitch)
            start[3:6] = translation / 10.0
            starts.append(start)
    return starts


def _fit(
    start: np.ndarray, template: _RoughSurface, target: _RoughSurface, points: int, evaluations: int
) -> optimize.OptimizeResult:
    bounds = BOUNDS.copy()
    centre = np.zeros(9)
    centre[3:6] = start[3:6]
    return optimize.least_squares(
        _residuals,
        np.clip(start, centre - bounds + 1e-6, centre + bounds - 1e-6),
        bounds=(centre - bounds, centre + bounds),
        args=(template, target, points),
        loss="soft_l1",
        f_scale=OUTLIER_MM,
        max_nfev=evaluations,
    )


class _RoughSurface:
    """Points on a mask's surface and the signed distance to it in mm, negative inside."""

    def __init__(self, mask: nib.Nifti1Image) -> None:
        inside = np.asarray(mask.dataobj) > 0
        spacing = np.linalg.norm(mask.affine[:3, :3], axis=0)
        self.to_voxel = np.linalg.inv(mask.affine)
        self.distance = signed_distance(inside, spacing)
        self.shape = np.asarray(inside.shape)
        rim = inside & ~ndimage.binary_erosion(inside, border_value=1)
        voxels = np.argwhere(rim)
        # Where the image ends inside the head there is no surface of the brain.
        free = np.all((voxels >= 2) & (voxels < self.shape - 2), axis=1)
        voxels = voxels[free] if free.any() else voxels
        voxels = voxels[np.linspace(0, len(voxels) - 1, min(POINTS, len(voxels))).astype(int)]
        self.points = apply_affine(mask.affine, voxels)
        self.centre = apply_affine(mask.affine, np.argwhere(inside).mean(axis=0)[None])[0]

    def is_outside(self, points: np.ndarray) -> np.ndarray:
        """Tell which points (n, 3) in RAS mm lie outside the image."""
        voxels = apply_affine(self.to_voxel, points)
        return np.any((voxels < 1) | (voxels > self.shape - 2), axis=1)

    def distance_at(self, points: np.ndarray) -> np.ndarray:
        """Signed distance in mm at points (n, 3) in RAS mm."""
        voxels = apply_affine(self.to_voxel, points).T
        return ndimage.map_coordinates(self.distance, voxels, order=1, mode="nearest")


@lru_cache(maxsize=1)
def _template_surface() -> _RoughSurface:
    return _RoughSurface(template_brain())


def _residuals(
    x: np.ndarray, template: _RoughSurface, target: _RoughSurface, points: int
) -> np.ndarray:
    matrix = _matrix(x, template.centre)
    moved = apply_affine(matrix, template.points[:: max(1, len(template.points) // points)])
    forward = np.where(target.is_outside(moved), OUTSIDE_MM, target.distance_at(moved))
    surface = target.points[:: max(1, len(target.points) // points)]
    backward = template.distance_at(apply_affine(np.linalg.inv(matrix), surface))
    count = np.sqrt(len(forward) + len(backward))
    prior = np.concatenate([x[6:9] / SCALE_SD, x[0:3] / ROTATION_SD]) * count * 0.5
    return np.concatenate([forward, backward, prior])


def _matrix(x: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Rotations (rad), translations (cm) and log scales about the template's centre → 4×4."""
    matrix = compose(np.exp(x[6:9]), np.zeros(3), x[:3])
    matrix[:3, 3] = centre + 10.0 * x[3:6] - matrix[:3, :3] @ centre
    return matrix
