"""The nine parameters that carry the template's brain mask onto a native brain mask.

M = T·R·S maps template points to native points: three scales along the template's axes, three
rotations, three translations. The start is a search over rotations from the masks' centres; the
refinement is least squares on the distance between both surfaces, where surfaces that only exist
because the image ends there do not count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from fsl.transform import affine as fsl_affine
from nibabel.affines import apply_affine
from numpy.typing import ArrayLike
from scipy import ndimage, optimize

from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing.grids import Grid, grid_of, resample

# Distances are kept at this resolution: fine against the 1.5 mm asked for, since they interpolate.
_SPACING_MM = 2.0
# Room around a mask in which distances are known; starts are off by less than this.
_MARGIN_MM = 50.0
# Surface distances beyond these are outliers: pieces of skull, missing slices (mm). The first
# loss finds its way from afar, the second then all but ignores outliers.
_OUTLIER_MM = {"soft_l1": 3.0, "cauchy": 1.5}
# A template point's weight falls to zero over this length before the image's end (mm).
_EDGE_MM = 4.0
# Adult brains differ from the MNI template by less than this.
_SCALE_RANGE = (0.7, 1.4)
# Pull of the three scales towards their common mean, in mm of surface distance per log unit:
# negligible where the surface is seen, decisive where an end of the brain is out of the image.
_ANISOTROPY_MM = 1.0
_SURFACE_POINTS = 4000
_SEARCH_POINTS = 500
# Start rotations that are refined: those of the smallest distance.
_SEARCH_REFINED = 8
# Start rotations: about x (nodding) heads differ most; about y and z less.
_SEARCH_DEGREES = ((-30, -15, 0, 15, 30), (-15, 0, 15), (-20, 0, 20))


def compose(scales: ArrayLike, translations: ArrayLike, rotations: ArrayLike) -> np.ndarray:
    """Return M = T·R·S (4×4) from three scales, translations (mm) and rotations (rad; fslpy)."""
    return fsl_affine.compose(scales, translations, rotations)


def decompose(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Split a 4×4 affine into scales, translations (mm), rotations (rad) and shears (fslpy).

    M = T·R·S·H; the shears H of a nine-parameter transform are zero.
    """
    return fsl_affine.decompose(matrix, shears=True)


@dataclass(frozen=True)
class Surface:
    """A mask's surface points (mm), and signed distances from it (mm, positive outside)."""

    points: np.ndarray
    distance: np.ndarray
    grid: Grid
    centre: np.ndarray
    image: Grid

    def turned(self, turn: np.ndarray) -> Surface:
        """Return the surface with every point moved by a 4×4 rotation or reflection in RAS."""
        return Surface(
            apply_affine(turn, self.points),
            self.distance,
            Grid(self.grid.shape, turn @ self.grid.affine),
            apply_affine(turn, self.centre),
            Grid(self.image.shape, turn @ self.image.affine),
        )


def nine_parameter(
    mask: nib.Nifti1Image, template_mask: nib.Nifti1Image, *, seed: int = 0
) -> np.ndarray:
    """Fit the template's brain mask to a native brain mask with nine parameters.

    Parameters
    ----------
    mask
        Native brain mask; any spacing. It may be cut by the end of the image.
    template_mask
        Brain mask of the template, RAS axes.
    seed
        Draws the surface points; the same seed gives the same result.

    Returns
    -------
    numpy.ndarray
        4×4, RAS mm, template points → native points, exactly T·R·S.

    Raises
    ------
    BadDataError
        If a mask is empty.
    """
    native = surface_of(mask, seed)
    template = surface_of(template_mask, seed)
    best = searched(native, template, refined=_SEARCH_REFINED).x
    many = _residual_function(native, template, _SURFACE_POINTS)
    best = _least_squares(many, best, evaluations=25).x
    best = _least_squares(many, best, evaluations=25, loss="cauchy").x
    return _matrix(best, native.centre, template.centre)


