"""What the wrappers decide themselves; the functions that they wrap have their own tests."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.bids import names
from ctwml_bids.bids.units import Unit
from ctwml_bids.interfaces.alignment import FramePair, NormaliseNineParameter
from ctwml_bids.interfaces.preprocessing import FindVentricles
from ctwml_bids.interfaces.results import WriteUnit
from ctwml_bids.interfaces.segmentation import SegmentLesions, ToNative
from ctwml_bids.preprocessing import nine_parameters, normalisation
from ctwml_bids.segmentation import ensemble
from ctwml_bids.segmentation.model_card import Member
from ctwml_bids.segmentation.model_store import default, load_card
from ctwml_bids.templates import packaged
from ctwml_bids.unit import modalities
from ctwml_bids.unit.measuring import measure_unit
from ctwml_bids.unit.records import (
    Brain,
    Head,
    ImageFiles,
    InfarctMaps,
    InfarctNetwork,
    Maps,
    Network,
    PairFiles,
    Read,
    Registration,
    Results,
    TemplateFiles,
)
from ctwml_bids.unit.work_files import load_facts, save_facts
from ctwml_bids.unit.writing import _Writer
from model_making.shipped_heads import shipped_grid, white_matter
from tests.unit.facts import card, guide_files, run_facts


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
    monkeypatch.setattr(nine_parameters, "nine_parameter", centre_on_centre)
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

        def at(name: str) -> str:
            return str(tmp_path / name)

        facts = at("registration.json")
        flair = Brain(at("flair.nii"), at("flair.nii"), at("flair_mask.json"))
        found = FramePair(
            read=Read(at("hu.nii"), at("hu.nii"), facts),
            brain=Brain(at("ct.nii"), at("ct.nii"), at("ct_mask.json")),
            flair=Head(
                read=Read(flair.mask, flair.mask, facts),
                own=flair,
                brain=flair,
                template_to_native=at("template_to_flair.txt"),
                guide_to_native=at("guide_to_flair.txt"),
                template_brain=flair.mask,
                fit=facts,
            ),
            registration=Registration(at("flair_to_ct.txt"), at("flair_to_ct.txt"), facts),
            template=TemplateFiles(at("ct.nii"), at("ct.nii")),
            guide=guide_files(brain_mask=at("guide.nii")),
            seed=1,
        ).run(cwd=str(tmp_path))
        return found.outputs.found

    return run


def test_a_pairs_ct_has_the_flairs_mask_carried_to_it(frame):
    found = frame()
    np.testing.assert_array_equal(nib.load(found.brain.mask).get_fdata(), ball(8).get_fdata())
    np.testing.assert_allclose(np.loadtxt(found.template_to_native)[:3, 3], -2)
    guide_to_ct = [[3, 0, 0, -2], [0, 3, 0, -2], [0, 0, 3, -2], [0, 0, 0, 1]]
    np.testing.assert_allclose(np.loadtxt(found.guide_to_native), guide_to_ct)
    assert load_facts(found.brain.facts)["mask_from"] == "FLAIR"


def test_what_lies_in_empty_slices_of_the_ct_is_not_carried_to_it(frame):
    found = frame(ct_empty={"axis": 2, "planes": [9, 10], "seen": [0, 19]})
    expected = ball(8).get_fdata()
    expected[:, :, 9:11] = 0
    np.testing.assert_array_equal(nib.load(found.brain.mask).get_fdata(), expected)
    np.testing.assert_array_equal(nib.load(found.brain.whole).get_fdata(), ball(8).get_fdata())


def test_bone_on_the_ct_is_taken_out_of_the_mask_that_was_carried(frame):
    found = frame(bone_above=12)
    expected = ball(8).get_fdata()
    removed = expected[:, :, 12:].sum()
    expected[:, :, 12:] = 0
    np.testing.assert_array_equal(nib.load(found.brain.mask).get_fdata(), expected)
    facts = load_facts(found.brain.facts)
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
    facts = load_facts(found.brain.facts)
    assert facts["mask_from"] == "CT"
    assert reason in facts["mask_reason"]


@pytest.mark.parametrize("template", [10, 7])
def test_the_guide_is_where_it_is_whichever_template_the_run_has(tmp_path, monkeypatch, template):
    monkeypatch.setattr(nine_parameters, "nine_parameter", centre_on_centre)
    paths = {}
    for name, centre in (("mask", 9), ("guide_mask", 10), ("template_mask", template)):
        paths[name] = str(tmp_path / f"ball{centre}.nii")
        ball(centre).to_filename(paths[name])
    mask, facts = paths["mask"], save_facts({}, str(tmp_path / "facts.json"))
    normalise = NormaliseNineParameter(
        read=Read(mask, mask, facts),
        brain=Brain(mask, mask, facts),
        template=TemplateFiles(paths["template_mask"], paths["template_mask"]),
        guide=guide_files(brain_mask=paths["guide_mask"]),
        seed=1,
    )
    found = normalise.run(cwd=str(tmp_path)).outputs.found
    np.testing.assert_allclose(np.loadtxt(found.guide_to_native)[:3, 3], -1)
    np.testing.assert_allclose(np.loadtxt(found.template_to_native)[:3, 3], 9 - template)


def head_at(folder: Path, mask: nib.Nifti1Image, **shifts_mm: float) -> Head:
    """Make a head whose image is its brain mask; shifts along x lead from template and guide."""
    path, nothing = str(folder / "brain.nii"), save_facts({}, str(folder / "nothing.json"))
    mask.to_filename(path)
    for name, x in shifts_mm.items():
        matrix = np.eye(4)
        matrix[0, 3] = x
        np.savetxt(folder / f"{name}.txt", matrix)
    return Head(
        read=Read(path, path, nothing),
        own=Brain(path, path, nothing),
        brain=Brain(path, path, nothing),
        template_to_native=str(folder / "template.txt"),
        guide_to_native=str(folder / "guide.txt"),
        template_brain=path,
        fit=save_facts({"dice": 0.95, "scales": [1.0, 1.0, 1.0]}, str(folder / "fit.json")),
    )


def test_left_and_right_are_parted_by_the_guides_midline(tmp_path):
    """The head lies across x = 9; the run's template has its origin somewhere else."""
    lesion = str(tmp_path / "lesion.nii")
    ball(5).to_filename(lesion)
    head = head_at(tmp_path, ball(9), template=100.0, guide=9.0)
    network = save_facts({"fluid_ml": 0.0}, str(tmp_path / "network.json"))
    contrast = {"grey_to_white": 1.1, "grey_to_darker_white": 1.2, "fluid_to_white": 0.4}
    flair = ImageFiles(
        head=head,
        ventricles=head.brain.mask,
        network=Network(lesion, lesion, head.template_to_native, network),
        lesions=Maps(lesion, lesion, lesion),
        contrast=save_facts(contrast, str(tmp_path / "contrast.json")),
    )
    unit = Unit("01", None, None, Path(head.read.raw))
    row = measure_unit(Results(unit, run_facts(tmp_path), {"flair": flair})).rows[0]
    lesions = np.asarray(ball(5).dataobj)
    assert row["left_ml"] == round(int(lesions[:9].sum()) / 1000, 4)
    assert row["right_ml"] == round(int(lesions[9:].sum()) / 1000, 4) > 0


