"""Voxels, headers and ITK's text: the geometry that more than one folder needs.

It imports nothing of the package, so any folder may import it, as it may import `errors`.
"""

from __future__ import annotations

import gzip
import math
import stat
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError, HeaderTypeError
from nibabel.wrapstruct import WrapStructError

# The 10 mm rule of what is periventricular; beyond it is deep (DeCarli et al. 2005, Stroke 36:50;
# Griffanti et al. 2018, NeuroImage 170:174).
PERIVENTRICULAR_MM = 10.0

# RAS ↔ LPS: the first two axes change sign. It is its own inverse.
RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

# Axes whose cosine is at most this are at right angles: a qform and an ITK image hold no others.
RIGHT_ANGLE_COSINE = 1e-4

# Sidecar entries that list slice positions in mm; single numbers are not lists and are ignored.
POSITION_KEYS = ("SlicePositions", "SliceLocations", "SliceLocation", "ImagePositionPatient")
# Sidecar entries with the distance of slices, their thickness, and the edges of a pixel, in mm.
SPACING_KEY, THICKNESS_KEY, PIXEL_KEY = "SpacingBetweenSlices", "SliceThickness", "PixelSpacing"
# Sidecar entries with DICOM's direction cosines of rows and columns (LPS), as converters name them.
ORIENTATION_KEYS = ("ImageOrientationPatientDICOM", "ImageOrientationPatient")
# Sidecar entry with the array axis of an MR's slices: i, j or k, perhaps with a minus sign.
ENCODING_KEY = "SliceEncodingDirection"
# Pixels are square to within header rounding; slices are this much thicker or thinner.
_SQUARE, _NOT_SQUARE = 2e-3, 1e-2
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
# A plane's matrix is square and a multiple of this (160, 256, 320, 512); a stack rarely is.
_MATRIX = 32


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


def voxel_volume_ml(affine: np.ndarray) -> float:
    """Return the volume of one voxel in mL, by the determinant: right for sheared grids too."""
    return abs(float(np.linalg.det(np.asarray(affine, dtype=float)[:3, :3]))) / 1000.0


