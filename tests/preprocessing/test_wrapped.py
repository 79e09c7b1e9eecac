"""FLAIR whose bright values read as negative."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing.images import read_flair
from ctwml_bids.preprocessing.orthonormal import orthonormal
from ctwml_bids.preprocessing.wrapped import with_right_sign


@pytest.fixture(scope="module")
def real(bids_real):
    """A real FLAIR with 0 to 65535, and its affine."""
    image = nib.load(bids_real / "sub-ll12" / "ses-1" / "anat" / "sub-ll12_ses-1_FLAIR.nii.gz")
    data = np.asarray(image.dataobj, dtype=np.float64)[::2, ::2]
    affine = image.affine @ np.diag([2, 2, 1, 1.0])
    return data / np.percentile(data[data > 0], 99.5), affine


def saved(path, data, affine, slope=None):
    image = nib.Nifti1Image(data, affine)
    if slope:
        image.header.set_slope_inter(*slope)
    nib.save(image, path)
    return path


@pytest.mark.parametrize("top", [36000, 45000, 55000, 65535])
@pytest.mark.parametrize("saved_as", [np.int16, np.int32, np.float32])
def test_unsigned_16_bits_read_as_signed_are_mended(tmp_path, real, top, saved_as):
    data, affine = real
    meant = np.clip(np.round(data * top), 0, 65535).astype(np.uint16)
    path = saved(tmp_path / "a.nii.gz", meant.view(np.int16).astype(saved_as), affine)
    right = saved(tmp_path / "b.nii.gz", meant, affine)
    loaded = read_flair(path)
    np.testing.assert_array_equal(loaded.image.dataobj, read_flair(right).image.dataobj)
    assert any("read as negative" in text and "65536 was added" in text for text in loaded.warnings)


@pytest.mark.parametrize("saved_as", [np.int8, np.int16, np.float32])
def test_unsigned_8_bits_read_as_signed_are_mended(tmp_path, real, saved_as):
    data, affine = real
    meant = np.clip(np.round(data * 230), 0, 255).astype(np.uint8)
    loaded = read_flair(saved(tmp_path / "a.nii.gz", meant.view(np.int8).astype(saved_as), affine))
    right = read_flair(saved(tmp_path / "b.nii.gz", meant, affine))
    np.testing.assert_array_equal(loaded.image.dataobj, right.image.dataobj)


def test_twelve_bits_are_mended(tmp_path, real):
    data, affine = real
    meant = np.clip(np.round(data * 3500), 0, 4095).astype(np.int16)
    loaded = read_flair(
        saved(tmp_path / "a.nii.gz", np.where(meant > 2047, meant - 4096, meant), affine)
    )
    right = read_flair(saved(tmp_path / "b.nii.gz", meant, affine))
    np.testing.assert_array_equal(loaded.image.dataobj, right.image.dataobj)


@pytest.mark.parametrize("slope", [(2.0, 0.0), (0.5, 100.0), (0.01, -50.0)])
def test_stored_integers_count_not_what_they_are_scaled_to(tmp_path, real, slope):
    data, affine = real
    meant = np.clip(np.round(data * 50000), 0, 65535).astype(np.uint16)
    loaded = read_flair(saved(tmp_path / "a.nii", meant.view(np.int16), affine, slope))
    right = read_flair(saved(tmp_path / "b.nii", meant, affine, slope))
    np.testing.assert_allclose(loaded.image.dataobj, right.image.dataobj, rtol=1e-5, atol=0.01)
    assert loaded.warnings


def test_a_wrapped_image_of_unknown_unit_is_refused(tmp_path, real):
    data, affine = real
    meant = np.clip(np.round(data * 50000), 0, 65535).astype(np.uint16)
    scaled = meant.view(np.int16) * np.pi / 7 + 0.3 * (meant % 7 == 0)
    with pytest.raises(BadDataError, match="cannot be undone"):
        read_flair(saved(tmp_path / "a.nii.gz", scaled.astype(np.float32), affine))


def zscored(data):
    head = data > 0.1
    return (data - data[head].mean()) / data[head].std()


RIGHT = {
    "z-scored": zscored,
    "z-scored, background 0": lambda data: np.where(data < 0.05, 0, zscored(data)),
    "z-scored, in integers": lambda data: np.round(zscored(data) * 4000),
    "z-scored, all 16 bits": lambda data: np.round(
        zscored(data) / np.abs(zscored(data)).max() * 32767
    ),
    "background -1": lambda data: np.where(data < 0.05, -1, np.round(data * 1000)),
    "padding -400": lambda data: np.where(data < 0.05, -400, np.round(data * 1000)),
    "padding -32768": lambda data: np.where(data < 0.05, -32768, np.round(data * 15000)),
    "ringing": lambda data: data * 30000 - 300 * (data < 0.1) * (data > 0.02),
    "0 to 1": lambda data: data / data.max(),
}


CALLED_CT = {"z-scored, in integers", "z-scored, all 16 bits", "padding -32768"}


@pytest.mark.parametrize("form", list(RIGHT))
def test_right_negative_values_stay(tmp_path, real, form):
    data, affine = real
    values = RIGHT[form](data).astype(np.float32)
    if form == "padding -32768":
        values[0] = values[-1] = values[:, 0] = values[:, -1] = -32768
    path = saved(tmp_path / "a.nii.gz", values, affine)
    if form in CALLED_CT:
        # More than a tenth of it lies below -500: refused as a CT, not changed into something else.
        with pytest.raises(BadDataError, match="as air is on a CT"):
            read_flair(path)
        return
    loaded = read_flair(path)
    assert loaded.warnings == ()
    expected = np.asarray(nib.as_closest_canonical(nib.load(path)).dataobj)
    np.testing.assert_array_equal(loaded.image.dataobj, expected)


@pytest.mark.parametrize(
    "name", ["sub-lj07", "sub-lj19", "sub-mb104252", "sub-mb105911", "sub-sr01", "sub-dv01"]
)
def test_real_images_stay(bids_real, name):
    path = bids_real / name / "anat" / f"{name}_FLAIR.nii.gz"
    loaded = read_flair(path)
    assert loaded.warnings == ()
    expected = orthonormal(nib.as_closest_canonical(nib.load(path)), 0.0)
    np.testing.assert_array_equal(loaded.image.dataobj, expected.dataobj)


def stays(path, values, affine, stored_as):
    """Whether an image that is saved with the library's own scaling is left as it is."""
    image = nib.Nifti1Image(values.astype(np.float32), affine)
    image.set_data_dtype(stored_as)
    nib.save(image, path)
    read = nib.load(path).get_fdata(dtype=np.float32)
    data, warnings = with_right_sign(path, read)
    return warnings == () and np.array_equal(data, read)