@pytest.mark.parametrize("modality", ["ct", "flair"])
def test_ventricles_are_looked_up_in_the_guide(tmp_path, monkeypatch, modality):
    seen = {}

    def find(image, mask, guide_to_native, guide_ventricles):
        seen["x"] = guide_to_native[0, 3]
        return mask

    functions = replace(modalities.FUNCTIONS[modality], find_ventricles=find)
    monkeypatch.setitem(modalities.FUNCTIONS, modality, functions)
    head = head_at(tmp_path, ball(9), template=100.0, guide=9.0)
    step = FindVentricles(head=head, modality=modality, guide=guide_files())
    step.run(cwd=str(tmp_path))
    assert seen["x"] == 9.0


@pytest.mark.parametrize(("seen", "shift"), [("ct", -3), ("flair", 3)])
def test_maps_on_the_pairs_other_image_went_through_the_registration(tmp_path, seen, shift):
    """The CT's points lie 3 mm further along x than the FLAIR's."""
    there, path, facts = np.eye(4), str(tmp_path / "map.nii"), str(tmp_path / "facts.json")
    there[0, 3] = 3
    for name, matrix in (("way", there), ("back", np.linalg.inv(there)), ("none", np.eye(4))):
        np.savetxt(tmp_path / f"{name}.txt", matrix)
    way, back, none = (str(tmp_path / f"{name}.txt") for name in ("way", "back", "none"))
    nib.Nifti1Image(np.asarray(ball(10).dataobj, np.float32), np.eye(4)).to_filename(path)
    save_facts({}, facts)
    found = ToNative(
        network=Network(path, path, none, facts),
        native=path,
        registration=Registration(way, back, facts),
        seen=seen,
        threshold=0.5,
    ).run(cwd=str(tmp_path))
    mask = np.asarray(nib.load(found.outputs.found.mask).dataobj)
    np.testing.assert_array_equal(mask, np.roll(np.asarray(ball(10).dataobj), shift, axis=0))


