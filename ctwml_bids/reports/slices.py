"""Axial slices of a brain for display: which ones, cropped how, on square pixels.

Only the brain and a rim around it is ever shown: what lies further than `RIM_MM` from the brain
mask within a slice is blanked, so that no rendering holds a face.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids.geometry import bounding_box

RIM_MM = 15.0  # skull stays visible around the brain, the face does not
MARGIN_MM = 8.0  # around the bounding box of the brain
SLAB_MM = 3.0  # thin slices are averaged to about this, as they are read


@dataclass(frozen=True)
class View:
    """A choice of axial slices on square pixels, cropped to the brain.

    Attributes
    ----------
    orientation
        nibabel orientation of the source array, to closest RAS.
    spacing
        Voxel size in mm after reorientation, x, y, z.
    start, shape
        First pixel's centre in (reoriented) x, y voxels, and pixels along x and y.
    pixel_mm
        Pixel size.
    indices
        The slices, from inferior to superior.
    heights_mm
        RAS z of each slice at the centre of the brain.
    near_brain
        bool, (slices, x, y): within `RIM_MM` of the brain in the slice.
    """

    orientation: np.ndarray
    spacing: np.ndarray
    start: tuple[float, float]
    shape: tuple[int, int]
    pixel_mm: float
    indices: tuple[int, ...]
    heights_mm: tuple[float, ...]
    near_brain: np.ndarray


def plan_view(
    brain: np.ndarray,
    affine: np.ndarray,
    *,
    count: int = 12,
    pixel_mm: float = 0.75,
    most_of: np.ndarray | None = None,
) -> View:
    """Choose axial slices spread evenly over the brain.

    Slices run across the array axis nearest to superior–inferior; acquired slices are shown as
    they are, however oblique the scan.

    Parameters
    ----------
    brain
        Brain mask, shape (x, y, z).
    affine
        4×4, voxel indices → RAS mm.
    count
        Number of slices; fewer when the brain spans fewer.
    pixel_mm
        Size of the square pixels.
    most_of
        Mask on the same grid: the one slice that has most of it, the middle one where it is empty.

    Returns
    -------
    View

    Raises
    ------
    ValueError
        The brain mask is empty: nothing could be shown without risking a face.
    """
    if not np.any(brain):
        raise ValueError("the brain mask is empty")
    affine = np.asarray(affine, dtype=float)
    orientation = nib.orientations.io_orientation(affine)
    mask = nib.orientations.apply_orientation(np.asarray(brain) > 0, orientation)
    upright = affine @ nib.orientations.inv_ornt_aff(orientation, brain.shape)
    spacing = np.linalg.norm(upright[:3, :3], axis=0)
    box = bounding_box(mask)
    lengths = [(box[i].stop - box[i].start) * spacing[i] + 2 * MARGIN_MM for i in (0, 1)]
    rows, columns = (int(np.ceil(length / pixel_mm)) for length in lengths)
    start = tuple(box[i].start - 0.5 + (pixel_mm / 2 - MARGIN_MM) / spacing[i] for i in (0, 1))
    indices = _spread(mask.any(axis=(0, 1)), 1 if most_of is not None else count)
    if most_of is not None and np.any(most_of):
        wanted = nib.orientations.apply_orientation(np.asarray(most_of) > 0, orientation)
        indices = (int(np.argmax((wanted & mask).sum(axis=(0, 1)))),)
    centre = [(box[i].start + box[i].stop - 1) / 2 for i in (0, 1)]
    heights = tuple(float((upright @ [*centre, index, 1.0])[2]) for index in indices)
    view = View(
        orientation, spacing, start, (rows, columns), pixel_mm, indices, heights, np.empty(0)
    )
    inside = cut(brain, view) > 0.5
    return replace(view, near_brain=_near(inside, RIM_MM / pixel_mm))


def cut(array: np.ndarray, view: View, *, slab: bool = False) -> np.ndarray:
    """Return the slices of an array on the view's pixels, linearly interpolated in plane.

    Parameters
    ----------
    array
        Shape (x, y, z), on the grid that the view was planned on.
    view
        From `plan_view`.
    slab
        Average neighbouring thin slices to about `SLAB_MM`; for images, not for masks.

    Returns
    -------
    numpy.ndarray
        float32, shape (slices, x, y), x to the patient's right, y forwards; 0 outside.
    """
    volume = nib.orientations.apply_orientation(np.asarray(array), view.orientation)
    half = int(SLAB_MM / view.spacing[2] / 2) if slab else 0
    scale = view.pixel_mm / view.spacing[:2]
    # Blur before the pixels get coarser than the voxels, against aliasing.
    blur = np.where(scale > 1.2, 0.4 * scale, 0.0)
    slices = []
    for index in view.indices:
        block = volume[:, :, max(index - half, 0) : index + half + 1]
        plane = block.mean(axis=2, dtype=np.float32)
        if blur.any():
            plane = ndimage.gaussian_filter(plane, blur)
        slices.append(
            ndimage.affine_transform(
                plane, np.diag(scale), view.start, view.shape, order=1, cval=0.0
            )
        )
    return np.stack(slices)


def backdrop(array: np.ndarray, view: View, window: tuple[float, float]) -> np.ndarray:
    """Return the slices of an image as grey values in [0, 1], blank away from the brain.

    Parameters
    ----------
    array
        Image, shape (x, y, z).
    view
        From `plan_view`.
    window
        Values shown black and white.

    Returns
    -------
    numpy.ndarray
        float32, shape (slices, x, y).
    """
    low, high = window
    grey = np.clip((cut(array, view, slab=True) - low) / max(high - low, 1e-6), 0.0, 1.0)
    return np.where(view.near_brain, grey, 0.0).astype(np.float32)


def _spread(has_brain: np.ndarray, count: int) -> tuple[int, ...]:
    """Return slice indices spread evenly, off the very ends where there is little to see."""
    found = np.flatnonzero(has_brain)
    if found.size <= count:
        return tuple(int(index) for index in found)
    positions = (np.linspace(0.08, 0.94, count) if count > 1 else np.array([0.5])) * (
        found.size - 1
    )
    return tuple(int(found[round(position)]) for position in positions)


def _near(inside: np.ndarray, pixels: float) -> np.ndarray:
    near = [
        ndimage.distance_transform_edt(~plane) <= pixels if plane.any() else plane
        for plane in inside
    ]
    return np.stack(near)
