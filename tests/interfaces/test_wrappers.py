"""What the wrappers decide themselves; the functions that they wrap have their own tests."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.bids import names
from ctwml_bids.interfaces.alignment import FramePair, NormaliseNineParameter
from ctwml_bids.interfaces.base import load_facts, save_facts
from ctwml_bids.interfaces.measuring import measure_unit
from ctwml_bids.interfaces.outputs import WriteUnit
from ctwml_bids.interfaces.segmentation import SegmentLesions
from ctwml_bids.interfaces.writing import _Writer
from ctwml_bids.preprocessing import normalisation
from ctwml_bids.segmentation import ensemble
from ctwml_bids.segmentation.model_store import default, load_card
from ctwml_bids.segmentation.shipped_heads import shipped_grid, white_matter
from ctwml_bids.templates import packaged


def ball(centre: int) -> nib.Nifti1Image:
    x, y, z = np.indices((20, 20, 20)) - centre
    return nib.Nifti1Image((x**2 + y**2 + z**2 < 36).astype(np.uint8), np.eye(4))


def centre_on_centre(mask: nib.Nifti1Image, template_mask: nib.Nifti1Image, *, seed: int):
    """Stand in for `nine_parameter`: a shift that brings the template's centre to the mask's."""
    matrix = np.eye(4)
    matrix[:3, 3] = np.subtract(
        *(np.argwhere(np.asarray(image.dataobj)).mean(axis=0) for image in (mask, template_mask))
    )
    return matrix


@pytest.fixture
def frame(tmp_path, monkeypatch):
    """Frame a CT in the mask of a FLAIR that lies 2 mm further along each axis."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(normalisation, "nine_parameter", centre_on_centre)
    flair_to_ct = np.eye(4)
    flair_to_ct[:3, 3] = -2
    ball(8).to_filename("ct.nii")
    ball(10).to_filename("guide.nii")
    np.savetxt("flair_to_ct.txt", flair_to_ct)
    np.savetxt("template_to_flair.txt", np.eye(4))
    np.savetxt("guide_to_flair.txt", np.diag([3, 3, 3, 1]))

    def run(
        *,
        verdict: str = "pass",
        flair_ml: float = 1300.0,
        flair_slices: int = 20,
        bone_above: int = 20,
        ct_empty: dict | None = None,
    ):
        hu = np.full((20, 20, 20), 30.0, np.float32)
        hu[:, :, bone_above:] = 800
        nib.Nifti1Image(hu, np.eye(4)).to_filename("hu.nii")
        seen = ball(10).get_fdata(dtype=np.float32)[:, :, :flair_slices]
        nib.Nifti1Image(seen, np.eye(4)).to_filename("flair.nii")
        for name, facts in (
            ("registration", {"verdict": verdict}),
            ("flair_mask", {"brain_ml": flair_ml}),
            ("ct_mask", {"bone_threshold_hu": 140.0, "empty_slices": ct_empty}),
        ):
            (tmp_path / f"{name}.json").write_text(json.dumps(facts))
        found = FramePair(
            ct=str(tmp_path / "hu.nii"),
            ct_mask_facts=str(tmp_path / "ct_mask.json"),
            ct_mask=str(tmp_path / "ct.nii"),
            flair_mask=str(tmp_path / "flair.nii"),
            flair_to_ct=str(tmp_path / "flair_to_ct.txt"),
            registration_facts=str(tmp_path / "registration.json"),
            flair_mask_facts=str(tmp_path / "flair_mask.json"),
            template_to_flair=str(tmp_path / "template_to_flair.txt"),
            guide_to_flair=str(tmp_path / "guide_to_flair.txt"),
            template_mask=str(tmp_path / "ct.nii"),
            guide_mask=str(tmp_path / "guide.nii"),
            seed=1,
        ).run(cwd=str(tmp_path))
        return found.outputs

    return run


def test_a_pairs_ct_has_the_flairs_mask_carried_to_it(frame):
    found = frame()
    np.testing.assert_array_equal(nib.load(found.mask).get_fdata(), ball(8).get_fdata())
    np.testing.assert_allclose(np.loadtxt(found.template_to_native)[:3, 3], -2)
    guide_to_ct = [[3, 0, 0, -2], [0, 3, 0, -2], [0, 0, 3, -2], [0, 0, 0, 1]]
    np.testing.assert_allclose(np.loadtxt(found.guide_to_native), guide_to_ct)
    assert load_facts(found.facts)["mask_from"] == "FLAIR"


