"""Image files: what opens them, after a look at whether they can hold what their headers state."""

from __future__ import annotations

import gzip
import math
import stat
import struct
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError, HeaderTypeError
from nibabel.wrapstruct import WrapStructError

# What is raised where a file is no image, or is cut short.
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    zlib.error,
    struct.error,
    ImageFileError,
    HeaderDataError,
    HeaderTypeError,
    WrapStructError,
)
# Bytes of the longer one of the two versions of a header.
_HEADER = 540
# Bytes of the extensions between a header and its values; DICOM's and AFNI's have some 100 kB.
_MOST_EXTENSION = 16 * 1024**2
# A stream of gzip holds at most this many bytes for each of its own. Values of a scan shrink to a
# third; above these two numbers they are all one, made to fill memory.
_GZIP_RATIO = 1032
_EMPTY_RATIO, _EMPTY_BYTES = 400, 256 * 1024**2
# A volume has at least this many voxels on each axis; below it is a localiser.
_VOLUME_VOXELS = 4


def load_nifti(path: str | Path) -> nib.Nifti1Image:
    """Open a NIfTI image (its data are read on use).

    Raises
    ------
    ImageFileError
        It is an image of another format, or none.
    """
    image = open_image(path)
    if not isinstance(image, nib.Nifti1Image):
        raise ImageFileError(f"{path} is no NIfTI image in one file")
    return image


def open_image(path: str | Path, *, is_scan: bool = False) -> nib.filebasedimages.FileBasedImage:
    """Open an image whose file can hold what its header states (its data are read on use).

    Headers are believed by whoever reads the values: memory for them is taken first. A large image
    that ``is_scan`` may not shrink as much as a mask does, which is nearly all 0.

    Raises
    ------
    ImageFileError
        It is no file, or states more values than it can hold. What else is wrong with a file
        raises any of `UNREADABLE`.
    """
    path = Path(path)
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise ImageFileError(f"{path} is no file")
    is_compressed = path.suffix == ".gz"
    if _stated_offset(path, is_compressed) > _MOST_EXTENSION:
        raise ImageFileError(f"{path}: its values are said to begin after more than 16 MB")
    image = nib.load(path)
    if not isinstance(image, nib.Nifti1Image):
        return image
    needed = math.prod(map(int, image.shape)) * int(image.get_data_dtype().itemsize)
    if needed < 0 or needed > facts.st_size * (_GZIP_RATIO if is_compressed else 1):
        raise ImageFileError(
            f"its header states {needed / 1e6:.1f} MB of values, and the file has "
            f"{facts.st_size / 1e6:.1f} MB"
        )
    if is_scan and is_compressed and needed > max(_EMPTY_BYTES, facts.st_size * _EMPTY_RATIO):
        raise ImageFileError(
            f"its {needed / 1e6:.0f} MB of values are compressed to {facts.st_size / 1e6:.1f} MB, "
            "as those of no scan are"
        )
    return image


def _stated_offset(path: Path, is_compressed: bool) -> float:
    """Return where a NIfTI file's values begin, by its first bytes; 0 for any other file."""
    with gzip.open(path, "rb") if is_compressed else path.open("rb") as opened:
        head = opened.read(_HEADER)
    for order in "<>":
        for length, form, at in ((348, "f", 108), (540, "q", 168)):
            if len(head) >= length and struct.unpack_from(f"{order}i", head)[0] == length:
                return float(struct.unpack_from(f"{order}{form}", head, at)[0])
    return 0.0


def load_volume(path: Path) -> nib.spatialimages.SpatialImage | None:
    """Open an image whose header is one of a volume of numbers; None for anything else.

    None: it cannot be read, is a localiser, a picture or a time series, has colours (the secondary
    captures of a scanner) or complex numbers, or an affine without a size. Its data are not read.
    """
    try:
        image = open_image(path, is_scan=True)
        # Surfaces and the like are images without a place in space.
        if not isinstance(image, nib.spatialimages.SpatialImage):
            return None
        shape, kind = image.shape, image.get_data_dtype()
    except UNREADABLE:
        return None
    if len(shape) < 3 or min(shape[:3]) < _VOLUME_VOXELS or int(np.prod(shape[3:])) > 1:
        return None
    # Colours are structured: kind "V".
    if kind.kind not in "iufb" or image.affine is None:
        return None
    spacing = np.linalg.norm(image.affine[:3, :3], axis=0)
    return image if np.isfinite(spacing).all() and (spacing > 0).all() else None
