from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.geometry import (
    itk_text,
    load_nifti,
    nifti,
    ras_to_lps,
    shear,
    slice_axis,
    slice_gap,
    voxel_volume_ml,
)

TILTED = np.array([[0.5, 0, 0, 10], [0, 0.5, 2, -20], [0, 0, 4, 5], [0, 0, 0, 1.0]])


def test_itk_text_turns_x_and_y_round():
    matrix = np.eye(4)
    matrix[:3, 3] = 1, 2, 3
    assert "Parameters: 1 0 0 0 1 0 0 0 1 -1 -2 3" in itk_text(matrix).replace("-0 ", "0 ")


def test_itk_text_keeps_every_digit():
    matrix = np.eye(4)
    matrix[:3] = np.random.default_rng(0).normal(0, 30, (3, 4))
    line = next(line for line in itk_text(matrix).splitlines() if line.startswith("Parameters: "))
    numbers = np.array(line.split()[1:], dtype=float).reshape(4, 3)
    written = np.eye(4)
    written[:3, :3], written[:3, 3] = numbers[:3], numbers[3]
    np.testing.assert_array_equal(ras_to_lps(written), matrix)


def test_shear_does_not_change_a_voxels_volume():
    assert voxel_volume_ml(TILTED) == pytest.approx(0.5 * 0.5 * 4 / 1000)
    assert voxel_volume_ml(np.diag([-1.0, 1, 1, 1])) == pytest.approx(0.001)


def test_shear_is_the_cosine_between_axes_whatever_the_spacing():
    assert shear(TILTED) == pytest.approx(2 / np.hypot(2, 4))
    turned = np.array([[0.6, -1.6, 0, 0], [0.8, 1.2, 0, 0], [0, 0, 5, 0], [0, 0, 0, 1]])
    assert shear(turned) == pytest.approx(0, abs=1e-12)


def test_only_a_grid_without_shear_is_stated_twice():
    straight = nifti(np.zeros((2, 3, 4), np.uint8), np.diag([-1.0, 2, 3, 1]))
    np.testing.assert_allclose(straight.get_qform(coded=True)[0], straight.affine)
    tilted = nifti(np.zeros((2, 3, 4), np.uint8), TILTED)
    np.testing.assert_allclose(tilted.get_sform(), TILTED)
    assert tilted.get_qform(coded=True)[0] is None
    assert tilted.header.get_xyzt_units()[0] == "mm"


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


def _planes_across(axis):
    rows, columns = (np.eye(3)[a] for a in range(3) if a != axis)
    return [*rows.tolist(), *columns.tolist()]


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


def test_a_large_mask_may_be_all_background(tmp_path):
    header = nib.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape((512, 512, 1100))
    header["vox_offset"] = 352
    path = tmp_path / "mask.nii.gz"
    with gzip.open(path, "wb", compresslevel=6) as out:
        out.write(header.binaryblock + bytes(4))
        for _ in range(1100):
            out.write(bytes(512 * 512))
    assert path.stat().st_size < 512 * 512 * 1100 / 400
    assert load_nifti(path).shape == (512, 512, 1100)
