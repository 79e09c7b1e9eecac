from __future__ import annotations

import gzip
import os
import resource
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.geometry import shear
from ctwml_bids.image_files import load_volume
from ctwml_bids.preprocessing.images import load_nifti, read_flair
from ctwml_bids.preprocessing.orthonormal import orthonormal

# 20 × 24 × 10 voxels as large as a head: 200 × 240 × 150 mm.
AFFINE = np.diag([10, 10, 15, 1.0])


def volume(shape=(20, 24, 10)):
    return np.random.default_rng(0).normal(100, 10, shape).astype(np.float32)


def saved(path, data, affine=None):
    nib.save(nib.Nifti1Image(data, AFFINE if affine is None else affine), path)
    return path


def test_values_and_grid_are_kept(tmp_path):
    data = volume()
    image = load_nifti(saved(tmp_path / "a.nii.gz", data))
    np.testing.assert_array_equal(np.asarray(image.dataobj), data)
    np.testing.assert_allclose(image.affine, AFFINE)


def test_stored_scaling_is_applied(tmp_path):
    stored = np.arange(20 * 24 * 10, dtype=np.int16).reshape(20, 24, 10)
    path = saved(tmp_path / "a.nii", stored)
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([0.5, -1024], np.float32).tobytes()  # scl_slope, scl_inter
    path.write_bytes(raw)
    np.testing.assert_allclose(np.asarray(load_nifti(path).dataobj), stored * 0.5 - 1024)


def test_trailing_axis_of_one_is_dropped(tmp_path):
    assert load_nifti(saved(tmp_path / "a.nii.gz", volume()[..., None])).shape == (20, 24, 10)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(NoInputError, match=r"nothing\.nii"):
        load_nifti(tmp_path / "nothing.nii.gz")


def test_truncated_gzip_is_refused(tmp_path):
    path = saved(tmp_path / "a.nii.gz", volume((64, 64, 20)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadDataError, match=r"a\.nii\.gz.*(truncated|damaged)"):
        load_nifti(path)


def test_text_named_nifti_is_refused(tmp_path):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(b"this is not an image" * 100))
    with pytest.raises(BadDataError, match="cannot be opened as NIfTI"):
        load_nifti(path)


@pytest.mark.parametrize(
    ("at", "value"),
    [(70, np.int16(9999)), (108, np.float32(-1)), (40, np.int16(100))],
    ids=["unknown data type", "impossible offset", "impossible dimensions"],
)
def test_a_damaged_header_is_refused(tmp_path, at, value):
    raw = bytearray(nib.Nifti1Image(volume(), AFFINE).to_bytes())
    raw[at : at + value.nbytes] = value.tobytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(raw, 1))
    with pytest.raises(BadDataError, match=r"a\.nii\.gz: cannot be opened as NIfTI"):
        load_nifti(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinite_are_counted_and_refused(tmp_path, bad):
    data = volume()
    data[3, 4, 5] = bad
    with pytest.raises(BadDataError, match="1 of 4800 voxels"):
        load_nifti(saved(tmp_path / "a.nii.gz", data))


@pytest.mark.parametrize("spacing", [0.0, -3.0])
def test_zero_and_negative_spacing_are_refused(tmp_path, spacing):
    path = saved(tmp_path / "a.nii", volume())
    raw = bytearray(path.read_bytes())
    raw[76 + 12 : 76 + 16] = np.float32(spacing).tobytes()  # pixdim[3]
    path.write_bytes(raw)
    with pytest.raises(BadDataError, match="must be positive"):
        load_nifti(path)


def test_spacing_that_contradicts_the_affine_is_refused(tmp_path):
    path = saved(tmp_path / "a.nii", volume())
    raw = bytearray(path.read_bytes())
    raw[76 + 12 : 76 + 16] = np.float32(5.0).tobytes()
    path.write_bytes(raw)
    with pytest.raises(BadDataError, match="affine says"):
        load_nifti(path)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (np.stack([volume()] * 2, axis=-1), "one 3D volume"),
        (np.zeros((20, 24, 10), np.float32), "empty"),
        (volume((4, 2, 2)), "4 x 2 x 2"),
        (volume((16, 16, 10)), "16 x 16 x 10"),
    ],
    ids=["4D", "zeros", "16 voxels", "16 in plane"],
)
def test_unusable_volumes_are_refused(tmp_path, data, found):
    with pytest.raises(BadDataError, match=found):
        load_nifti(saved(tmp_path / "a.nii.gz", data))


def test_image_without_orientation_is_refused(tmp_path):
    image = nib.Nifti1Image(volume(), None)
    image.header["sform_code"] = image.header["qform_code"] = 0
    nib.save(image, tmp_path / "a.nii.gz")
    with pytest.raises(BadDataError, match="no orientation"):
        load_nifti(tmp_path / "a.nii.gz")


def test_flipped_and_oblique_image_is_only_reordered():
    angle = np.radians(20)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    affine = np.eye(4)
    affine[:3, :3] = (turn * [1, 1, 3]) @ np.array([[0, -1, 0], [1, 0, 0], [0, 0, -1.0]])
    data = volume()
    upright = orthonormal(nib.Nifti1Image(data, affine))
    assert nib.aff2axcodes(upright.affine) == ("R", "A", "S")
    np.testing.assert_array_equal(np.sort(np.asarray(upright.dataobj), None), np.sort(data, None))
    voxel = np.array([3, 4, 5, 1.0])
    there = np.linalg.inv(upright.affine) @ affine @ voxel
    index = tuple(np.round(there[:3]).astype(int))
    assert np.asarray(upright.dataobj)[index] == data[3, 4, 5]