def searched(native: Surface, template: Surface, *, refined: int) -> optimize.OptimizeResult:
    """Fit few points from many start rotations, of which the best are refined.

    Returns
    -------
    scipy.optimize.OptimizeResult
        ``x``, the nine parameters; ``fun``, signed distances (mm) of the points of both surfaces,
        and last three residuals of the scales.
    """
    few = _residual_function(native, template, _SEARCH_POINTS)
    scales = _start_scales(native, template)
    starts = [np.concatenate([turn, np.zeros(3), scales]) for turn in _start_rotations()]
    starts.sort(key=lambda start: np.abs(few(start)).mean())
    fits = [_least_squares(few, start, evaluations=15) for start in starts[:refined]]
    return min(fits, key=lambda fit: fit.cost)


def _start_rotations() -> np.ndarray:
    """Rotations (rad) from which the search starts, shape (n, 3)."""
    mesh = np.meshgrid(*_SEARCH_DEGREES, indexing="ij")
    return np.deg2rad(np.stack(mesh, axis=-1).reshape(-1, 3))


def _start_scales(native: Surface, template: Surface) -> np.ndarray:
    """One log scale for all axes, from the extent of both brains across the midline.

    Height and length may be cut by the image's end; the width is not.
    """
    width = np.ptp(np.percentile(native.points[:, 0], [1, 99]))
    template_width = np.ptp(np.percentile(template.points[:, 0], [1, 99]))
    return np.full(3, np.log(np.clip(width / template_width, 0.8, 1.25)))


def _matrix(
    parameters: np.ndarray, native_centre: np.ndarray, template_centre: np.ndarray
) -> np.ndarray:
    """M from rotations (rad), an offset (mm) and log scales, both about the masks' centres."""
    rotations, offset, log_scales = np.split(parameters, 3)
    about_origin = fsl_affine.compose(np.exp(log_scales), np.zeros(3), rotations)
    translation = native_centre + offset - about_origin[:3, :3] @ template_centre
    about_origin[:3, 3] = translation
    return about_origin


def _least_squares(
    residuals: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    *,
    evaluations: int,
    loss: str = "soft_l1",
) -> optimize.OptimizeResult:
    """Minimise robust distances over the nine parameters."""
    low, high = np.log(_SCALE_RANGE)
    limits = np.array([np.pi / 2] * 3 + [150.0] * 3 + [high] * 3)
    return optimize.least_squares(
        residuals,
        start,
        bounds=(np.concatenate([-limits[:6], [low] * 3]), limits),
        x_scale=np.array([0.02] * 3 + [1.0] * 3 + [0.02] * 3),
        loss=loss,
        f_scale=_OUTLIER_MM[loss],
        max_nfev=evaluations,
        xtol=1e-5,
        ftol=1e-6,
    )


