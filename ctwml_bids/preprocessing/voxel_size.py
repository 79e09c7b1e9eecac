"""Which voxel size is right where a header has two: told by the sidecar, or the image is refused.

A NIfTI header states the voxel size twice: in pixdim, and as the lengths of its affine's columns.
All maps are written on the affine's grid and every volume comes from it, so an affine that the
sidecar confirms is used, with a warning; one that it contradicts has to be mended first.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np

from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing.grids import grid_of
from ctwml_bids.slices import PIXEL_KEY, slice_axis, slice_gap, stated_gaps

# Relative difference of pixdim and the affine that is more than rounding. A volume is off by as
# much; two brain scans of one person a day apart differ by less than one percent.
TOLERANCE = 0.01
CONVERT = "Convert the image again from its DICOM files"
# Scales the affine to pixdim; the first voxel stays where it is.
MEND = (
    'python -c "import sys, nibabel as n; i = n.load(sys.argv[1]); a = i.affine.copy(); '
    "a[:3, :3] *= i.header['pixdim'][1:4] / n.affines.voxel_sizes(a); "
    'n.save(n.Nifti1Image(i.dataobj, a, i.header), sys.argv[2])" OLD.nii.gz NEW.nii.gz'
)


def check_agreement(
    path: Path, image: nib.Nifti1Image, pixdim: np.ndarray, sidecar: Mapping[str, object]
) -> None:
    """Refuse two voxel sizes of which the sidecar does not confirm the affine's.

    Parameters
    ----------
    path
        For the message.
    image
        3D, with the affine in force.
    pixdim
        Three voxel edges in mm, as the header has them.
    sidecar
        The BIDS sidecar's content.

    Raises
    ------
    BadDataError
        The two differ by more than `TOLERANCE`, and the sidecar is silent, agrees with neither,
        or with pixdim.
    """
    axes = contradicting_axes(image, pixdim)
    if not axes:
        return
    right, found = _told(image, pixdim, sidecar, axes)
    if right == "affine":
        return
    affine_spacing = grid_of(image).spacing
    said = (
        f"{path}: the header contradicts itself: pixdim says {pixdim.round(4).tolist()} mm per "
        f"voxel and the affine says {affine_spacing.round(4).tolist()} mm. "
    )
    if right == "pixdim":
        raise BadDataError(
            f"{said}The sidecar ({found}) says that pixdim is right, but every map is written on "
            f"the affine's grid. {CONVERT}, or bring the affine to pixdim: {MEND}"
        )
    silent = f"agrees with neither ({found})" if found else "does not say which one is right"
    raise BadDataError(
        f"{said}Volumes would be wrong under one of them, and the sidecar {silent}. {CONVERT}, or, "
        "where you know it, state SpacingBetweenSlices and PixelSpacing (mm) in the image's JSON "
        "file."
    )


def agreement_warnings(
    path: Path, image: nib.Nifti1Image, pixdim: np.ndarray, sidecar: Mapping[str, object]
) -> tuple[str, ...]:
    """Say which voxel size was used where the header has two; empty where it has one.

    Parameters are those of `check_agreement`, which has let the image pass.
    """
    axes = contradicting_axes(image, pixdim)
    if not axes:
        return ()
    _, found = _told(image, pixdim, sidecar, axes)
    affine_spacing = grid_of(image).spacing
    return (
        f"{path}: the header has two voxel sizes: pixdim says {pixdim.round(4).tolist()} mm and "
        f"the affine {affine_spacing.round(4).tolist()} mm. The affine's was used: the sidecar "
        f"agrees with it ({found or 'as it was when the image was measured'}). Programs that read "
        "pixdim measure other volumes.",
    )


def contradicting_axes(image: nib.Nifti1Image, pixdim: np.ndarray) -> list[int]:
    """Return the array axes along which pixdim and the affine differ by more than `TOLERANCE`.

    Of tilted slices pixdim may hold their distance or the step between their first voxels, which
    is longer; voxels have the same volume under both.
    """
    lengths = grid_of(image).spacing
    through = slice_axis(image)
    gap = slice_gap(image.affine, through)
    return [
        axis
        for axis in range(3)
        if not _same(pixdim[axis], lengths[axis])
        and not (axis == through and _same(pixdim[axis], gap))
    ]


def _told(
    image: nib.Nifti1Image, pixdim: np.ndarray, sidecar: Mapping[str, object], axes: list[int]
) -> tuple[str | None, str]:
    """Return which of both the sidecar confirms (None: neither), and what it says.

    SliceThickness tells nothing: slices of 5 mm may lie 3 mm apart.
    """
    through = slice_axis(image, sidecar)
    lengths = grid_of(image).spacing
    votes: list[str | None] = []
    said: dict[str, None] = {}  # in order, each once
    if through in axes:
        entries = stated_gaps(sidecar, image.shape[through], image.affine, through)
        said |= {f"{key} {value:.4g} mm": None for key, value in entries.items()}
        of_affine = lengths[through], slice_gap(image.affine, through)
        votes.append(
            _vote(
                [any(_same(value, edge) for edge in of_affine) for value in entries.values()],
                [_same(value, pixdim[through]) for value in entries.values()],
            )
        )
    if set(axes) - {through}:
        pixels = _pixels(sidecar)
        said |= {f"{PIXEL_KEY} {edge:.4g} mm": None for edge in pixels}
        # Rows come first in DICOM, and tools turn planes: the two are compared without order.
        votes.append(
            _vote(*([_all_same(pixels, np.delete(s, through))] for s in (lengths, pixdim)))
            if pixels
            else None
        )
    return (votes[0] if len(set(votes)) == 1 else None), ", ".join(said)


def _vote(for_affine: list[bool], for_pixdim: list[bool]) -> str | None:
    """Name the size that every entry agrees with, if none agrees with the other."""
    if for_affine and all(for_affine) and not any(for_pixdim):
        return "affine"
    if for_pixdim and all(for_pixdim) and not any(for_affine):
        return "pixdim"
    return None


def _pixels(sidecar: Mapping[str, object]) -> list[float]:
    """Return both edges of a pixel as the sidecar has them, in mm; empty if it does not."""
    stated = sidecar.get(PIXEL_KEY)
    stated = [stated, stated] if _number(stated) else stated
    if not (isinstance(stated, list) and len(stated) == 2 and all(map(_number, stated))):
        return []
    return [float(edge) for edge in stated]


def _all_same(first: list[float], second: np.ndarray) -> bool:
    return all(map(_same, sorted(first), sorted(second)))


def _same(first: float, second: float) -> bool:
    # Header floats have seven digits; the bound itself still counts as the same.
    return abs(first / second - 1) <= TOLERANCE + 1e-6


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