def test_gantry_tilt_is_undone_and_a_point_stays_where_it_is():
    affine = np.diag([-1.0, 1.0, 3.0, 1.0])
    affine[1, 2] = 3 * np.tan(np.radians(18.5))
    data = np.zeros((40, 60, 20), np.float32)
    data[20:23, 30:33, 9:12] = 100
    upright = orthonormal(nib.Nifti1Image(data, affine), fill=-7)
    assert shear(affine) == pytest.approx(np.sin(np.radians(18.5)), abs=1e-6)
    assert shear(upright.affine) < 1e-6
    weights = np.clip(np.asarray(upright.dataobj), 0, None)
    centre = (np.argwhere(weights > 0) * weights[weights > 0][:, None]).sum(0) / weights.sum()
    expected = affine @ [21, 31, 10, 1]
    np.testing.assert_allclose((upright.affine @ [*centre, 1])[:3], expected[:3], atol=0.05)
    assert float(weights.sum()) == pytest.approx(float(data.sum()), rel=0.01)
    assert np.asarray(upright.dataobj).min() == -7


def test_the_native_grid_keeps_its_shear(tmp_path):
    affine = np.diag([6.0, 6.0, 15.0, 1.0])
    affine[1, 2] = 5.0
    loaded = read_flair(saved(tmp_path / "a.nii.gz", volume((32, 32, 10)), affine))
    np.testing.assert_allclose(loaded.native.affine, affine, atol=1e-6)
    assert loaded.native.shape == (32, 32, 10)


def test_a_ct_named_flair_is_refused(shared_data):
    path = shared_data / "bids-real/sub-dv01/ct/sub-dv01_ct.nii.gz"
    with pytest.raises(BadDataError, match="as air is on a CT"):
        read_flair(path)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 0.5), (1.0, 0.8), (3.0, 3.0), (0.9, 4.0)])
def test_a_plane_is_refused_as_no_volume(tmp_path, spacing):
    image = nib.Nifti1Image(np.zeros((256, 200), np.int16), np.diag([*spacing, 1.0, 1.0]))
    nib.save(image, tmp_path / "a.nii")
    with pytest.raises(BadDataError, match="one 3D volume is needed"):
        load_nifti(tmp_path / "a.nii")


def header_of(shape, offset=352.0, kind=4):
    """A NIfTI-1 header (int16) of a head's size with a shape that its file need not have."""
    head = bytearray(nib.Nifti1Image(np.zeros((20, 24, 10), np.int16), AFFINE).to_bytes()[:352])
    head[42:48] = np.array(shape, "<i2").tobytes()
    head[70:72] = np.array(kind, "<i2").tobytes()
    head[108:112] = np.array(offset, "<f4").tobytes()
    return bytes(head)


def packed(head, zeros):
    """Compress a header and many zeros, without holding them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(head)]
    parts += [packer.compress(bytes(10**7)) for _ in range(zeros // 10**7)]
    return b"".join((*parts, packer.flush()))


@pytest.fixture
def little_memory():
    """Half a GB more than now is all that may be had."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 2**29
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.nii", header_of((32767, 32767, 32767)) + bytes(1000)),
        ("a.nii.gz", gzip.compress(header_of((32767, 32767, 32767)) + bytes(1000))),
        # The stream holds what its header states.
        ("a.nii.gz", packed(header_of((1000, 1000, 200)), 4 * 10**8)),
        ("a.nii.gz", packed(header_of((20, 24, 10), offset=3e8), 3 * 10**8)),
        ("a.nii", header_of((20, 24, 10), offset=1e12) + bytes(9600)),
    ],
    ids=["a claim", "a compressed claim", "a bomb", "a bomb before the values", "an offset"],
)
def test_a_header_that_asks_for_memory_is_refused_before_any_is_taken(
    tmp_path, little_memory, name, content
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadDataError, match=r"a\.nii.*cannot be opened"):
        load_nifti(tmp_path / name)
    assert load_volume(tmp_path / name) is None


@pytest.mark.parametrize("offset", [np.inf, -np.inf, np.nan, -5.0])
def test_values_that_begin_nowhere_are_refused_or_read(tmp_path, offset):
    path = tmp_path / "a.nii"
    path.write_bytes(header_of((20, 24, 10), offset=offset) + bytes(9600))
    with pytest.raises(BadDataError, match=r"a\.nii"):
        load_nifti(path)


def test_a_pipe_is_no_volume(tmp_path):
    os.mkfifo(tmp_path / "a.nii")
    assert load_volume(tmp_path / "a.nii") is None


@pytest.mark.parametrize("at", [256, 260, 268, 280, 296, 324])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_orientation_that_is_no_number_is_refused_or_left_aside(tmp_path, at, value):
    path = saved(tmp_path / "a.nii", volume())
    raw = bytearray(path.read_bytes())
    raw[252:256] = np.array([1, 1], "<i2").tobytes()
    raw[at : at + 4] = np.array(value, "<f4").tobytes()
    path.write_bytes(raw)
    if at >= 280:
        with pytest.raises(BadDataError, match="impossible position"):
            load_nifti(path)
    else:
        np.testing.assert_allclose(load_nifti(path).affine, AFFINE)