def _residual_function(
    native: Surface, template: Surface, count: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Signed distances (mm) of both surfaces from each other as a function of the parameters."""
    native_points, template_points = native.points[:count], template.points[:count]

    def residuals(parameters: np.ndarray) -> np.ndarray:
        matrix = _matrix(parameters, native.centre, template.centre)
        mapped = apply_affine(np.linalg.inv(matrix), native_points)
        of_native = _distance_at(template, mapped)
        mapped = apply_affine(matrix, template_points)
        of_template = _distance_at(native, mapped) * _seen(native.image, mapped)
        log_scales = parameters[6:]
        spread = (log_scales - log_scales.mean()) * _ANISOTROPY_MM * np.sqrt(count)
        return np.concatenate([of_native, of_template, spread])

    return residuals


def _distance_at(surface: Surface, points: np.ndarray) -> np.ndarray:
    """Signed distance (mm) of points (n, 3) from a surface."""
    indices = apply_affine(np.linalg.inv(surface.grid.affine), points)
    return ndimage.map_coordinates(surface.distance, indices.T, order=1, mode="nearest")


def _seen(image: Grid, points: np.ndarray) -> np.ndarray:
    """Weight in [0, 1] of points (n, 3): 0 outside the image and up to one slice from its end."""
    indices = apply_affine(np.linalg.inv(image.affine), points)
    # One voxel off the end: a surface there is a cut, not the brain's.
    depth = np.minimum(indices, np.asarray(image.shape) - 1 - indices) - 1.0
    return np.clip((depth * image.spacing).min(axis=1) / _EDGE_MM, 0.0, 1.0)


def surface_of(mask: nib.Nifti1Image, seed: int) -> Surface:
    """Sample a mask's surface and the distances around it.

    Parameters
    ----------
    mask
        Brain mask, (x, y, z), any spacing.
    seed
        Draws the points.

    Raises
    ------
    BadDataError
        The mask is empty, or has hardly any surface inside the image.
    """
    inside = np.asarray(mask.dataobj) > 0.5
    if not inside.any():
        raise BadDataError(
            "A brain mask is empty, so the brain cannot be normalised to the template; look at "
            "the image and its brain mask."
        )
    image = grid_of(mask)
    grid = _isotropic_grid(inside, image)
    # The smooth volume's half level puts the surface between thick slices, not on their steps.
    edge_replicated = np.pad(inside, 1, mode="edge").astype(np.float32)
    shifted = image.affine.copy()
    shifted[:3, 3] -= image.affine[:3, :3].sum(axis=1)
    volume = resample(edge_replicated, shifted, grid, average=True)
    distance = _signed_distance(volume)
    points = _surface_points(distance, grid)
    points = points[_seen(image, points) > 0]
    if len(points) < 100:
        raise BadDataError("A brain mask has hardly any surface inside the image.")
    order = np.random.default_rng(seed).permutation(len(points))[:_SURFACE_POINTS]
    return Surface(points[order], distance, grid, points.mean(axis=0), image)


def _isotropic_grid(inside: np.ndarray, image: Grid) -> Grid:
    """RAS-aligned grid around a mask with room on all sides."""
    index = np.argwhere(inside)
    low, high = index.min(axis=0) - 0.5, index.max(axis=0) + 0.5
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True)), axis=-1).reshape(-1, 3)
    box = apply_affine(image.affine, corners)
    start = box.min(axis=0) - _MARGIN_MM
    counts = np.ceil((np.ptp(box, axis=0) + 2 * _MARGIN_MM) / _SPACING_MM).astype(int) + 1
    affine = np.diag([_SPACING_MM] * 3 + [1.0])
    affine[:3, 3] = start
    return Grid((int(counts[0]), int(counts[1]), int(counts[2])), affine)


def _signed_distance(volume: np.ndarray) -> np.ndarray:
    """Distance (mm) from the half level of a fractional volume; positive outside."""
    inside = ndimage.binary_fill_holes(volume > 0.5)
    outward = ndimage.distance_transform_edt(~inside) - 0.5
    inward = ndimage.distance_transform_edt(inside) - 0.5
    distance = np.where(inside, -inward, outward) * _SPACING_MM
    # Takes the voxel steps off the distance; a sphere's surface moves by less than 0.1 mm.
    return ndimage.gaussian_filter(distance.astype(np.float32), 0.7)


def _surface_points(distance: np.ndarray, grid: Grid) -> np.ndarray:
    """Points (n, 3; mm) on the zero level: voxels near it, moved along the gradient."""
    near = np.abs(distance) < _SPACING_MM
    near &= ndimage.binary_erosion(np.ones_like(near), iterations=2)
    gradient = np.stack([component[near] for component in np.gradient(distance, _SPACING_MM)], 1)
    length_squared = np.maximum((gradient**2).sum(axis=1, keepdims=True), 0.25)
    points = apply_affine(grid.affine, np.argwhere(near))
    return points - distance[near][:, None] * gradient / length_squared