def shear(affine: np.ndarray) -> float:
    """Return the largest cosine between two axes of a 4×4 affine: 0 when there is no shear."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.abs(axes.T @ axes - np.eye(3)).max())


def slice_axis(
    image: nib.spatialimages.SpatialImage, sidecar: Mapping[str, object] | None = None
) -> int:
    """Return the array axis along which an image's slices were acquired.

    Not simply the coarsest: thin overlapping slices lie closer together than their pixels. What
    is asked, in this order: the sidecar's direction of the planes, and its lists of slice
    positions, which are as long as the axis; the two axes with square pixels, if the third
    differs; what header or sidecar name as the slice axis (dim_info, SliceEncodingDirection),
    which tools that reorder axes forget; the two axes with a square matrix; the coarsest axis,
    of several the last, where converters put slices.

    Parameters
    ----------
    image
        3D, with its affine; a NIfTI header's dim_info is read.
    sidecar
        The BIDS sidecar's content, if there is one.

    Returns
    -------
    int
        0, 1 or 2.
    """
    sidecar = sidecar or {}
    affine = np.asarray(image.affine, dtype=float)[:3, :3]
    spacing = np.linalg.norm(affine, axis=0)
    shape = np.asarray(image.shape[:3])
    normal = _plane_normal(sidecar)
    if normal is not None:
        return int(np.argmax(np.abs(normal @ (affine / spacing))))
    lists = [found for key in POSITION_KEYS if isinstance(found := sidecar.get(key), list)]
    stacks = {len(values) for values in lists if len(values) > 3}
    axes = [axis for axis in range(3) if int(shape[axis]) in stacks]
    if len(axes) == 1:
        return axes[0]
    pairs = {axis: np.delete(np.arange(3), axis) for axis in range(3)}
    # How far a pair's voxel edges are from equal, and the third edge from theirs.
    apart = {axis: abs(np.log(spacing[a] / spacing[b])) for axis, (a, b) in pairs.items()}
    square = [
        axis
        for axis in range(3)
        if apart[axis] < _SQUARE and min(apart[other] for other in pairs[axis]) > _NOT_SQUARE
    ]
    if square:
        return square[0]
    named = _named_axis(image, sidecar)
    if named is not None:
        return named
    matrix = [
        axis
        for axis, (a, b) in pairs.items()
        if shape[a] == shape[b] != shape[axis] and shape[a] % _MATRIX == 0
    ]
    # A matrix says more than edges that hardly differ, and less than slices of twice the pixels.
    if matrix and spacing.max() < 2 * spacing.min():
        return matrix[0]
    return int(np.flatnonzero(spacing > spacing.max() * (1 - _SQUARE))[-1])


def slice_gap(affine: np.ndarray, axis: int) -> float:
    """Return the distance in mm between planes across an array axis; shorter than a tilted step."""
    edges = np.delete(np.asarray(affine, dtype=float)[:3, :3], axis, axis=1)
    normal = np.cross(edges[:, 0], edges[:, 1])
    return float(abs(affine[:3, axis] @ normal) / np.linalg.norm(normal))


def position_gaps(
    sidecar: Mapping[str, object], count: int, affine: np.ndarray, axis: int
) -> np.ndarray | None:
    """Return the distances in mm between neighbouring slices as the sidecar lists their positions.

    Parameters
    ----------
    sidecar
        The BIDS sidecar's content.
    count
        Number of slices; a list of another length is of something else.
    affine, axis
        4×4, voxel indices → RAS mm, and the slice axis.

    Returns
    -------
    numpy.ndarray or None
        ``count`` - 1 distances; None where there is no such list.
    """
    edges = np.delete(np.asarray(affine, dtype=float)[:3, :3], axis, axis=1)
    normal = np.cross(edges[:, 0], edges[:, 1])
    normal /= np.linalg.norm(normal)
    for key in POSITION_KEYS:
        positions = sidecar.get(key)
        if not isinstance(positions, list) or len(positions) != count or count < 3:
            continue
        try:
            values = np.asarray(positions, dtype=float)
        except (TypeError, ValueError):
            continue
        if values.ndim == 2 and values.shape[1] != 3:
            continue
        # Sidecar positions follow DICOM (LPS); the normal is RAS.
        line = values @ (normal * [-1, -1, 1]) if values.ndim == 2 else values
        gaps = np.abs(np.diff(np.sort(line)))
        if np.isfinite(gaps).all() and gaps.mean() > 0:
            return gaps
    return None


def stated_gaps(
    sidecar: Mapping[str, object], count: int, affine: np.ndarray, axis: int
) -> dict[str, float]:
    """Return what a sidecar says of the mean distance of slices: entry → mm; empty if nothing.

    Parameters are those of `position_gaps`.
    """
    found = {}
    stated = sidecar.get(SPACING_KEY)
    if isinstance(stated, int | float) and not isinstance(stated, bool) and stated > 0:
        found[SPACING_KEY] = float(stated)
    gaps = position_gaps(sidecar, count, affine, axis)
    if gaps is not None:
        found["slice positions"] = float(gaps.mean())
    return found


def _plane_normal(sidecar: Mapping[str, object]) -> np.ndarray | None:
    """Return the normal (RAS) of the planes that a sidecar directs, None where it does not."""
    for key in ORIENTATION_KEYS:
        try:
            cosines = np.asarray(sidecar.get(key), dtype=float)
        except (TypeError, ValueError):
            continue
        if cosines.shape == (6,):
            normal = np.cross(cosines[:3], cosines[3:]) * [-1, -1, 1]
            length = np.linalg.norm(normal)
            if np.isfinite(length) and length > 0.5:
                return normal / length
    return None


def _named_axis(image: nib.spatialimages.SpatialImage, sidecar: Mapping[str, object]) -> int | None:
    """Return the slice axis that the header, else the sidecar, names; None where neither does."""
    if isinstance(image.header, nib.Nifti1Header):
        named = image.header.get_dim_info()[2]
        if named is not None:
            return int(named)
    direction = str(sidecar.get(ENCODING_KEY, ""))[:1]
    return "ijk".index(direction) if direction in ("i", "j", "k") else None


def nifti(array: np.ndarray, affine: np.ndarray) -> nib.Nifti1Image:
    """Wrap an array (x, y, z) as a NIfTI image in mm whose sform and qform both state its affine.

    The qform of a sheared affine cannot hold the shear; only the sform is set for those.
    """
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, code=1)
    is_orthogonal = shear(affine) <= RIGHT_ANGLE_COSINE
    image.set_qform(affine if is_orthogonal else None, code=1 if is_orthogonal else 0)
    image.header.set_xyzt_units("mm")
    return image


def bounding_box(mask: np.ndarray, margin: int | np.ndarray = 0) -> tuple[slice, ...]:
    """Return the slices that hold a mask, with a margin of voxels.

    Raises
    ------
    ValueError
        If the mask is empty.
    """
    if not mask.any():
        raise ValueError("An empty mask has no bounding box.")
    axes = range(mask.ndim)
    found = [np.flatnonzero(mask.any(axis=tuple(a for a in axes if a != axis))) for axis in axes]
    margins = np.broadcast_to(np.asarray(margin, dtype=int), mask.ndim)
    return tuple(
        slice(max(int(at[0] - more), 0), min(int(at[-1] + more) + 1, length))
        for at, more, length in zip(found, margins, mask.shape, strict=True)
    )


def slices_met(
    voxel_map: np.ndarray,
    source: tuple[int, ...],
    target: tuple[int, ...],
    *,
    reach: float = 0.0,
    margin: int = 0,
) -> tuple[slice, ...]:
    """Return the slices of a target grid beyond which no voxel meets a source grid.

    Parameters
    ----------
    voxel_map
        4×4, target voxel indices → source voxel indices.
    source, target
        Shapes (x, y, z).
    reach
        Source voxels beyond the centres of the outer ones that still belong to the source.
    margin
        Target voxels to add on every side, for samples off the voxels' centres.
    """
    corners = np.array([*np.ndindex(2, 2, 2)]) * (np.asarray(source) - 1 + 2 * reach) - reach
    back = np.linalg.inv(voxel_map)
    points = corners @ back[:3, :3].T + back[:3, 3]
    low = np.clip(np.floor(points.min(axis=0)) - margin, 0, target).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)) + 1 + margin, low, target).astype(int)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


def ras_to_lps(matrix: np.ndarray) -> np.ndarray:
    """Express a 4×4 map between RAS points as a map between LPS points (and the reverse)."""
    return RAS_LPS @ np.asarray(matrix, dtype=float) @ RAS_LPS


def itk_text(matrix: np.ndarray) -> str:
    """Return the content of an ITK transform file.

    Parameters
    ----------
    matrix
        4×4, RAS mm, reference points → moving points.
    """
    lps = ras_to_lps(matrix)
    numbers = np.concatenate([lps[:3, :3].ravel(), lps[:3, 3]])
    return (
        "#Insight Transform File V1.0\n"
        "#Transform 0\n"
        "Transform: AffineTransform_double_3_3\n"
        f"Parameters: {' '.join(f'{number:.17g}' for number in numbers)}\n"
        "FixedParameters: 0 0 0\n"
    )