def test_what_lies_in_empty_slices_of_the_ct_is_not_carried_to_it(frame):
    found = frame(ct_empty={"axis": 2, "planes": [9, 10], "seen": [0, 19]})
    expected = ball(8).get_fdata()
    expected[:, :, 9:11] = 0
    np.testing.assert_array_equal(nib.load(found.mask).get_fdata(), expected)
    np.testing.assert_array_equal(nib.load(found.whole).get_fdata(), ball(8).get_fdata())


def test_bone_on_the_ct_is_taken_out_of_the_mask_that_was_carried(frame):
    found = frame(bone_above=12)
    expected = ball(8).get_fdata()
    removed = expected[:, :, 12:].sum()
    expected[:, :, 12:] = 0
    np.testing.assert_array_equal(nib.load(found.mask).get_fdata(), expected)
    facts = load_facts(found.facts)
    assert facts["removed_ml"] == pytest.approx(removed / 1000, abs=0.05)


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"verdict": "fail"}, "the registration"),
        ({"flair_ml": 300.0}, "the FLAIR's brain mask"),
        ({"flair_slices": 11}, "the FLAIR's brain mask"),
    ],
)
def test_the_cts_own_mask_takes_over_after_a_failed_gate(frame, odd, reason):
    found = frame(**odd)
    np.testing.assert_allclose(np.loadtxt(found.template_to_native), np.eye(4))
    np.testing.assert_allclose(np.loadtxt(found.guide_to_native)[:3, 3], -2)
    facts = load_facts(found.facts)
    assert facts["mask_from"] == "CT"
    assert reason in facts["mask_reason"]


@pytest.mark.parametrize("template", [10, 7])
def test_the_guide_is_where_it_is_whichever_template_the_run_has(tmp_path, monkeypatch, template):
    monkeypatch.setattr(normalisation, "nine_parameter", centre_on_centre)
    paths = {}
    for name, centre in (("mask", 9), ("guide_mask", 10), ("template_mask", template)):
        paths[name] = str(tmp_path / f"ball{centre}.nii")
        ball(centre).to_filename(paths[name])
    found = NormaliseNineParameter(**paths, seed=1).run(cwd=str(tmp_path)).outputs
    np.testing.assert_allclose(np.loadtxt(found.guide_to_native)[:3, 3], -1)
    np.testing.assert_allclose(np.loadtxt(found.template_to_native)[:3, 3], 9 - template)


def test_left_and_right_are_parted_by_the_guides_midline(tmp_path):
    """The head lies across x = 9; the run's template has its origin somewhere else."""
    files = {}
    for name, image in {
        "brain": ball(9),
        "used_brain": ball(9),
        "ventricles": ball(9),
        "in_flair_mask": ball(5),
        "in_flair_probability": ball(5),
    }.items():
        files[f"flair_{name}"] = str(tmp_path / f"{name}.nii")
        image.to_filename(files[f"flair_{name}"])
    for name, x in (("template", 100.0), ("guide", 9.0)):
        matrix = np.eye(4)
        matrix[0, 3] = x
        files[f"{name}_to_flair"] = str(tmp_path / f"{name}.txt")
        np.savetxt(files[f"{name}_to_flair"], matrix)
    for name, facts in {
        "facts": {},
        "brain_facts": {},
        "network_facts": {"fluid_ml": 0.0},
        "fit": {"dice": 0.95, "scales": [1.0, 1.0, 1.0]},
        "contrast": {
            "grey_to_white": 1.1,
            "grey_to_darker_white": 1.2,
            "fluid_to_white": 0.4,
        },
    }.items():
        files[f"flair_{name}"] = save_facts(facts, str(tmp_path / f"{name}.json"))
    context = {"thresholds": {"flair": 0.5}, "models": {"flair": {"name": "toy"}}}
    found = measure_unit(files, {"flair": files["flair_in_flair_mask"]}, context)
    lesions = np.asarray(ball(5).dataobj)
    assert found["rows"][0]["left_ml"] == round(int(lesions[:9].sum()) / 1000, 4)
    assert found["rows"][0]["right_ml"] == round(int(lesions[9:].sum()) / 1000, 4) > 0


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
        "template": "MNI152NLin2009aSym",
    }
    _Writer(files, raw, context).brain_masks("ct")
    carried = tmp_path / "out" / names.brain_mask("01", None, space="CT", carried=True)
    assert carried.exists() == (mask_from == "FLAIR")


