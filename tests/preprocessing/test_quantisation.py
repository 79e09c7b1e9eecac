from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from ctwml_bids.preprocessing.hounsfield import read_ct
from ctwml_bids.preprocessing.quantisation import hu_step
from tests.preprocessing.head_phantom import head


@pytest.fixture(scope="module")
def phantom():
    """Return a head of which grey and white matter, fluid and scalp differ, with noise of 4 HU."""
    image, brain = head()
    data = np.asarray(image.dataobj).copy()
    x = np.indices(data.shape)[0]
    data[brain & (x % 7 == 0)] += 6
    data[brain & (x % 11 == 0)] -= 24
    return image, data


@pytest.mark.parametrize("step", [4, 5, 8, 10, 16, 25])
@pytest.mark.parametrize("offset", [-1024, 0, 3])
def test_steps_are_found_whatever_they_start_from(phantom, step, offset):
    _, data = phantom
    coarse = np.round((data - offset) / step) * step + offset
    assert hu_step(coarse) == pytest.approx(step, rel=0.01)


def test_eight_bits_of_the_whole_range_are_steps_of_sixteen(phantom):
    _, data = phantom
    levels = np.round((np.clip(data, -1024, 3071) + 1024) / 4095 * 255)
    for stored in (levels * (4095 / 255) - 1024, np.round(levels * (4095 / 255) - 1024)):
        assert hu_step(stored) == pytest.approx(16.06, abs=0.1)


@pytest.mark.parametrize("slope", [0.5, 1.0, 1.3, 2.0])
def test_fine_steps_are_fine(phantom, slope):
    _, data = phantom
    assert hu_step(np.round(data / slope) * slope) == pytest.approx(slope, rel=0.01)


def test_a_brain_window_of_eight_bits_is_fine(phantom):
    _, data = phantom
    assert hu_step(np.round(np.clip(data, 0, 80) / 80 * 255) * 80 / 255) < 0.4


def test_continuous_values_have_no_step(phantom):
    assert hu_step(phantom[1]) is None


def test_some_interpolated_voxels_do_not_hide_a_step(phantom):
    _, data = phantom
    coarse = np.round(data / 10) * 10
    some = np.random.default_rng(0).random(data.shape) < 0.05
    coarse[some] = np.round(data[some])
    assert hu_step(coarse) == pytest.approx(10)


CHANGES = {
    "thin slices": lambda hu: ndimage.zoom(hu, (1, 1, 3), order=1),
    "other pixels": lambda hu: ndimage.zoom(hu, (0.9, 0.9, 1), order=1),
    "other pixels, whole HU": lambda hu: np.round(ndimage.zoom(hu, (0.9, 0.9, 1), order=1)),
    "turned": lambda hu: ndimage.rotate(hu, 7, order=1, reshape=False, cval=-1000),
    "a little noise": lambda hu: hu + np.random.default_rng(1).uniform(-0.3, 0.3, hu.shape),
    "some fine slices": lambda hu: (
        hu + (np.arange(hu.shape[2]) % 10 == 4) * np.random.default_rng(1).integers(-8, 9, hu.shape)
    ),
}


@pytest.mark.parametrize("form", list(CHANGES))
@pytest.mark.parametrize("step", [10, 12, 16.06, 20, 32])
def test_steps_are_found_where_values_were_put_between_them(bids_real, step, form):
    data = np.asarray(read_ct(bids_real / "sub-dv01/ct/sub-dv01_ct.nii.gz").image.dataobj)
    coarse = np.round(data[::2, ::2] / step) * step
    assert hu_step(CHANGES[form](coarse)) == pytest.approx(step, rel=0.03)


@pytest.mark.parametrize("slope", [0.51, 0.7, 0.8, 1, 1.3, 1.7, 2, 2.7, 3.3])
@pytest.mark.parametrize("form", ["thin slices", "other pixels, whole HU", "as it is", "whole HU"])
def test_fine_steps_are_not_taken_for_coarse_ones(bids_real, slope, form):
    data = np.asarray(read_ct(bids_real / "sub-dv01/ct/sub-dv01_ct.nii.gz").image.dataobj)
    fine = np.round(data[::2, ::2] / slope) * slope
    change = {**CHANGES, "as it is": lambda hu: hu, "whole HU": np.round}[form]
    assert (hu_step(change(fine)) or 0) < 4


@pytest.mark.parametrize("value", [0, 20, 37, 40])
def test_a_window_with_one_value_written_into_it_has_no_step(phantom, value):
    data = np.clip(phantom[1], -20, 100)
    data[:30] = value
    assert hu_step(data) is None


def test_an_image_without_noise_is_not_taken_for_a_coarse_one():
    flat = np.full((20, 20, 20), -1000.0)
    for k, value in enumerate((5.0, 28.0, 37.0, 60.0)):
        flat[:, :, 4 * k] = value
    assert hu_step(flat) is None
    assert hu_step(np.full((4, 4, 4), 30.0)) is None


@pytest.mark.parametrize("subject", ["sub-ge01", "sub-dv01"])
def test_real_scans_have_steps_of_one(bids_real, subject):
    loaded = read_ct(bids_real / subject / "ct" / f"{subject}_ct.nii.gz")
    assert loaded.facts["hu_step"] == pytest.approx(1)
