"""What the wrappers decide themselves; the functions that they wrap have their own tests."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.bids import names
from ctwml_bids.interfaces.base import load_facts
from ctwml_bids.interfaces.outputs import WriteUnit
from ctwml_bids.interfaces.preprocessing import FramePair
from ctwml_bids.interfaces.segmentation import SegmentLesions
from ctwml_bids.interfaces.writing import _Writer
from ctwml_bids.preprocessing import normalisation


def ball(centre: int) -> nib.Nifti1Image:
    x, y, z = np.indices((20, 20, 20)) - centre
    return nib.Nifti1Image((x**2 + y**2 + z**2 < 36).astype(np.uint8), np.eye(4))


@pytest.fixture
def frame(tmp_path, monkeypatch):
    """Frame a CT in the mask of a FLAIR that lies 2 mm further along each axis."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(normalisation, "nine_parameter", lambda *masks, **_: np.diag([2, 2, 2, 1]))
    flair_to_ct = np.eye(4)
    flair_to_ct[:3, 3] = -2
    ball(8).to_filename("ct.nii")
    ball(10).to_filename("flair.nii")
    np.savetxt("flair_to_ct.txt", flair_to_ct)
    np.savetxt("template_to_flair.txt", np.eye(4))

    def run(*, verdict: str = "pass", flair_ml: float = 1300.0):
        for name, facts in (
            ("registration", {"verdict": verdict}),
            ("flair_mask", {"brain_ml": flair_ml}),
        ):
            (tmp_path / f"{name}.json").write_text(json.dumps(facts))
        found = FramePair(
            ct_mask=str(tmp_path / "ct.nii"),
            flair_mask=str(tmp_path / "flair.nii"),
            flair_to_ct=str(tmp_path / "flair_to_ct.txt"),
            registration_facts=str(tmp_path / "registration.json"),
            flair_mask_facts=str(tmp_path / "flair_mask.json"),
            template_to_flair=str(tmp_path / "template_to_flair.txt"),
            template_mask=str(tmp_path / "ct.nii"),
            seed=1,
        ).run(cwd=str(tmp_path))
        return found.outputs

    return run


def test_a_pairs_ct_has_the_flairs_mask_carried_to_it(frame):
    found = frame()
    np.testing.assert_array_equal(nib.load(found.mask).get_fdata(), ball(8).get_fdata())
    np.testing.assert_allclose(np.loadtxt(found.template_to_native)[:3, 3], -2)
    assert load_facts(found.facts)["mask_from"] == "FLAIR"


@pytest.mark.parametrize(
    ("odd", "reason"),
    [({"verdict": "fail"}, "the registration"), ({"flair_ml": 300.0}, "the FLAIR's brain mask")],
)
def test_the_cts_own_mask_takes_over_after_a_failed_gate(frame, odd, reason):
    found = frame(**odd)
    np.testing.assert_allclose(np.loadtxt(found.template_to_native), np.diag([2, 2, 2, 1]))
    facts = load_facts(found.facts)
    assert facts["mask_from"] == "CT"
    assert reason in facts["mask_reason"]


@pytest.mark.parametrize("mask_from", ["FLAIR", "CT"])
def test_a_mask_is_called_carried_only_where_it_was(tmp_path, mask_from):
    for image in ("ct", "flair"):
        ball(10).to_filename(tmp_path / f"{image}.nii")
    (tmp_path / "frame.json").write_text(json.dumps({"mask_from": mask_from}))
    raw = {image: str(tmp_path / f"{image}.nii") for image in ("ct", "flair")}
    ball(9).to_filename(tmp_path / "used.nii")
    files = {
        "ct_brain": raw["ct"],
        "ct_used_brain": str(tmp_path / "used.nii"),
        "frame_facts": str(tmp_path / "frame.json"),
    }
    context = {
        "bids_dir": str(tmp_path),
        "output_dir": str(tmp_path / "out"),
        "subject": "01",
        "session": None,
        "model_label": "",
    }
    _Writer(raw, context).brain_masks(files, "ct")
    carried = tmp_path / "out" / names.brain_mask("01", None, space="CT", carried=True)
    assert carried.exists() == (mask_from == "FLAIR")


def test_other_weights_in_the_same_folder_are_another_input(tmp_path):
    hashes = {
        SegmentLesions(model=str(tmp_path), checksum=checksum).inputs.get_hashval("content")[1]
        for checksum in ("a", "b")
    }
    assert len(hashes) == 2


def test_results_are_written_also_when_the_work_folder_says_they_were():
    assert WriteUnit().always_run