def test_infarcts_go_the_same_way_and_take_their_voxels_from_wml(tmp_path):
    """Two balls that overlap, 3 mm further along x on the CT than on the FLAIR."""
    there, facts = np.eye(4), save_facts({}, str(tmp_path / "facts.json"))
    there[0, 3] = 3
    for name, matrix in (("way", there), ("back", np.linalg.inv(there)), ("none", np.eye(4))):
        np.savetxt(tmp_path / f"{name}.txt", matrix)
    way, back, none = (str(tmp_path / f"{name}.txt") for name in ("way", "back", "none"))
    wml = 0.6 * np.asarray(ball(10).dataobj, np.float32)
    infarct = 0.4 * np.roll(np.asarray(ball(10).dataobj, np.float32), 3, axis=0)
    paths = []
    for name, array in (("wml", wml), ("infarct", infarct)):
        paths.append(str(tmp_path / f"{name}.nii"))
        nib.Nifti1Image(array, np.eye(4)).to_filename(paths[-1])
    network = Network(paths[0], paths[0], none, facts, InfarctNetwork(paths[1], paths[1]))
    found = ToNative(
        network=network,
        native=paths[0],
        registration=Registration(way, back, facts),
        seen="ct",
        threshold=0.5,
        infarct_threshold=0.2,
    ).run(cwd=str(tmp_path))
    maps = found.outputs.found
    assert isinstance(maps.infarct, InfarctMaps)
    masks = [np.asarray(nib.load(m).dataobj) > 0 for m in (maps.mask, maps.infarct.mask)]
    # 0.4 is twice the infarct's threshold, 0.6 is 1.2 times WML's.
    np.testing.assert_array_equal(masks[1], np.roll(infarct > 0, -3, axis=0))
    np.testing.assert_array_equal(masks[0], np.roll((wml > 0) & ~(infarct > 0), -3, axis=0))
    of = {"native": paths[0], "seen": "ct", "threshold": 0.5}
    two = ToNative(network=network._replace(infarct=None), **of)
    (tmp_path / "two").mkdir()
    assert two.run(cwd=str(tmp_path / "two")).outputs.found.infarct is None
    three = ToNative(network=network, **of)
    assert two.inputs.get_hashval("content")[1] != three.inputs.get_hashval("content")[1]


def test_a_record_is_another_input_where_one_of_its_files_changed(tmp_path):
    """Nipype looks into files of tuples alone."""
    step = FindVentricles(head=head_at(tmp_path, ball(9), template=0.0, guide=0.0))
    before = step.inputs.get_hashval("content")[1]
    np.savetxt(tmp_path / "guide.txt", np.diag([1, 1, 2, 1]))
    assert step.inputs.get_hashval("content")[1] != before


