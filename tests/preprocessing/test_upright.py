"""Heads whose header has them upside down, or back to front."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.preprocessing.ct_brain import ct_mask
from ctwml_bids.preprocessing.hounsfield import read_ct
from ctwml_bids.preprocessing.template_pose import template_brain
from ctwml_bids.preprocessing.upright import TURNS, UPRIGHT, way_up
from ctwml_bids.statistics.gates import scan

# The mirror images, which the brain's shape does not tell from the turns.
MIRROR = np.diag([-1.0, 1.0, 1.0])


def turned(mask, matrix, *, nod=0.0):
    """Change a mask's header only: a nod about x, then a turn."""
    a = np.radians(nod)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn = np.eye(4)
    turn[:3, :3] = matrix @ about_x
    return nib.Nifti1Image(np.asarray(mask.dataobj), turn @ mask.affine)


def status(found):
    return scan.way_up(**found, image="CT").status


@pytest.mark.parametrize("name", TURNS)
@pytest.mark.parametrize(("nod", "mirrored"), [(-20, False), (15, True)])
def test_the_templates_brain_is_found_as_it_lies(name, nod, mirrored):
    matrix = TURNS[name] @ (MIRROR if mirrored else np.eye(3))
    found = way_up(turned(template_brain(), matrix, nod=nod))
    assert status(found) == ("pass" if name == UPRIGHT else "fail")
    if name != UPRIGHT:
        assert found["turned"] == name


@pytest.mark.parametrize("name", [UPRIGHT, "upside down"])
@pytest.mark.parametrize("stem", ["sub-ll20_ses-2"])
def test_real_brains_of_flair_are_found_as_they_lie(bids_real, stem, name):
    subject, session = stem.split("_")
    folder = bids_real / "derivatives/reference" / subject / session / "anat"
    mask = nib.load(folder / f"{stem}_space-FLAIR_desc-brain_mask.nii.gz")
    found = way_up(turned(mask, TURNS[name]))
    assert status(found) == ("pass" if name == UPRIGHT else "fail")


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (np.s_[:, :, 25:], UPRIGHT),
        (np.s_[:, :, :70], UPRIGHT),
        (np.s_[:, :, 15:], "upside down"),
    ],
    ids=["no base", "no vertex", "no base, turned"],
)
def test_a_brain_that_is_cut_is_not_failed_for_it(part, name):
    brain = template_brain()
    cut = brain.slicer[part]
    assert (status(way_up(turned(cut, TURNS[name]))) == "fail") == (name != UPRIGHT)


@pytest.mark.parametrize("nod", [-25, 20, 30])
def test_half_a_nodding_brain_is_doubtful_and_not_failed(nod):
    half = template_brain().slicer[:, :, :45]
    assert status(way_up(turned(half, TURNS[UPRIGHT], nod=nod))) != "fail"


def test_a_real_ct_with_a_wrong_sign_of_its_z_axis_fails(real_brain, tmp_path):
    image, brain = real_brain("sub-dv01", 2.0)
    wrong = np.diag([1.0, 1.0, -1.0, 1.0]) @ image.affine
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), wrong), tmp_path / "a.nii")
    found = way_up(brain.mask)
    assert status(found) == "pass", found
    found = way_up(ct_mask(read_ct(tmp_path / "a.nii").image).mask)
    assert status(found) == "fail", found
