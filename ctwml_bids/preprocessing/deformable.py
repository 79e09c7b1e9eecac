"""Deformable registration of an image to the template, for regional maps.

It starts from the nine-parameter frame and stays on top of it: template points are first moved by
the displacement field, then carried to the image by the nine parameters. The networks never see
it.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import ants
import nibabel as nib
import numpy as np
from ants.internal import get_pointer_string
from nibabel.affines import apply_affine
from scipy import ndimage

from ctwml_bids.errors import BadDataError
from ctwml_bids.image_files import load_nifti
from ctwml_bids.preprocessing import transforms
from ctwml_bids.preprocessing.grids import Grid, image_on, resample

# Iterations at shrink factors 4, 2 and 1 of a 2 mm grid: about a minute on one thread.
_SPACING_MM = 2.0
_LEVELS = ("60x40x10", "4x2x1", "2x1x0vox")


@dataclass(frozen=True)
class Deformation:
    """A displacement field pair on the template's side of the nine-parameter frame.

    Attributes
    ----------
    forward
        ITK displacement field (5D NIfTI, LPS mm): template points → points of the frame, which
        the nine parameters carry to the image. Resamples the image onto the template.
    inverse
        The reverse: points of the frame → template points. Resamples template maps onto the image.
    """

    forward: nib.Nifti1Image
    inverse: nib.Nifti1Image


def syn(
    template_t1w: nib.Nifti1Image,
    template_mask: nib.Nifti1Image,
    image: nib.Nifti1Image,
    mask: nib.Nifti1Image,
    template_to_native: np.ndarray,
    *,
    levels: tuple[str, str, str] = _LEVELS,
    seed: int = 0,
    threads: int = 1,
) -> Deformation:
    """Register the brain of an image to the template's with ANTs SyN (mutual information).

    Parameters
    ----------
    template_t1w, template_mask
        T1w image and brain mask of the template.
    image, mask
        Native image (CT in HU clipped to brain, or FLAIR) and its brain mask.
    template_to_native
        4×4, RAS mm, template points → native points, the nine parameters.
    levels
        ANTs' iterations, shrink factors and smoothing, on a 2 mm grid.
    seed, threads
        As for `registration.rigid`.

    Returns
    -------
    Deformation

    Raises
    ------
    BadDataError
        If ANTs finds no deformation.
    """
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(threads)
    grid = _grid_over(template_mask)
    # Names are kept: ANTs gets addresses, and images must outlive the call.
    fixed = _brain(template_t1w, template_mask, np.eye(4), grid)
    moving = _brain(image, mask, template_to_native, grid)
    pair = f"{get_pointer_string(fixed)},{get_pointer_string(moving)}"
    with tempfile.TemporaryDirectory(prefix="ctwml-syn-") as folder:
        arguments = ["--dimensionality", "3", "--float", "0", "--random-seed", str(seed + 1)]
        arguments += ["--output", f"{folder}/", "--transform", "SyN[0.15,3,0]"]
        arguments += ["--metric", f"Mattes[{pair},1,32]", "--convergence", f"[{levels[0]},1e-6,8]"]
        arguments += ["--shrink-factors", levels[1], "--smoothing-sigmas", levels[2]]
        arguments += ["--verbose", "0"]
        ants.registration(arguments, None)
        fields = [Path(folder, f"0{name}.nii.gz") for name in ("Warp", "InverseWarp")]
        if not all(path.is_file() for path in fields):
            raise BadDataError(
                "ANTs found no deformation between the image and the template; look at the brain "
                "mask, or use --normalisation nine."
            )
        forward, inverse = (_loaded(path) for path in fields)
    return Deformation(forward, inverse)


def warp_to_template(
    image: nib.Nifti1Image,
    template_to_native: np.ndarray,
    deformation: Deformation,
    grid: Grid,
) -> np.ndarray:
    """Resample a native image onto a template grid through the deformation, linearly and once.

    Returns
    -------
    numpy.ndarray
        float32, shape ``grid.shape``; 0 outside the image.
    """
    points = apply_affine(grid.affine, np.indices(grid.shape).reshape(3, -1).T)
    points = points + displacement(deformation.forward, points)
    native = apply_affine(template_to_native, points)
    indices = apply_affine(np.linalg.inv(image.affine), native).T
    array = np.asarray(image.dataobj, dtype=np.float32)
    return ndimage.map_coordinates(array, indices, order=1).reshape(grid.shape)


def displacement(field: nib.Nifti1Image, points: np.ndarray) -> np.ndarray:
    """Displacements (n, 3; RAS mm) of points (n, 3; RAS mm) by an ITK field; 0 outside of it."""
    vectors = np.asarray(field.dataobj, dtype=np.float32)[:, :, :, 0, :]
    indices = apply_affine(np.linalg.inv(field.affine), points).T
    moved = [ndimage.map_coordinates(vectors[..., axis], indices, order=1) for axis in range(3)]
    # ITK's fields are in LPS.
    return np.stack(moved, axis=1) * np.array([-1.0, -1.0, 1.0])


def _grid_over(mask: nib.Nifti1Image) -> Grid:
    """2 mm grid with the template's axes over its brain and 12 mm around."""
    inside = np.argwhere(np.asarray(mask.dataobj) > 0.5)
    corners = apply_affine(mask.affine, [inside.min(axis=0), inside.max(axis=0)])
    low, high = np.sort(corners, axis=0)
    counts = np.ceil((high - low + 24.0) / _SPACING_MM).astype(int) + 1
    affine = np.diag([_SPACING_MM] * 3 + [1.0])
    affine[:3, 3] = low - 12.0
    return Grid((int(counts[0]), int(counts[1]), int(counts[2])), affine)


def _brain(
    image: nib.Nifti1Image, mask: nib.Nifti1Image, template_to_image: np.ndarray, grid: Grid
) -> ants.ANTsImage:
    """Brain alone on the grid, between 0 (outside) and 1, from its 2nd to 98th percentile."""
    array = np.asarray(image.dataobj, dtype=np.float32)
    values = resample(array, image.affine, grid, template_to_image, average=True)
    array = np.asarray(mask.dataobj, dtype=np.float32)
    inside = resample(array, mask.affine, grid, template_to_image, average=True) > 0.5
    if not inside.any():
        raise BadDataError("A brain mask does not meet the template; look at the normalisation.")
    low, high = np.percentile(values[inside], [2, 98])
    # Inside starts at 0.2: the brain's border is part of what is matched.
    levels = 0.2 + 0.8 * np.clip((values - low) / max(high - low, 1e-6), 0, 1)
    levels = np.where(inside, levels, 0.0).astype(np.float32)
    return transforms.to_ants(image_on(levels, grid)).clone("double")


def _loaded(path: Path) -> nib.Nifti1Image:
    """Read a field into memory: its file is temporary."""
    image = load_nifti(path)
    return nib.Nifti1Image(np.asarray(image.dataobj, dtype=np.float32), image.affine, image.header)