def spiked(data, count, height):
    """Isolated pixels that are too bright."""
    changed, rng = data.copy(), np.random.default_rng(count)
    at = tuple(rng.integers(0, n, count) for n in data.shape)
    changed[at] = height * np.percentile(data, 99.9)
    return changed


SPIKES = [(0, 1), (3, 2.2), (3, 3), (10, 2.2), (10, 3), (40, 2.2), (40, 3)]


@pytest.mark.parametrize("stored_as", [np.int16, np.uint8, np.float32])
@pytest.mark.parametrize("form", list(RIGHT))
def test_scaled_integers_and_bad_pixels_change_nothing(tmp_path, real, form, stored_as):
    data, affine = real
    values = RIGHT[form](data[::2, ::2])
    for count, height in SPIKES:
        assert stays(tmp_path / "a.nii", spiked(values, count, height), affine, stored_as), count


@pytest.mark.parametrize("stored_as", [np.int16, np.uint8, None])
@pytest.mark.parametrize(
    "name",
    ["sub-dv01", "sub-lj07", "sub-lj19", "sub-mb104252", "sub-mb105911", "sub-sr01", "sub-ll20"],
)
def test_bad_pixels_of_real_images_change_nothing(tmp_path, bids_real, name, stored_as):
    image = nib.load(next((bids_real / name).glob("**/*_FLAIR.nii.gz")))
    data = np.asarray(image.dataobj, dtype=np.float64)[::2, ::2, ::2]
    for count, height in SPIKES:
        values = spiked(data, count, height)
        kind = stored_as or image.get_data_dtype()
        assert stays(tmp_path / "a.nii", values, image.affine, kind), (count, height)


@pytest.mark.parametrize("stored_as", [np.int16, np.uint8, np.float32])
@pytest.mark.parametrize("least", [0, -1, -1.8, -600])
@pytest.mark.parametrize("noise", [0, 0.01])
def test_a_head_with_a_sharp_edge_is_not_turned_dark(tmp_path, least, noise, stored_as):
    x, y, z = np.ogrid[-1:1:48j, -1:1:48j, -1:1:24j]
    tissue = 0.75 + 0.25 * np.cos(2 * x) * np.cos(3 * y) * np.cos(z)
    data = np.where((x / 0.8) ** 2 + y**2 + z**2 < 0.9, tissue, 0.0)
    data += noise * np.random.default_rng(1).random(data.shape)
    values = data * 1187 if least == 0 else least + data * 3 * abs(least)
    assert stays(tmp_path / "a.nii", values, np.eye(4), stored_as)


@pytest.mark.parametrize("spikes", [3, 40])
def test_bad_pixels_do_not_hide_a_wrong_sign(tmp_path, real, spikes):
    data, affine = real
    meant = np.clip(np.round(spiked(data * 45000, spikes, 1.3)), 0, 65535).astype(np.uint16)
    path = saved(tmp_path / "a.nii", meant.view(np.int16), affine)
    mended, warnings = with_right_sign(path, meant.view(np.int16).astype(np.float32))
    np.testing.assert_array_equal(mended, meant)
    assert warnings
