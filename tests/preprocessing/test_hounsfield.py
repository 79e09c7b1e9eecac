from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing.grids import grid_of
from ctwml_bids.preprocessing.hounsfield import classify, read_ct
from ctwml_bids.preprocessing.slice_spacing import spacing_facts, vault_ratio
from ctwml_bids.slices import slice_axis
from tests.preprocessing.head_phantom import head


@pytest.fixture(scope="module")
def phantom():
    return head()[0]


def written(path, image, data, dtype=np.int16):
    nib.save(nib.Nifti1Image(np.asarray(data).astype(dtype), image.affine), path)
    return path


@pytest.mark.parametrize("padding", [-1024, -2000, -3024])
def test_padding_becomes_air(tmp_path, phantom, padding):
    data = np.asarray(phantom.dataobj).copy()
    data[:5] = padding
    loaded = read_ct(written(tmp_path / "a.nii.gz", phantom, data))
    assert loaded.facts["scale"] == "hu"
    assert np.asarray(loaded.image.dataobj).min() == -1000
    assert loaded.facts["tissue_peak_hu"] == pytest.approx(32, abs=4)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
def test_number_types_give_the_same_image(tmp_path, phantom, dtype):
    data = np.round(np.asarray(phantom.dataobj))
    loaded = read_ct(written(tmp_path / "a.nii.gz", phantom, data, dtype))
    np.testing.assert_array_equal(np.asarray(loaded.image.dataobj), np.maximum(data, -1000))


@pytest.mark.parametrize("window", [(-20, 100), (0, 80), (-100, 300)])
def test_brain_window_is_accepted_with_a_warning(tmp_path, phantom, window):
    data = np.clip(np.round(np.asarray(phantom.dataobj)), *window)
    loaded = read_ct(written(tmp_path / "a.nii.gz", phantom, data))
    assert loaded.facts["scale"] == "window"
    assert any("brain window" in text for text in loaded.warnings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda hu: (np.clip(hu, -1000, 2000) + 1000) / 3000, "scaled or z-scored"),
        (lambda hu: hu + 1024, "about 1024 was added"),
        (lambda hu: np.clip(hu, 0, 80) / 80 * 255, "grey levels"),
        (lambda hu: np.clip(np.abs(hu + 1000) * 0.4, 0, None), "not a CT in Hounsfield"),
    ],
    ids=["0 to 1", "no intercept", "8-bit grey", "MR-like"],
)
def test_other_units_are_refused_with_what_was_found(tmp_path, phantom, change, message):
    path = written(tmp_path / "a.nii.gz", phantom, change(np.asarray(phantom.dataobj)), np.float32)
    with pytest.raises(BadDataError, match=message) as caught:
        read_ct(path)
    assert "values run from" in str(caught.value)


def test_real_mr_images_are_no_ct(bids_real):
    for name in ("sub-sr01", "sub-dv01", "sub-lj19"):
        path = next((bids_real / name / "anat").glob("*_FLAIR.nii.gz"))
        data = np.asarray(nib.load(path).dataobj)[::4, ::4, ::2]
        assert classify(data).kind == "other"


def test_unsigned_wrap_is_undone(tmp_path, phantom):
    data = np.round(np.asarray(phantom.dataobj)).astype(np.int16)
    loaded = read_ct(written(tmp_path / "a.nii.gz", phantom, data.view(np.uint16), np.uint16))
    assert np.asarray(loaded.image.dataobj).min() == -1000
    assert any("unsigned" in text for text in loaded.warnings)


def test_vault_of_an_ellipsoid_is_its_axis_ratio(phantom):
    # Outer skull: half axes 72 × 87 × 69 mm, so the ratio is 69 / sqrt(72 × 87).
    ratio = vault_ratio(np.asarray(phantom.dataobj), grid_of(phantom), 2)
    assert ratio == pytest.approx(69 / np.sqrt(72 * 87), rel=0.06)


def test_squeezed_slices_are_noticed(phantom):
    grid = grid_of(phantom)
    affine = grid.affine.copy()
    affine[:3, 2] *= 0.6
    squeezed = type(grid)(grid.shape, affine)
    facts, warnings = spacing_facts(np.asarray(phantom.dataobj), squeezed, {}, 2)
    assert facts["slice_spacing_mm"] == pytest.approx(2.7)
    assert any("flattened" in text for text in warnings)


def test_uneven_positions_in_the_sidecar_are_noticed(phantom):
    grid = grid_of(phantom)
    positions = np.where(np.arange(40) < 20, np.arange(40) * 4.0, 80 + (np.arange(40) - 20) * 7.0)
    facts, warnings = spacing_facts(
        np.asarray(phantom.dataobj), grid, {"SlicePositions": positions.tolist()}, 2
    )
    assert facts["slice_positions_uneven"] > 0.2
    assert facts["slice_gap_ratio"] == pytest.approx(7 / 4)
    assert any("uneven" in text for text in warnings)


def test_two_slices_at_one_place_are_as_uneven_as_can_be(phantom):
    positions = np.arange(40) * 4.5
    positions[20] = positions[19]
    sidecar = {"SlicePositions": positions.tolist()}
    facts, _ = spacing_facts(np.asarray(phantom.dataobj), grid_of(phantom), sidecar, 2)
    assert facts["slice_gap_ratio"] > 100


def test_real_scan_with_hidden_spacing_jump_is_noticed(shared_data):
    loaded = read_ct(shared_data / "awkward" / "ge01_tilted_variable-spacing_ct.nii.gz")
    assert loaded.facts["shear_degrees"] == pytest.approx(18.5, abs=0.1)
    assert any("flattened" in text for text in loaded.warnings)


@pytest.mark.parametrize("subject", ["sub-ge01", "sub-dv01"])
def test_real_scans_are_read_without_warning(bids_real, subject):
    loaded = read_ct(bids_real / subject / "ct" / f"{subject}_ct.nii.gz")
    assert loaded.warnings == ()
    assert 20 < loaded.facts["tissue_peak_hu"] < 45


@pytest.mark.parametrize("gap", [1.0, 1.2, 1.4, 1.6, 1.8])
def test_thin_overlapping_slices_keep_the_check_of_even_spacing(gap):
    """Slices lie closer together than their pixels, which is no fault; uneven ones are."""
    image, _ = head((80, 96, int(160 / gap)), (2.0, 2.0, gap))
    data, grid = np.asarray(image.dataobj), grid_of(image)
    stated = {"SpacingBetweenSlices": gap}
    facts, warnings = spacing_facts(data, grid, stated, slice_axis(image, stated))
    assert facts["slice_spacing_mm"] == pytest.approx(gap)
    assert (facts["stated_spacing_ratio"], warnings) == (None, [])
    uneven = np.arange(image.shape[2]) * gap
    uneven[image.shape[2] // 2 :] += 20 * gap
    stated["SlicePositions"] = uneven.tolist()
    facts, warnings = spacing_facts(data, grid, stated, slice_axis(image, stated))
    assert facts["slice_gap_ratio"] == pytest.approx(21)
    assert any("uneven" in text for text in warnings)


@pytest.mark.parametrize("inter", [4.8e16, 1e9, -1e9])
def test_an_intercept_that_swallows_all_values_is_refused(tmp_path, phantom, inter):
    path = written(tmp_path / "a.nii", phantom, phantom.dataobj)
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([1, inter], "<f4").tobytes()
    path.write_bytes(raw)
    with pytest.raises(BadDataError, match=r"a\.nii: (it consists of|every voxel is|not a CT)"):
        read_ct(path)
