"""Regions of one value in a CT: padding, a removed face, and what only looks like them."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing.ct_brain import ct_mask
from ctwml_bids.preprocessing.grids import Grid, grid_of
from ctwml_bids.preprocessing.hounsfield import read_ct
from ctwml_bids.preprocessing.padding import blank_regions
from ctwml_bids.preprocessing.quantisation import hu_step
from tests.preprocessing.head_phantom import head


@pytest.fixture(scope="module")
def phantom():
    image, brain = head((80, 92, 32), (2.5, 2.5, 5.5))
    return np.round(np.asarray(image.dataobj)), grid_of(image), brain


def read(tmp_path, data, grid, dtype=np.int16):
    path = tmp_path / "a.nii"
    nib.save(nib.Nifti1Image(np.asarray(data).astype(dtype), grid.affine), path)
    return read_ct(path)


def box(data, value):
    return np.pad(data, ((10, 10), (10, 10), (3, 3)), constant_values=value)


def turned(data, value):
    return np.round(ndimage.rotate(data, 15, order=1, cval=value))


def sheared(data, value):
    slices = [
        ndimage.shift(data[..., k], (0, 0.5 * (k - 16)), order=1, cval=value)
        for k in range(data.shape[2])
    ]
    return np.round(np.stack(slices, axis=-1))


def one_side(data, value):
    return np.pad(data, ((0, 15), (0, 0), (0, 0)), constant_values=value)


def circle(data, value):
    x, y = np.indices(data.shape[:2])
    outside = (x - 39.5) ** 2 + (y - 45.5) ** 2 > 43**2
    return np.where(outside[..., None], value, data)


PADDINGS = {
    "box": box,
    "turned": turned,
    "sheared": sheared,
    "one side": one_side,
    "circle": circle,
    "end slices": lambda data, value: np.pad(data, ((0, 0), (0, 0), (2, 2)), constant_values=value),
}


def head_ml(data, grid):
    return float((np.asarray(data) > -300).sum()) * grid.voxel_ml


@pytest.mark.parametrize("value", [0, 1, 35, -100, -500, 1000, 3071])
@pytest.mark.parametrize("form", list(PADDINGS))
def test_padding_of_one_value_becomes_air(tmp_path, phantom, form, value):
    data, grid, _ = phantom
    air = PADDINGS[form](data, -1000)
    loaded = read(tmp_path, PADDINGS[form](data, value), grid)
    assert head_ml(loaded.image.dataobj, grid) == pytest.approx(head_ml(air, grid), rel=0.01)
    assert [part["value"] for part in loaded.facts["blank_regions"]] == [value]
    assert any(f"the one value {value}," in text for text in loaded.warnings)


@pytest.fixture(scope="module")
def brain_in_air(tmp_path_factory, phantom):
    data, grid, _ = phantom
    found = ct_mask(read(tmp_path_factory.mktemp("air"), data, grid).image)
    return np.asarray(found.mask.dataobj, dtype=np.float32)


@pytest.mark.parametrize("form", ["box", "turned", "circle"])
def test_the_brain_of_a_padded_head_is_that_of_the_head_in_air(
    tmp_path, phantom, brain_in_air, form
):
    data, grid, _ = phantom
    padded, in_air = (PADDINGS[form](data, value) for value in (0, -1000))
    found = ct_mask(read(tmp_path, padded, grid).image).mask.dataobj
    if form == "turned":  # the brain itself, not its mask, is what a turn interpolates
        brain = ct_mask(read(tmp_path, in_air, grid).image).mask.dataobj
    else:
        brain = PADDINGS[form](brain_in_air, 0)
    assert dice(found, brain) > 0.99


def face(data, brain, value):
    """Everything in front of a plane through the lower face, air with it."""
    y, z = np.indices(data.shape[1:])
    cut = np.broadcast_to((y > 60) & (z < 12), data.shape) & ~ndimage.binary_dilation(brain)
    return np.where(cut, value, data), cut


@pytest.mark.parametrize("value", [0, 40, -200, 1000, 5000])
@pytest.mark.parametrize("outside", [None, -1024, 0])
def test_a_removed_face_becomes_air(tmp_path, phantom, value, outside):
    data, grid, brain = phantom
    changed, cut = face(data, brain, value)
    expected = np.where(cut, -1000, data)
    if outside is not None:
        changed, expected = box(changed, outside), box(expected, -1000)
    loaded = read(tmp_path, changed, grid)
    assert head_ml(loaded.image.dataobj, grid) == pytest.approx(head_ml(expected, grid), rel=0.01)


def test_padding_without_a_number_becomes_air_but_a_hole_is_refused(tmp_path, phantom):
    data, grid, _ = phantom
    loaded = read(tmp_path, box(data, np.nan), grid, np.float32)
    air = read(tmp_path, box(data, -1000), grid, np.float32)
    np.testing.assert_array_equal(loaded.image.dataobj, air.image.dataobj)
    ml = (box(data, 0).size - data.size) * grid.voxel_ml
    assert any(f"{ml:.1f} mL outside the scan hold no number" in text for text in loaded.warnings)
    assert not any("no number" in text for text in air.warnings)
    holed = data.copy()
    holed[40, 46, 16] = np.nan
    with pytest.raises(BadDataError, match="NaN"):
        read(tmp_path, holed, grid, np.float32)


@pytest.mark.parametrize(
    "change",
    [
        lambda hu: hu,
        lambda hu: np.clip(hu, 0, 80),
        lambda hu: np.clip(hu, -20, 100),
        lambda hu: np.clip(hu, -1000, 300),
        lambda hu: np.clip(hu, -1000, 600),
        lambda hu: np.where(hu < -900, -1024, hu),
        lambda hu: np.round(hu / 8) * 8,
    ],
    ids=["as it is", "0 to 80", "-20 to 100", "up to 300", "up to 600", "flat air", "8 HU steps"],
)
def test_what_a_window_or_a_scanner_makes_one_value_stays(phantom, change):
    data, grid, _ = phantom
    blank, found = blank_regions(change(data).astype(np.float32), grid.voxel_ml)
    assert found == ()
    assert not blank.any()


def test_a_region_is_taken_whole_and_counted_once():
    # Two blocks of 5 and an arm one voxel thin between and beyond them, in noise of 30 HU.
    data = np.round(np.random.default_rng(0).normal(30, 8, (60, 40, 30)))
    region = np.zeros(data.shape, bool)
    region[:14, :20, :20] = region[30:44, :20, :20] = True
    region[:60, 5, 5] = True
    data[data == 5] = 6
    data[region] = 5
    blank, found = blank_regions(data.astype(np.float32), 0.001)
    np.testing.assert_array_equal(blank, region)
    assert [(part.value, part.ml) for part in found] == [(5, round(region.sum() / 1000, 1))]


def test_the_order_in_memory_changes_nothing(phantom):
    data, grid, _ = phantom
    padded = circle(data, 7).astype(np.float32)
    blank, found = blank_regions(np.ascontiguousarray(padded), grid.voxel_ml)
    other, found_other = blank_regions(np.asfortranarray(padded), grid.voxel_ml)
    np.testing.assert_array_equal(blank, other)
    assert found == found_other != ()


def test_fluid_that_a_window_made_one_value_is_no_padding(phantom):
    data, grid, brain = phantom
    fluid = ndimage.binary_erosion(brain, iterations=8)
    changed = np.where(fluid, 0, np.round(data)).astype(np.float32)
    assert blank_regions(changed, grid.voxel_ml)[1] == ()


@pytest.mark.parametrize("subject", ["sub-ge01", "sub-dv01"])
def test_nothing_is_changed_in_real_scans(bids_real, subject):
    path = bids_real / subject / "ct" / f"{subject}_ct.nii.gz"
    loaded = read_ct(path)
    stored = nib.as_closest_canonical(nib.load(path))
    expected = np.maximum(np.asarray(stored.dataobj, dtype=np.float32), -1000)
    np.testing.assert_array_equal(loaded.image.dataobj, expected)
    assert loaded.facts["blank_regions"] == []
    assert loaded.facts["empty_slices"] is None


@pytest.mark.parametrize("subject", ["sub-ge01", "sub-dv01"])
@pytest.mark.parametrize("high", [300, 400, 401, 450, 500, 600, 1000, 1500, 2000, 3071])
def test_clipped_bone_of_real_scans_stays(halved_ct, subject, high):
    data, grid = halved_ct(subject)
    assert blank_regions(np.minimum(data, high), grid.voxel_ml)[1] == ()


@pytest.mark.parametrize("subject", ["sub-ge01", "sub-dv01"])
@pytest.mark.parametrize(("high", "value"), [(1000, 1000), (1000, 3000), (3071, 3071), (450, 2000)])
def test_bright_padding_is_found_where_bone_is_clipped(halved_ct, subject, high, value):
    data, grid = halved_ct(subject)
    padded = box(np.minimum(data, high), value)
    blank, (found,) = blank_regions(padded, grid.voxel_ml)
    assert found.value == value
    expected = box(np.zeros(data.shape, bool), True)
    assert (blank | ~expected).all()
    # Bone that touches padding of its own value cannot be told from it.
    if value > high:
        assert (blank & ~expected & (padded > 200)).sum() < 0.001 * expected.sum()


def quantised(data, step, smooth, form):
    """HU in steps, changed afterwards: another grid, or a few slices that keep theirs."""
    if smooth:
        data = ndimage.gaussian_filter(data, (smooth / 0.922, smooth / 0.922, 0))
    coarse = np.round(data / step) * step
    if form == "some fine slices":
        coarse[:, :, 15:18] = np.round(data[:, :, 15:18])
        return coarse
    coarse = ndimage.zoom(coarse, (0.922, 0.922, 4.916), order=1)
    return np.round(coarse) if form == "1 mm, whole HU" else coarse


@pytest.mark.parametrize(
    ("step", "smooth", "form"),
    [
        (16, 0, "some fine slices"),
        (8, 1.5, "some fine slices"),
        (5, 2.5, "1 mm"),
        (8, 1.5, "1 mm"),
        (8, 2.5, "1 mm, whole HU"),
        (10, 1.5, "1 mm"),
        (16, 1.5, "1 mm, whole HU"),
        (16, 2.5, "1 mm"),
    ],
)
def test_soft_tissue_in_coarse_steps_is_no_padding(halved_ct, step, smooth, form):
    data, grid = halved_ct("sub-dv01")
    changed = quantised(data, step, smooth, form).astype(np.float32)
    assert hu_step(changed) == pytest.approx(step, rel=0.02)
    voxel_ml = grid.voxel_ml * data.size / changed.size
    assert blank_regions(changed, voxel_ml)[1] == ()


@pytest.mark.parametrize("value", [7, 40])
@pytest.mark.parametrize("step", [1, 4 / 3])
def test_a_face_as_bright_as_tissue_is_found(halved_ct, value, step):
    data, grid = halved_ct("sub-dv01")
    data = np.round(data / step) * step
    face = np.s_[60:200, 200:, 2:10]
    data[face] = value
    blank, (found,) = blank_regions(data.astype(np.float32), grid.voxel_ml)
    assert found.value == value
    assert blank[face].all()


@pytest.mark.parametrize("value", [2500, 3071, 5000])
def test_a_face_brighter_than_all_bone_is_found(halved_ct, value):
    data, grid = halved_ct("sub-dv01")
    data = data.copy()
    face = np.s_[60:200, 200:, :10]
    data[face] = value
    blank, (found,) = blank_regions(data, grid.voxel_ml)
    assert found.value == value
    assert blank[face].all()


# How a data set is published without skulls: what lies outside, and what the image is cut to.
BACKGROUNDS = [0, -1, -100, -1000, -1024, -2000, -3024, 40, np.nan]


def cut_to(data, grid, brain):
    where = np.argwhere(brain)
    part = tuple(slice(a, b + 1) for a, b in zip(where.min(0), where.max(0), strict=True))
    affine = grid.affine.copy()
    affine[:3, 3] = (grid.affine @ [*where.min(0), 1])[:3]
    return data[part], Grid(data[part].shape, affine), brain[part]


def dice(a, b):
    a, b = np.asarray(a) > 0, np.asarray(b) > 0
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("cropped", [False, True])
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_a_brain_extracted_ct_is_kept(tmp_path, phantom, background, cropped):
    data, grid, brain = phantom
    data, brain = np.where(brain, data, background), brain
    if cropped:
        data, grid, brain = cut_to(data, grid, brain)
    found = ct_mask(read(tmp_path, data, grid, np.float32).image)
    assert found.facts["already_extracted"] is True
    assert dice(found.mask.dataobj, brain) > 0.99


@pytest.fixture(scope="module")
def real(real_brain):
    """A real head on 2 mm pixels, its brain as found in the whole head."""
    image, brain = real_brain("sub-dv01", 2.0)
    assert brain.facts["already_extracted"] is False
    return np.asarray(image.dataobj), grid_of(image), np.asarray(brain.mask.dataobj) > 0


EXTRACTIONS = {
    "dura and inner table": lambda hu, brain: np.where(
        ndimage.binary_dilation(brain, iterations=2), hu, -1024
    ),
    "eroded": lambda hu, brain: np.where(ndimage.binary_erosion(brain), hu, 0),
    "cut off at 0 and 80": lambda hu, brain: np.where(brain, np.clip(hu, 0, 80), 0),
    "0 outside 0 to 100": lambda hu, brain: np.where(brain & (hu >= 0) & (hu <= 100), hu, 0),
    "in a window, -1024 outside": lambda hu, brain: np.where(brain, np.clip(hu, 0, 80), -1024),
    "turned, padded with 0": lambda hu, brain: ndimage.rotate(
        np.where(brain, hu, -1000), 10, order=1, cval=0, reshape=False
    ),
    "smoothed edge": lambda hu, brain: ndimage.gaussian_filter(
        np.where(brain, hu, -1000), (0.5, 0.5, 0)
    ),
}


@pytest.mark.parametrize("form", list(EXTRACTIONS))
def test_a_real_brain_extracted_in_many_ways_is_kept(tmp_path, real, form):
    data, grid, brain = real
    changed = np.round(EXTRACTIONS[form](data, brain))
    expected = ndimage.binary_erosion(brain) if form == "eroded" else brain
    found = ct_mask(read(tmp_path, changed, grid).image)
    assert found.facts["already_extracted"] is True
    assert found.facts["brain_ml"] == pytest.approx(expected.sum() * grid.voxel_ml, rel=0.11)


@pytest.mark.parametrize("window", [(-1000, 2000), (-1000, 80), (0, 80), (-20, 100)])
def test_a_whole_real_head_is_not_taken_for_a_brain(tmp_path, real, window):
    data, grid, brain = real
    found = ct_mask(read(tmp_path, np.clip(np.round(data), *window), grid).image)
    assert found.facts["already_extracted"] is False
    assert dice(found.mask.dataobj, brain) > 0.95
