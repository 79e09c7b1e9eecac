"""Open an image and refuse what cannot be used; read a FLAIR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np

from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.geometry import shear
from ctwml_bids.image_files import UNREADABLE, open_image
from ctwml_bids.preprocessing.empty_slices import (
    empty_facts,
    empty_warnings,
    filled,
    find_empty,
)
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on
from ctwml_bids.preprocessing.header_checks import (
    check_extent,
    check_handedness,
    check_spacing,
    orientation_warnings,
    stated_pixdim,
)
from ctwml_bids.preprocessing.orthonormal import orthonormal
from ctwml_bids.preprocessing.padding import unmeasured_outside
from ctwml_bids.preprocessing.voxel_size import agreement_warnings
from ctwml_bids.preprocessing.wrapped import with_right_sign
from ctwml_bids.slices import slice_axis

# An image with 16 or fewer voxels along both longer axes, or one or two slices, shows no head.
MIN_IN_PLANE = 17
MIN_SLICES = 3


@dataclass(frozen=True)
class LoadedImage:
    """An image ready for processing, and the grid that its results are written on.

    Attributes
    ----------
    image
        float32, orthonormal axes closest to RAS (a sheared file is resampled, any other only
        reordered and flipped).
    native
        The file's own grid: shape, and affine with its shear and flips.
    warnings
        Sentences for the user.
    facts
        JSON-able numbers and strings for provenance and quality control.
    """

    image: nib.Nifti1Image
    native: Grid
    warnings: tuple[str, ...] = ()
    facts: dict = field(default_factory=dict)


def load_nifti(
    path: str | Path,
    sidecar: Mapping[str, object] | None = None,
    *,
    settled: bool = False,
    outside: float | None = None,
) -> nib.Nifti1Image:
    """Open a 3D NIfTI and check that it can be used.

    Parameters
    ----------
    path
        NIfTI file.
    sidecar, settled
        As for `header_checks.check_spacing`.
    outside
        What NaN reads as where it fills the image's corners, outside of the scan, or a slice
        between others; None where NaN is refused, but for such slices, which read as the least.

    Returns
    -------
    nibabel.Nifti1Image
        float32 data in memory, shape (x, y, z), on the file's own grid. Trailing axes of
        length 1 are dropped. Its header keeps the slice axis that the file names, and its
        ``extra["unmeasured_voxels"]`` how many voxels ``outside`` was put in.

    Raises
    ------
    NoInputError
        There is no such file.
    BadDataError
        The file is truncated or not NIfTI, is not one 3D volume of real numbers, has no
        orientation or two that are mirror images, an impossible spacing or extent, two voxel
        sizes, NaN or infinite values, one value everywhere, or too few voxels.
    """
    path = Path(path)
    if not path.is_file():
        raise NoInputError(f"{path}: there is no such file")
    image = _open(path)
    if image.header["sform_code"] == 0 and image.header["qform_code"] == 0:
        raise BadDataError(
            f"{path}: the header states no orientation (sform and qform codes are both 0), so left "
            "and right are unknown. Convert the image again from its DICOM files."
        )
    check_handedness(path, image)
    shape = _squeezed_shape(path, image)
    check_spacing(path, image, sidecar, settled=settled)
    check_extent(path, image)
    data = _values(path, image).reshape(shape)
    _number_empty_slices(data, slice_axis(image, sidecar), outside)
    unmeasured = 0
    if outside is not None and np.isnan(data[:: data.shape[0] - 1, :: data.shape[1] - 1]).any():
        empty = unmeasured_outside(data)
        unmeasured = int(np.count_nonzero(empty))
        data[empty] = outside
    _check_values(path, data)
    loaded = image_on(data, Grid(shape, np.asarray(image.affine, dtype=float)))
    loaded.header.set_dim_info(*image.header.get_dim_info())
    loaded.extra["unmeasured_voxels"] = unmeasured
    return loaded


def header_warnings(
    path: str | Path, sidecar: Mapping[str, object] | None = None
) -> tuple[str, ...]:
    """Return what the user should know of a file's header; the file can be used."""
    path = Path(path)
    image = _open(path)
    pixdim = stated_pixdim(path, image)
    return (
        *agreement_warnings(path, image, pixdim, sidecar or {}),
        *orientation_warnings(path, image),
    )


def geometry_facts(native: Grid) -> dict:
    """Return shape, spacing (mm), orientation and tilt (degrees) of a file's grid."""
    return {
        "shape": [int(n) for n in native.shape],
        "spacing_mm": [round(float(s), 4) for s in native.spacing],
        "orientation": "".join(nib.aff2axcodes(native.affine)),
        "shear_degrees": round(float(np.degrees(np.arcsin(min(shear(native.affine), 1.0)))), 2),
    }


