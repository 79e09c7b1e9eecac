"""FLAIR whose bright values read as negative."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing.images import read_flair


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
    expected = nib.as_closest_canonical(nib.load(path)).get_fdata(dtype=np.float32)
    np.testing.assert_array_equal(loaded.image.dataobj, expected)
    assert loaded.warnings == ()
