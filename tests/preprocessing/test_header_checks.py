"""Headers that contradict themselves on left and right, and images of no head's size."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing.hounsfield import read_ct
from ctwml_bids.preprocessing.images import load_nifti, read_flair
from tests.preprocessing.head_phantom import head

HEAD = np.diag([10.0, 10.0, 15.0, 1.0])
VALUES = np.random.default_rng(0).normal(100, 10, (20, 24, 10)).astype(np.float32)


def turned(degrees: float) -> np.ndarray:
    """Turn `HEAD` about the z axis."""
    a = np.radians(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
    return turn @ HEAD


def saved(path, qform, sform, *, codes=(1, 1), data=VALUES):
    image = nib.Nifti1Image(data, sform)
    image.set_qform(qform, code=codes[0])
    image.set_sform(sform, code=codes[1])
    nib.save(image, path)
    return path


@pytest.mark.parametrize("codes", [(1, 1), (1, 4), (2, 1)])
def test_forms_that_mirror_each_other_are_refused(tmp_path, codes):
    mirrored = np.diag([-1.0, 1, 1, 1]) @ HEAD
    path = saved(tmp_path / "a.nii", mirrored, HEAD, codes=codes)
    with pytest.raises(BadDataError, match=r"a\.nii: .*left and right.*LAS.*RAS.*Convert"):
        load_nifti(path)


@pytest.mark.parametrize("codes", [(0, 1), (1, 0)])
def test_a_form_that_is_not_in_force_contradicts_nothing(tmp_path, codes):
    mirrored = np.diag([-1.0, 1, 1, 1]) @ HEAD
    loaded = read_flair(saved(tmp_path / "a.nii", mirrored, HEAD, codes=codes))
    assert loaded.warnings == ()


@pytest.mark.parametrize(("degrees", "said"), [(0, False), (10, False), (20, True), (180, True)])
def test_forms_that_turn_the_head_differently_are_told(tmp_path, degrees, said):
    loaded = read_flair(saved(tmp_path / "a.nii", turned(degrees), HEAD))
    assert len(loaded.warnings) == said
    if said:
        assert f"differ by {degrees}°" in loaded.warnings[0]
        assert "the sform was used" in loaded.warnings[0]
    np.testing.assert_allclose(loaded.native.affine, HEAD)


def test_a_ct_is_told_of_as_well(tmp_path):
    image, _ = head()
    turn = turned(30) @ np.linalg.inv(HEAD)
    data = np.asarray(image.dataobj)
    path = saved(tmp_path / "a.nii", turn @ image.affine, image.affine, data=data)
    assert any("differ by 30°" in text for text in read_ct(path).warnings)


def test_a_quaternion_that_is_none_is_left_alone(tmp_path):
    path = saved(tmp_path / "a.nii", HEAD, HEAD)
    raw = bytearray(path.read_bytes())
    raw[256:268] = np.array([0.9, 0.9, 0.9], np.float32).tobytes()  # quatern_b, _c, _d
    path.write_bytes(raw)
    assert read_flair(path).warnings == ()


def test_gantry_tilt_that_a_qform_cannot_hold_is_no_contradiction(shared_data):
    tilted = read_ct(shared_data / "awkward" / "ge01_tilted_variable-spacing_ct.nii.gz")
    assert tilted.facts["shear_degrees"] > 15
    assert not any("qform" in text for text in tilted.warnings)


@pytest.mark.parametrize("factor", [0.001, 0.1, 1000.0], ids=["m", "cm", "µm"])
def test_wrong_units_are_refused_with_the_size_that_they_give(tmp_path, factor):
    affine = np.diag([factor, factor, factor, 1.0]) @ HEAD
    with pytest.raises(BadDataError, match=r"no scan of a head") as caught:
        load_nifti(saved(tmp_path / "a.nii", affine, affine))
    size = " x ".join(f"{length * factor:.3g}" for length in (200, 240, 150))
    assert f"{size} mm large" in str(caught.value)


def test_the_unit_that_the_header_states_is_named(tmp_path):
    affine = np.diag([0.001, 0.001, 0.001, 1.0]) @ HEAD
    image = nib.Nifti1Image(VALUES, affine)
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "a.nii")
    with pytest.raises(BadDataError, match="states its unit as meter; mm is needed"):
        load_nifti(tmp_path / "a.nii")


def test_a_lost_slice_distance_is_refused_and_a_slab_is_not(tmp_path):
    flat = np.diag([10.0, 10.0, 1.0, 1.0])
    with pytest.raises(BadDataError, match="200 x 240 x 10 mm large"):
        load_nifti(saved(tmp_path / "a.nii", flat, flat))
    slab = np.diag([10.0, 10.0, 6.0, 1.0])
    assert load_nifti(saved(tmp_path / "b.nii", slab, slab)).shape == (20, 24, 10)


def test_axes_in_one_plane_are_refused(tmp_path):
    affine = HEAD.copy()
    affine[:3, 1] = [10, 0.001, 0]
    image = nib.Nifti1Image(VALUES, affine)
    image.set_sform(affine, code=1)
    image.set_qform(None, code=0)
    nib.save(image, tmp_path / "a.nii")
    with pytest.raises(BadDataError, match="impossible position"):
        load_nifti(tmp_path / "a.nii")


def test_every_real_image_passes(bids_real):
    from ctwml_bids.preprocessing.header_checks import (
        check_extent,
        check_handedness,
        check_spacing,
        orientation_warnings,
    )

    paths = sorted(bids_real.glob("sub-*/**/*.nii.gz"))
    assert paths
    for path in paths:
        image = nib.load(path)
        check_spacing(path, image)
        check_handedness(path, image)
        check_extent(path, image)
        assert orientation_warnings(path, image) == ()
