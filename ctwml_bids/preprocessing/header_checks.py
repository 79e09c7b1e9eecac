"""What a NIfTI header says of voxel size, extent and orientation, and whether that can be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np

from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing.grids import grid_of
from ctwml_bids.preprocessing.orthonormal import nearest_axes
from ctwml_bids.preprocessing.voxel_size import CONVERT, check_agreement

# Volume of the voxel over that of a box of the same sides: 0.94 at a tilt of 20°.
FLAT = 1e-3
# A brain is 130–180 mm long in every direction. The two longer sides of an image hold it at least
# in part; its shortest may be a slab, and a long scan of the whole body: the coverage gate judges
# those. In wrong units all sides are off by ten times and more.
EXTENT_MM = (70.0, 2200.0)
LEAST_SLAB_MM = 20.0
# Angle between the axes of qform and sform above which the user is told. A gantry tilt, which
# a qform cannot hold, parts them by half of itself (9° on a real head tilted by 18.5°).
AXES_DEGREES = 15.0
# Units of a header that say mm or nothing.
_MM = ("mm", "unknown")


def check_spacing(
    path: Path,
    image: nib.Nifti1Image,
    sidecar: Mapping[str, object] | None = None,
    *,
    settled: bool = False,
) -> None:
    """Refuse voxel sizes that are impossible, or two of which the sidecar confirms the wrong one.

    Parameters
    ----------
    path, image
        The file, and what was opened from it.
    sidecar
        The BIDS sidecar's content; it may tell which of two sizes is right (`voxel_size`).
    settled
        Whether the file was measured before, with its sidecar; it is not asked again.

    Raises
    ------
    BadDataError
        pixdim is not positive, the affine is singular, or both differ by more than one percent
        and the sidecar does not confirm the affine.
    """
    spacing = stated_pixdim(path, image)
    grid = grid_of(image)
    bad = ~np.isfinite(spacing) | (spacing <= 0)
    if bad.any():
        raise BadDataError(
            f"{path}: voxel spacing {spacing.round(4).tolist()} mm in the header; it must be "
            f"positive. Volumes cannot be measured. {CONVERT}."
        )
    is_finite = np.isfinite(grid.affine).all()
    volume = abs(np.linalg.det(grid.affine[:3, :3])) if is_finite else 0.0
    # Not so small a volume is meant, which may be a wrong unit, but axes that lie in one plane.
    if not is_finite or volume <= FLAT * grid.spacing.prod():
        raise BadDataError(
            f"{path}: the header gives the voxels an impossible position in space (affine with "
            f"spacing {grid.spacing.tolist()} mm). {CONVERT}."
        )
    if not settled:
        check_agreement(path, image, spacing, sidecar or {})


def stated_pixdim(path: Path, image: nib.Nifti1Image) -> np.ndarray:
    """Return the header's three voxel edges in mm as they stand; nibabel repairs bad ones."""
    with nib.openers.ImageOpener(str(path)) as stream:
        raw = type(image.header).from_fileobj(stream, check=False)
    return np.asarray(raw["pixdim"][1:4], dtype=float)


def check_extent(path: Path, image: nib.Nifti1Image) -> None:
    """Refuse an image that is too small or too large to be a scan of a head, in mm.

    Raises
    ------
    BadDataError
        An extent (voxels × spacing) is out of `EXTENT_MM`, or the shortest under `LEAST_SLAB_MM`.
    """
    spacing = grid_of(image).spacing
    extent = np.asarray(image.shape[:3]) * spacing
    shortest, middle, longest = np.sort(extent)
    if shortest >= LEAST_SLAB_MM and middle >= EXTENT_MM[0] and longest <= EXTENT_MM[1]:
        return
    size = " x ".join(f"{length:.3g}" for length in extent)
    voxel = " x ".join(f"{length:.3g}" for length in spacing)
    unit = image.header.get_xyzt_units()[0]
    stated = f" The header states its unit as {unit}; mm is needed." if unit not in _MM else ""
    if longest > EXTENT_MM[1]:
        other = f"give a scan of the head alone (up to {EXTENT_MM[1]:g} mm)"
    else:
        other = (
            f"give the whole head (at least {EXTENT_MM[0]:g} mm in two directions and "
            f"{LEAST_SLAB_MM:g} mm in the third), or leave this image out with --bids-filter-file"
        )
    raise BadDataError(
        f"{path}: the image is {size} mm large (voxels of {voxel} mm), which no scan of a head "
        f"is.{stated} If the voxel size is wrong, for instance in cm, m or µm, or the slice "
        f"distance lost, convert the image again from its DICOM files; otherwise {other}."
    )


def check_handedness(path: Path, image: nib.Nifti1Image) -> None:
    """Refuse an image whose qform and sform are mirror images of each other.

    Raises
    ------
    BadDataError
        Both codes are above 0 and the determinants differ in sign: one says left where the
        other says right.
    """
    qform, sform = _both_forms(image)
    if qform is None or sform is None:
        return
    if np.linalg.det(qform[:3, :3]) * np.linalg.det(sform[:3, :3]) < 0:
        raise BadDataError(
            f"{path}: the header contradicts itself on left and right: its qform says that the "
            f"voxels run towards {_axes(qform)}, its sform towards {_axes(sform)}, and one is the "
            f"mirror image of the other. {CONVERT}, or, where you know which one is right, copy it "
            "to the other (fslorient -copysform2qform or -copyqform2sform)."
        )


def orientation_warnings(path: Path, image: nib.Nifti1Image) -> tuple[str, ...]:
    """Say where qform and sform, both valid, turn the head differently; the sform is used.

    Returns
    -------
    tuple of str
        Empty, or one sentence that names the file.
    """
    qform, sform = _both_forms(image)
    if qform is None or sform is None:
        return ()
    angle = _angle(qform, sform)
    if angle <= AXES_DEGREES:
        return ()
    return (
        f"{path}: qform and sform, which both claim to be valid, differ by {angle:.0f}° "
        f"(voxels towards {_axes(qform)} and {_axes(sform)}); the sform was used. Programs that "
        "use the qform show this image otherwise: check the patient's sides.",
    )


def _both_forms(image: nib.Nifti1Image) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return qform and sform, None where its code is 0 or its numbers are no affine."""
    try:
        qform = image.header.get_qform(coded=True)[0]
    except ValueError:
        qform = None
    return _if_affine(qform), _if_affine(image.header.get_sform(coded=True)[0])


def _if_affine(form: np.ndarray | None) -> np.ndarray | None:
    """Return a form, None where it is not finite or has an axis without a length."""
    if form is None or not np.isfinite(form).all() or not form[:3, :3].any(axis=0).all():
        return None
    return form


def _axes(affine: np.ndarray) -> str:
    return "".join(nib.aff2axcodes(affine))


def _angle(first: np.ndarray, second: np.ndarray) -> float:
    """Angle in degrees between the orthonormal axes nearest to two affines' axes."""
    turn = nearest_axes(first).T @ nearest_axes(second)
    return float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))
