"""CTs exported with 8 bits, and slices with gaps between them."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.preprocessing.hounsfield import read_ct
from ctwml_bids.simulation.pair import simulate_pair
from ctwml_bids.simulation.scans import draw_ct_grid, draw_flair_grid

WINDOW = (-5.0, 75.0)


@pytest.fixture(scope="module")
def whole_and_window():
    options = {"fazekas": 2, "modality": "ct", "ct_spacing": (2.5, 2.5, 7.0), "ct_gap": 0.3}
    return simulate_pair(8, **options), simulate_pair(8, ct_window=WINDOW, **options)


def test_a_window_export_has_256_values_within_half_a_step_of_the_whole_ct(whole_and_window):
    whole, window = (np.asarray(pair.ct.dataobj, dtype=float) for pair in whole_and_window)
    assert len(np.unique(window)) <= 256
    assert (window.min(), window.max()) == WINDOW
    assert np.abs(window - np.clip(whole, *WINDOW)).max() <= 80 / 255 / 2 + 1e-4
    assert whole_and_window[1].facts["ct"]["window_hu"] == list(WINDOW)


def test_the_program_reads_a_window_export_in_hounsfield_units(whole_and_window, tmp_path):
    pair = whole_and_window[1]
    # As it is stored: grey values, with the slope and intercept that make HU of them.
    grey = np.round((np.asarray(pair.ct.dataobj) + 5) / 80 * 255).astype(np.uint8)
    image = nib.Nifti1Image(grey, pair.ct.affine)
    image.header.set_slope_inter(80 / 255, -5)
    nib.save(image, tmp_path / "sub-01_ct.nii.gz")
    loaded = read_ct(tmp_path / "sub-01_ct.nii.gz")
    assert loaded.facts["scale"] == "window"
    hu = np.sort(loaded.image.get_fdata().ravel())
    expected = np.sort(np.asarray(pair.ct.dataobj).ravel())
    np.testing.assert_allclose(hu, expected, atol=0.01)


@pytest.mark.parametrize("wrong", [{"ct_window": (80, 0)}, {"ct_gap": 0.5}, {"flair_gap": -0.1}])
def test_windows_and_gaps_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        simulate_pair(1, ct_spacing=(6, 6, 12), flair_spacing=(6, 6, 12), **wrong)


def test_slices_are_thinner_than_they_are_apart_by_the_gap(whole_and_window):
    assert whole_and_window[0].facts["ct"]["slice_thickness_mm"] == pytest.approx(4.9)
    for gap in (0.0, 0.2):
        of_ct, of_flair = (
            draw_ct_grid(np.random.default_rng(1), np.eye(4), (1, 1, 5), "small", gap=gap),
            draw_flair_grid(
                np.random.default_rng(1), np.eye(4), (1, 1, 5), "small", False, gap=gap
            ),
        )
        for scan in (of_ct, of_flair):
            assert scan.spacing[2] == pytest.approx(5)
            assert scan.thickness == pytest.approx(5 * (1 - gap))


def test_flair_slices_are_mostly_as_in_the_paper_and_otherwise_of_3_to_10_mm():
    scans = [
        draw_flair_grid(np.random.default_rng(seed), np.eye(4), None, "full", False)
        for seed in range(300)
    ]
    apart = np.array([scan.spacing[2] for scan in scans])
    assert apart.min() < 3.6
    assert 9.0 < apart.max() <= 10.0
    assert 0.65 < ((apart >= 4) & (apart <= 5)).mean() < 0.9
    seen = np.array([scan.thickness for scan in scans]) / apart
    assert 0.7 <= seen.min() < 0.75
    assert 0.4 < (seen == 1).mean() < 0.6
