from __future__ import annotations

import numpy as np
import pytest

from ctwml_bids.geometry import nifti
from ctwml_bids.slices import slice_axis, slice_gap


def _planes_across(axis):
    rows, columns = (np.eye(3)[a] for a in range(3) if a != axis)
    return [*rows.tolist(), *columns.tolist()]


def image(shape, spacing, *, dim_info=None):
    made = nifti(np.zeros(shape, np.uint8), np.diag([*spacing, 1.0]))
    if dim_info is not None:
        made.header.set_dim_info(slice=dim_info)
    return made


@pytest.mark.parametrize(
    ("shape", "spacing", "axis"),
    [
        ((256, 256, 180), (1.0, 1.0, 0.8), 2),
        ((180, 256, 256), (0.8, 1.0, 1.0), 0),
        ((256, 180, 256), (1.0, 0.8, 1.0), 1),
        ((64, 64, 30), (0.5, 0.5, 5.0), 2),
        ((64, 30, 64), (0.5, 5.0, 0.5), 1),
        ((512, 512, 300), (0.5, 0.5, 0.5), 2),
        ((160, 256, 256), (1.0, 1.0, 1.0), 0),
        ((256, 256, 40), (0.90, 0.94, 4.0), 2),
        ((182, 218, 182), (1.0, 1.0, 1.0), 2),
    ],
    ids=str,
)
def test_slices_lie_across_square_pixels_and_matrices(shape, spacing, axis):
    assert slice_axis(image(shape, spacing)) == axis


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(
    "sidecar",
    [
        lambda axis, count: {"SlicePositions": list(range(count))},
        lambda axis, count: {"ImagePositionPatient": [[0, 0, k] for k in range(count)]},
        lambda axis, count: {"ImageOrientationPatientDICOM": _planes_across(axis)},
        lambda axis, count: {"ImageOrientationPatient": _planes_across(axis)},
        lambda axis, count: {"SliceEncodingDirection": "ijk"[axis] + "-"},
    ],
    ids=["positions", "points", "orientation", "DICOM's name", "encoding"],
)
def test_the_sidecar_names_the_slices_of_cubic_voxels(sidecar, axis):
    shape = (50, 60, 70)
    assert slice_axis(image(shape, (1, 1, 1)), sidecar(axis, shape[axis])) == axis


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_header_names_the_slices_of_cubic_voxels(axis):
    assert slice_axis(image((50, 60, 70), (1, 1, 1), dim_info=axis)) == axis


@pytest.mark.parametrize("axis", [0, 1])
def test_a_name_that_square_pixels_contradict_is_out_of_date(axis):
    assert slice_axis(image((64, 64, 30), (0.5, 0.5, 5.0), dim_info=axis)) == 2


@pytest.mark.parametrize("degrees", [0, 5, 10, 20, 25])
def test_the_distance_of_tilted_slices_is_that_of_their_planes(degrees):
    affine = np.diag([1.0, 1.0, 4.0, 1.0])
    affine[1, 2] = 4 * np.tan(np.radians(degrees))
    assert slice_gap(affine, 2) == pytest.approx(4)
