"""Conversions of linear transforms and images between this package and ITK/ANTs.

Inside the package a transform is a 4×4 matrix in RAS mm that maps points of the reference to
points of the moving image. ITK text files hold the same direction in LPS mm; that convention
exists only here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np

from ctwml_bids.errors import BadDataError
from ctwml_bids.geometry import RAS_LPS, RIGHT_ANGLE_COSINE, itk_text, ras_to_lps, shear
from ctwml_bids.reading import read_text

if TYPE_CHECKING:
    import ants

# Determinant (a ratio of volumes) of a map that flattens what it maps.
_FLAT = 1e-6
# ITK's names for a 3×3 matrix, a translation and a centre, whose parameters are laid out alike.
_MATRIX_TYPES = ("AffineTransform", "MatrixOffsetTransformBase")


def write_itk(path: Path | str, matrix: np.ndarray) -> None:
    """Write a 4×4 RAS matrix (reference → moving) as an ITK text file; see `itk_text`."""
    Path(path).write_text(itk_text(matrix), encoding="utf-8")


def read_itk(path: Path | str) -> np.ndarray:
    """Read one linear transform of an ITK text file.

    Returns
    -------
    numpy.ndarray
        4×4, RAS mm, reference points → moving points.

    Raises
    ------
    BadDataError
        If the file is not an ITK text file with exactly one affine transform.
    """
    path = Path(path)
    try:
        lines = read_text(path).splitlines()
    except ValueError:
        lines = []
    fields = [line.split(":", 1) for line in lines if ":" in line and not line.startswith("#")]
    values = {key.strip(): value.split() for key, value in fields}
    kinds = [value.strip() for key, value in fields if key.strip() == "Transform"]
    if len(kinds) != 1 or not kinds[0].startswith(_MATRIX_TYPES) or "_3_3" not in kinds[0]:
        raise BadDataError(
            f"{path} holds {', '.join(kinds) or 'no ITK transform'}; "
            "one 3D AffineTransform as ITK text is needed."
        )
    try:
        parameters = np.array(values["Parameters"], dtype=float)
        center = np.array(values["FixedParameters"], dtype=float)
        matrix = _from_itk_parameters(parameters, center)
        if not (np.isfinite(matrix).all() and abs(np.linalg.det(matrix)) > _FLAT):
            raise ValueError("its matrix cannot be inverted")
        return matrix
    except (KeyError, ValueError) as error:
        raise BadDataError(f"{path} is not a complete ITK affine transform: {error}") from error


def from_ants_transform(transform: ants.core.ants_transform.ANTsTransform) -> np.ndarray:
    """Return the 4×4 RAS matrix of any linear ANTs transform (affine, Euler, similarity)."""
    if str(transform.transform_type).startswith(_MATRIX_TYPES):
        parameters = np.asarray(transform.parameters, dtype=float)
        return _from_itk_parameters(parameters, np.asarray(transform.fixed_parameters, dtype=float))
    origin = np.array(transform.apply_to_point((0.0, 0.0, 0.0)), dtype=float)
    lps = np.eye(4)
    # Points far from the origin keep single-precision rounding out of the rotation.
    reach = 1000.0
    for axis in range(3):
        point = np.zeros(3)
        point[axis] = reach
        lps[:3, axis] = (np.array(transform.apply_to_point(tuple(point))) - origin) / reach
    lps[:3, 3] = origin
    return ras_to_lps(lps)


def _from_itk_parameters(parameters: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Build the RAS matrix of x → A (x − c) + c + t, given in LPS."""
    rotation, translation = parameters.reshape(4, 3)[:3], parameters.reshape(4, 3)[3]
    lps = np.eye(4)
    lps[:3, :3] = rotation
    lps[:3, 3] = translation + center - rotation @ center
    return ras_to_lps(lps)


def to_ants(image: nib.spatialimages.SpatialImage) -> ants.ANTsImage:
    """Convert a 3D nibabel image to an ANTs image of float32.

    Raises
    ------
    BadDataError
        If the affine is sheared: ITK would drop the shear and move the anatomy.
    """
    import ants  # here, since it takes two seconds: images that are not registered do without

    affine = np.asarray(image.affine, dtype=float)
    if shear(affine) > RIGHT_ANGLE_COSINE:
        raise BadDataError(
            f"{image.get_filename() or 'An image'} has a sheared affine (gantry tilt), which ANTs "
            "cannot hold; resample it onto an orthonormal grid first."
        )
    lps = RAS_LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    return ants.from_numpy(
        np.asarray(image.dataobj, dtype=np.float32),
        origin=tuple(lps[:3, 3]),
        spacing=tuple(spacing),
        direction=lps[:3, :3] / spacing,
    )