def test_other_weights_in_the_same_folder_are_another_input(tmp_path):
    hashes = {
        SegmentLesions(model=str(tmp_path), checksum=checksum).inputs.get_hashval("content")[1]
        for checksum in ("a", "b")
    }
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("asked", "islands", "in_fluid"), [({}, 10, 7), ({"threshold": 0.25}, 15, 9)]
)
def test_what_is_left_out_is_found_in_the_frame_of_the_head_and_counted_in_its_millilitres(
    tmp_path, monkeypatch, asked, islands, in_fluid
):
    """The run's template is the packaged one with another origin, the head 1.2 times as large."""
    guide, shift, scale = packaged(), np.eye(4), np.diag([1.2, 1.2, 1.2, 1.0])
    shift[:3, 3] = 12, -35, 20
    brain = nib.load(guide.brain_mask)
    files = {}
    places = {"template_mask": shift, "mask": scale, "in_file": scale, "ventricles": scale}
    for name, affine in places.items():
        source = nib.load(guide.ventricles) if name == "ventricles" else brain
        image = nib.Nifti1Image(np.asarray(source.dataobj), affine @ source.affine)
        image.header.set_data_dtype(np.float32 if name == "in_file" else np.uint8)
        files[name] = str(tmp_path / f"{name}.nii")
        nib.save(image, files[name])
    for name, matrix in (
        ("template_to_native", scale @ np.linalg.inv(shift)),
        ("guide_to_native", scale),
    ):
        files[name] = str(tmp_path / f"{name}.txt")
        np.savetxt(files[name], matrix)
    card = replace(load_card(default("flair")), island_share=0.35, threshold=0.5)
    seen = {}

    def predict(model, channels, *, white_matter, fluid, **_):
        seen.update(white_matter=white_matter, fluid=fluid)
        # Regions of islands are judged by the threshold that the mask has.
        assert model.card.threshold == asked.get("threshold", 0.5)
        outside = np.zeros(channels.shape[1:], np.float32)
        ventricle = np.zeros_like(outside)
        # In the brain, and once more beyond it, where nothing counts.
        for y, z in (np.array(outside.shape[1:]) // 2, (0, 0)):
            x = outside.shape[0] // 2 - 12
            outside[x : x + 10, y, z], outside[x + 20 : x + 25, y, z] = 0.6, 0.4
            ventricle[x : x + 7, y, z], ventricle[x + 7 : x + 9, y, z] = 0.7, 0.3
        return ensemble.Prediction(outside, outside, outside, ventricle, "float32")

    monkeypatch.setattr(ensemble, "load", lambda folder: ensemble.Ensemble(card, ()))
    monkeypatch.setattr(ensemble, "predict", predict)
    monkeypatch.chdir(tmp_path)
    found = SegmentLesions(
        **files,
        whole=files["mask"],
        guide_wm=str(guide.wm),
        guide_ventricles=str(guide.ventricles),
        model=str(default("flair")),
        checksum=card.checksum,
        modality="flair",
        **asked,
    ).run()

    np.testing.assert_allclose(seen["white_matter"], white_matter(), atol=1e-3)
    facts = json.loads(Path(found.outputs.facts).read_text())
    assert facts["islands_ml"] == pytest.approx(islands * 3 * 1.2**3 / 1000, abs=1e-3)
    assert facts["fluid_ml"] == pytest.approx(in_fluid * 3 * 1.2**3 / 1000, abs=1e-3)
    true = (
        normalisation.to_grid(nib.load(guide.ventricles), np.eye(4), shipped_grid(), fill=0.0)
        >= 0.5
    )
    assert 2 * (seen["fluid"] & true).sum() / (seen["fluid"].sum() + true.sum()) > 0.95


def test_results_are_written_also_when_the_work_folder_says_they_were():
    assert WriteUnit().always_run