# MR intensities start at 0; where software has centred them, they still stay far above air in HU.
AIR_HU, AIR_SHARE = -500, 0.1


def read_flair(
    path: str | Path, sidecar: Mapping[str, object] | None = None, *, settled: bool = False
) -> LoadedImage:
    """Read a FLAIR image; intensities are kept as they are, but for a wrong sign, which is mended.

    Parameters
    ----------
    path, sidecar, settled
        As for `load_nifti`.

    Raises
    ------
    NoInputError, BadDataError
        See `load_nifti`; also if the image is a CT in Hounsfield units, or if its bright values
        read as negative and that cannot be undone.
    """
    image = load_nifti(path, sidecar, settled=settled)
    native = grid_of(image)
    axis = slice_axis(image, sidecar)
    data, signs = with_right_sign(path, np.asarray(image.dataobj))
    air = float(np.mean(data < AIR_HU))
    if air > AIR_SHARE:
        raise BadDataError(
            f"{path}: {air:.0%} of its voxels are below {AIR_HU} (least {data.min():g}), as air is "
            "on a CT and nothing on a FLAIR; name it as what it is."
        )
    facts = geometry_facts(native)
    facts["range"] = [float(data.min()), float(data.max())]
    empty = find_empty(data, axis)
    data = filled(data, empty)
    upright = orthonormal(image_on(data, native), fill=float(data.min()))
    facts["empty_slices"] = empty_facts(empty, native, grid_of(upright))
    warnings = (f"{path}: {text}" for text in empty_warnings(empty))
    return LoadedImage(upright, native, (*header_warnings(path, sidecar), *signs, *warnings), facts)


def _open(path: Path) -> nib.Nifti1Image:
    try:
        image = open_image(path, is_scan=True)
    except UNREADABLE as error:
        raise BadDataError(
            f"{path}: cannot be opened as NIfTI ({error}). The file may be truncated or of "
            "another format; copy or convert it again."
        ) from error
    if not isinstance(image, nib.Nifti1Image):
        raise BadDataError(f"{path}: is a {type(image).__name__}, not a NIfTI image")
    return image


def _number_empty_slices(data: np.ndarray, axis: int, outside: float | None) -> None:
    """Put one number in slices between others that hold none, in place, as in any empty slice."""
    slices = np.moveaxis(data, axis, 0)
    # Quick where there are none: few slices have NaN in the middle.
    middle = np.isnan(slices[:, slices.shape[1] // 2, slices.shape[2] // 2])
    if not middle.any() or middle.all():
        return
    lost = np.array(
        [bool(here) and np.isnan(one).all() for here, one in zip(middle, slices, strict=True)]
    )
    seen = np.flatnonzero(~lost)
    lost[: seen[0]], lost[seen[-1] + 1 :] = False, False
    if lost.any():
        slices[lost] = np.nanmin(data) if outside is None else outside


def _squeezed_shape(path: Path, image: nib.Nifti1Image) -> tuple[int, int, int]:
    shape = tuple(int(n) for n in image.shape)
    if image.get_data_dtype().names or np.issubdtype(image.get_data_dtype(), np.complexfloating):
        raise BadDataError(
            f"{path}: holds {image.get_data_dtype()} values (colours or complex numbers); one "
            "number a voxel is needed."
        )
    if len(shape) < 3 or any(n != 1 for n in shape[3:]):
        raise BadDataError(
            f"{path}: has {' x '.join(map(str, shape))} voxels; one 3D volume is needed. Split a "
            "4D series into volumes and keep the one to be measured."
        )
    in_plane = sorted(shape[:3])[1:]
    if min(in_plane) < MIN_IN_PLANE or min(shape[:3]) < MIN_SLICES:
        raise BadDataError(
            f"{path}: has only {' x '.join(map(str, shape[:3]))} voxels; a head cannot be seen in "
            "that. Is it a scout or a cropped piece? Give the whole scan, or leave this image out "
            "with --bids-filter-file."
        )
    return shape[0], shape[1], shape[2]


def _values(path: Path, image: nib.Nifti1Image) -> np.ndarray:
    try:
        return image.get_fdata(dtype=np.float32, caching="unchanged")
    except UNREADABLE as error:
        raise BadDataError(
            f"{path}: its values cannot be read ({error}). The file is truncated or damaged; copy "
            "it again."
        ) from error


def _check_values(path: Path, data: np.ndarray) -> None:
    low, high = float(data.min()), float(data.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        count = int(data.size - np.count_nonzero(np.isfinite(data)))
        raise BadDataError(
            f"{path}: {count} of {data.size} voxels are NaN or infinite. Replace them (for a CT "
            "by -1000) or convert the image again."
        )
    if low == high:
        raise BadDataError(
            f"{path}: every voxel is {low:g}; the image is empty. Export or convert it again."
        )