@pytest.mark.parametrize("mask_from", ["FLAIR", "CT"])
def test_a_mask_is_called_carried_only_where_it_was(tmp_path, mask_from):
    (tmp_path / "bids").mkdir()
    own = head_at(tmp_path / "bids", ball(10), template=0.0, guide=0.0)
    frame = save_facts({"mask_from": mask_from}, str(tmp_path / "frame.json"))
    used = str(tmp_path / "used.nii")
    ball(9).to_filename(used)
    head = own._replace(brain=Brain(used, used, frame))
    path, facts = own.read.raw, own.read.facts
    maps = Maps(path, path, path)
    matrix = own.template_to_native
    network = Network(path, path, matrix, facts)
    images = {
        name: ImageFiles(of, path, network, maps) for name, of in (("ct", head), ("flair", own))
    }
    pair = PairFiles(
        **images,
        registration=Registration(matrix, matrix, facts),
        ct_in_flair=maps,
        flair_in_ct=maps,
    )
    unit = Unit("01", None, Path(path), Path(path))
    writer = _Writer(Results(unit, run_facts(tmp_path), images, pair))
    writer.brain_masks("ct", head)
    carried = tmp_path / "out" / names.brain_mask("01", None, space="CT", carried=True)
    assert carried.exists() == (mask_from == "FLAIR")


def test_other_weights_in_the_same_folder_are_another_input(tmp_path):
    hashes = {
        SegmentLesions(
            model=str(tmp_path), card=card("ct", members=(Member("a.safetensors", checksum),))
        ).inputs.get_hashval("content")[1]
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
    template_brain = nib.load(guide.brain_mask)
    files = {}
    places = {"template_mask": shift, "mask": scale, "in_file": scale, "ventricles": scale}
    for name, affine in places.items():
        source = nib.load(guide.ventricles) if name == "ventricles" else template_brain
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
    shipped = replace(load_card(default("flair")), island_share=0.35, threshold=0.5)
    used = replace(shipped, **asked)
    nothing = save_facts({}, str(tmp_path / "nothing.json"))
    mask = files.pop("mask")
    brain = Brain(mask, mask, nothing)
    head = Head(
        read=Read(files["in_file"], files.pop("in_file"), nothing),
        own=brain,
        brain=brain,
        template_to_native=files.pop("template_to_native"),
        guide_to_native=files.pop("guide_to_native"),
        template_brain=mask,
        fit=nothing,
    )
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

    monkeypatch.setattr(ensemble, "load", lambda folder: ensemble.Ensemble(shipped, ()))
    monkeypatch.setattr(ensemble, "predict", predict)
    monkeypatch.chdir(tmp_path)
    found = SegmentLesions(
        head=head,
        ventricles=files["ventricles"],
        template=TemplateFiles(files["template_mask"], files["template_mask"]),
        guide=guide_files(),
        model=str(default("flair")),
        card=used,
        modality="flair",
    ).run()

    np.testing.assert_allclose(seen["white_matter"], white_matter(), atol=1e-3)
    facts = json.loads(Path(found.outputs.found.facts).read_text())
    assert facts["islands_ml"] == pytest.approx(islands * 3 * 1.2**3 / 1000, abs=1e-3)
    assert facts["fluid_ml"] == pytest.approx(in_fluid * 3 * 1.2**3 / 1000, abs=1e-3)
    assert facts["infarct_fluid_ml"] is None
    true = (
        normalisation.to_grid(nib.load(guide.ventricles), np.eye(4), shipped_grid(), fill=0.0)
        >= 0.5
    )
    assert 2 * (seen["fluid"] & true).sum() / (seen["fluid"].sum() + true.sum()) > 0.95


def test_results_are_written_also_when_the_work_folder_says_they_were():
    assert WriteUnit().always_run
