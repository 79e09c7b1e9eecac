"""Slices that hold nothing, within a scan and at its ends."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.preprocessing.ct_brain import ct_mask
from ctwml_bids.preprocessing.empty_slices import find_empty, only_seen, runs, seen_part
from ctwml_bids.preprocessing.hounsfield import read_ct
from ctwml_bids.preprocessing.images import read_flair
from tests.preprocessing.head_phantom import head


@pytest.fixture(scope="module")
def phantom():
    return head()


def written(path, image, data):
    made = nib.Nifti1Image(data, image.affine)
    made.set_sform(image.affine, code=1)
    nib.save(made, path)
    return path


@pytest.mark.parametrize("value", [0, -1024, -2000, 40, 3071], ids=str)
@pytest.mark.parametrize("lost", [(12,), (20, 21, 22), (9, 18, 27)], ids=str)
def test_lost_slices_of_a_ct_are_named_whatever_they_hold(tmp_path, phantom, value, lost):
    image, _ = phantom
    data = np.round(np.asarray(image.dataobj)).astype(np.int16)
    data[:, :, list(lost)] = value
    loaded = read_ct(written(tmp_path / "a.nii.gz", image, data))
    assert loaded.facts["empty_slices"] == {
        "slices": 40,
        "numbers": list(lost),
        "axis": 2,
        "planes": list(lost),
        "seen": [0, 39],
    }
    (said,) = (text for text in loaded.warnings if "empty" in text)
    assert f"{len(lost)} of 40 slices are empty (number {runs(lost)} of the file's third" in said


@pytest.mark.parametrize("value", [0.0, 1.0, 55.5, 400.0])
def test_lost_slices_of_a_flair_are_named(tmp_path, phantom, value):
    image, brain = phantom
    data = np.where(brain, 100.0, 10.0) + np.random.default_rng(1).normal(0, 3, brain.shape)
    data[:, :, 15:17] = value
    loaded = read_flair(written(tmp_path / "a.nii", image, data.astype(np.float32)))
    assert loaded.facts["empty_slices"]["numbers"] == [15, 16]
    assert any("2 of 40 slices are empty (number 15–16" in text for text in loaded.warnings)


@pytest.mark.parametrize("axes", ["LAS", "LPI", "SAR", "PSR", "ASL"])
def test_slices_are_found_along_their_own_axis(tmp_path, phantom, axes):
    image, _ = phantom
    data = np.asarray(image.dataobj).copy()
    data[:, :, 20] = 0
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(axes)
    )
    turned = nib.Nifti1Image(data, image.affine).as_reoriented(turn)
    loaded = read_ct(written(tmp_path / "a.nii", turned, np.asarray(turned.dataobj)))
    found = loaded.facts["empty_slices"]
    assert (found["axis"], found["planes"]) == (2, [20])
    assert found["numbers"] == [20] if "S" in axes else [19]


def test_a_lost_slice_of_a_tilted_scan_lies_where_it_lay(tmp_path, phantom):
    image, _ = phantom
    affine = image.affine.copy()
    affine[1, 2] = affine[2, 2] * np.tan(np.radians(15))
    data = np.asarray(image.dataobj).copy()
    data[:, :, [11, 12]] = 0
    tilted = nib.Nifti1Image(data, affine)
    loaded = read_ct(written(tmp_path / "a.nii", tilted, data))
    assert loaded.facts["empty_slices"]["planes"] == [11, 12]


def test_a_slice_empty_within_the_scans_circle_counts(phantom):
    data = np.asarray(phantom[0].dataobj).copy()
    x, y = np.indices(data.shape[:2])
    circle = ((x - 47.5) / 47) ** 2 + ((y - 55.5) / 55) ** 2 < 1
    data[~circle] = -3024
    data[circle, 20] = -1024
    assert find_empty(data, 2).inner == (20,)


def labelled(plane, value):
    plane[:] = value
    plane[5:25, 5:9] = 500


def bright(plane, value):
    plane[:] = value
    plane[48, 56] = value + 300


def noisy(plane, value):
    plane[:] = np.random.default_rng(2).normal(value, 8 if value else 3, plane.shape)


def half(plane, value):
    plane[:, 56:] = value


def middle(plane, value):
    plane[30:80, 30:70] = value


@pytest.mark.parametrize("lose", [labelled, bright, noisy])
@pytest.mark.parametrize("lost", [[12], [20, 21, 22], [9, 18, 27]], ids=str)
@pytest.mark.parametrize("modality", ["CT", "FLAIR"])
def test_a_lost_slice_that_holds_a_label_or_noise_is_named(phantom, modality, lose, lost):
    image, brain = phantom
    data = np.asarray(image.dataobj).copy()
    if modality == "FLAIR":
        data = np.where(data > -500, np.where(brain, 100, 60), 2) + 0.2 * (data % 16)
    for k in lost:
        lose(data[:, :, k], -1000 if modality == "CT" else 0)
    found = find_empty(data, 2)
    assert (found.inner, found.partly) == (tuple(lost), ())


@pytest.mark.parametrize("lose", [half, middle])
@pytest.mark.parametrize("lost", [[12], [20, 21], [9, 18, 27]], ids=str)
@pytest.mark.parametrize("value", [-1024, 0, 40])
def test_a_slice_lost_in_part_is_warned_of(tmp_path, phantom, lose, lost, value):
    image, _ = phantom
    data = np.round(np.asarray(image.dataobj)).astype(np.int16)
    for k in lost:
        lose(data[:, :, k], value)
    loaded = read_ct(written(tmp_path / "a.nii", image, data))
    (said,) = (text for text in loaded.warnings if "empty in part" in text)
    assert f"(number {runs(lost)} of the file's third axis" in said
    assert loaded.facts["empty_slices"] is None


def stripped_masks(folder):
    reference = folder / "derivatives" / "reference"
    return sorted(reference.glob("*/ses-*/anat/*desc-brain_mask.nii.gz"))


def test_no_slice_of_a_real_image_is_lost_also_without_skull(bids_real):
    paths = [*bids_real.glob("sub-*/**/*_ct.nii.gz"), *bids_real.glob("sub-*/**/*_FLAIR.nii.gz")]
    assert paths
    for path in paths:
        # Every second pixel, for time.
        data = np.asarray(nib.load(path).dataobj, dtype=np.float32)[::2, ::2]
        assert find_empty(data, 2).inner == find_empty(data, 2).partly == (), path
    for path in stripped_masks(bids_real):
        subject, session = path.name.split("_")[:2]
        name = f"{subject}_{session}_FLAIR.nii.gz"
        flair = nib.load(bids_real / subject / session / "anat" / name)
        data = np.where(np.asarray(nib.load(path).dataobj) > 0, flair.dataobj, 0)[::2, ::2]
        assert find_empty(data, 2).is_whole, path


@pytest.mark.parametrize("background", [0, -1024, -3024, 40])
@pytest.mark.parametrize("reach", [0, 3])
def test_a_brain_without_skull_does_not_end_where_its_background_goes_on(
    tmp_path, phantom, background, reach
):
    image, brain = phantom
    data = np.where(brain, np.asarray(image.dataobj), background)
    data[:, :, :reach] = background
    loaded = read_ct(written(tmp_path / "a.nii", image, data.astype(np.float32)))
    assert loaded.facts["scale"] == "stripped"
    assert loaded.facts["empty_slices"] is None
    assert not any("removed face" in text for text in loaded.warnings)


@pytest.mark.parametrize("background", [0, -1024])
@pytest.mark.parametrize("cut", [12, 16, 27])
def test_a_brain_without_skull_that_is_cut_off_ends_there(tmp_path, phantom, background, cut):
    image, brain = phantom
    data = np.where(brain, np.asarray(image.dataobj), background)
    part = np.s_[:, :, cut + 1 :] if cut > 19 else np.s_[:, :, :cut]
    data[part] = background
    loaded = read_ct(written(tmp_path / "a.nii", image, data.astype(np.float32)))
    seen = loaded.facts["empty_slices"]["seen"]
    assert seen == ([0, cut] if cut > 19 else [cut, 39])


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("lost", [(12,), (20, 21)], ids=str)
@pytest.mark.parametrize("read", [read_ct, read_flair])
def test_a_slice_without_numbers_is_empty(tmp_path, phantom, read, lost, padded):
    image, brain = phantom
    data = np.asarray(image.dataobj).copy()
    if read is read_flair:
        data = np.where(brain, 100.0, 10.0).astype(np.float32) + 0.1 * np.where(brain, data, 0)
    data[:, :, list(lost)] = np.nan
    if padded and read is read_ct:
        data[:6] = np.nan
    loaded = read(written(tmp_path / "a.nii", image, data))
    assert loaded.facts["empty_slices"]["numbers"] == list(lost)
    assert np.isfinite(np.asarray(loaded.image.dataobj)).all()


@pytest.mark.parametrize("value", [0, -1024, -1000])
def test_empty_slices_at_the_ends_are_no_fault_of_the_scan(tmp_path, phantom, value):
    image, _ = phantom
    data = np.asarray(image.dataobj).copy()
    data[:, :, :2], data[:, :, 38:] = value, value
    loaded = read_ct(written(tmp_path / "a.nii", image, data))
    assert not any(" empty" in text for text in loaded.warnings)
    assert loaded.facts["empty_slices"]["numbers"] == []
    assert loaded.facts["empty_slices"]["seen"] == [2, 37]


def test_padding_that_cuts_the_brain_leaves_a_face_to_the_coverage_gate(phantom):
    _, brain = phantom
    facts = {"axis": 2, "planes": [], "seen": [0, 24]}
    assert seen_part(only_seen(brain, facts), facts)[:, :, -1].any()
    assert not only_seen(brain, facts)[:, :, 25:].any()


def test_a_whole_scan_has_nothing_to_tell(tmp_path, phantom):
    image, _ = phantom
    loaded = read_ct(written(tmp_path / "a.nii", image, np.asarray(image.dataobj)))
    assert loaded.facts["empty_slices"] is None


def test_the_brain_on_both_sides_of_a_lost_slice_is_found_and_the_slice_is_left_out(
    tmp_path, phantom
):
    image, brain = phantom
    data = np.asarray(image.dataobj).copy()
    data[:, :, 19:22] = -1024
    loaded = read_ct(written(tmp_path / "a.nii", image, data))
    found = np.asarray(ct_mask(loaded.image).mask.dataobj) > 0
    assert found.sum() == pytest.approx(brain.sum(), rel=0.05)
    seen = only_seen(found, loaded.facts["empty_slices"])
    lost = (found.sum() - seen.sum()) / found.sum()
    assert lost == pytest.approx(brain[:, :, 19:22].sum() / brain.sum(), rel=0.05)


def test_a_dark_centre_near_the_vertex_is_no_loss():
    """The slices beside it have little head in common; what is dark there may be fluid."""
    data = np.zeros((60, 60, 8), np.float32)
    data[10:50, 10:50, :6] = 100 + np.arange(40)[:, None, None]
    data[28:33, 28:33, 5] = 0
    data[10:50, 10:50, 6] = 25  # tissue, but dark
    data[28:33, 28:33, 6] = 120
    data += np.random.default_rng(1).random(data.shape, dtype=np.float32)
    found = find_empty(data, 2)
    assert (found.inner, found.partly) == ((), ())
