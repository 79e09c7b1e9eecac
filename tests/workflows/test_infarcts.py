"""A CT whose model tells infarcts from WML, to the group."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.cli.main import main
from ctwml_bids.segmentation import model_store
from tests.workflows.test_documented import undocumented

TEMPLATE = "MNI152NLin2009aSym"
SPACES = ("CT", TEMPLATE)
ANAT = "sub-ct/anat/sub-ct_"


@pytest.fixture
def run(alone_run):
    """The output folder, and the arguments that it was made with; the last one is the model."""
    assert alone_run.code == 0
    return alone_run.output_dir, alone_run.arguments


def array(output: Path, name: str) -> np.ndarray:
    return np.asarray(nib.load(output / f"{ANAT}{name}.nii.gz").dataobj)


def sidecar(output: Path, name: str) -> dict:
    return json.loads((output / f"{ANAT}{name}.json").read_text())


def rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8") as stream:
        found = list(csv.DictReader(stream, delimiter="\t"))
    return {next(iter(row.values())): row for row in found}


def test_maps_of_infarcts_are_written_for_the_image_whose_model_has_the_class(run):
    output, _ = run
    found = {path.name for path in (output / "sub-ct/anat").glob("*label-infarct*.nii.gz")}
    expected = {
        f"sub-ct_space-{space}_label-infarct_desc-ct{kind}.nii.gz"
        for space in SPACES
        for kind in ("_mask", "_probseg", *(["std_probseg"] if space != TEMPLATE else []))
    }
    assert found == expected
    written = json.loads((output / "logs/sub-ct/status.json").read_text())["outputs"]
    assert expected <= {Path(name).name for name in written}
    paths = [path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file()]
    assert undocumented(paths) == []


@pytest.mark.parametrize("space", SPACES)
def test_masks_follow_from_the_written_probabilities_and_share_no_voxel(run, space):
    output, arguments = run
    card = model_store.load_card(Path(arguments[-1]))
    wml, infarct = (
        array(output, f"space-{space}_label-{label}_desc-ct_probseg").astype(np.float64)
        for label in ("WML", "infarct")
    )
    is_wml, is_infarct = (
        array(output, f"space-{space}_label-{label}_desc-ct_mask") > 0
        for label in ("WML", "infarct")
    )
    assert not (is_wml & is_infarct).any()
    ratios = wml / card.threshold, infarct / card.infarct_threshold
    # Of the few voxels where both are alike rounding decides.
    clear = np.abs(ratios[0] - ratios[1]) > 1e-5
    marked = np.maximum(*ratios) > 1
    assert np.count_nonzero(marked & ~clear) < 0.01 * np.count_nonzero(marked)
    wins = ratios[0] > ratios[1]
    np.testing.assert_array_equal(is_wml[clear], ((ratios[0] > 1) & wins)[clear])
    np.testing.assert_array_equal(is_infarct[clear], ((ratios[1] > 1) & ~wins)[clear])
    assert is_wml.any()
    assert ((ratios[0] > 1) & is_infarct).any()


def test_volumes_are_those_of_each_mask(run):
    output, _ = run
    table = rows(output / f"{ANAT}desc-wml_stats.tsv")
    for label, column in (("WML", "wml_ml"), ("infarct", "infarct_ml")):
        mask = nib.load(output / f"{ANAT}space-CT_label-{label}_desc-ct_mask.nii.gz")
        voxel_ml = abs(np.linalg.det(mask.affine[:3, :3])) / 1000
        ml = np.count_nonzero(mask.dataobj) * voxel_ml
        assert float(table["ct"][column]) == pytest.approx(ml, abs=1e-3)
    ct = {name: float(table["ct"][name]) for name in ("wml_ml", "left_ml", "right_ml")}
    assert ct["left_ml"] + ct["right_ml"] == pytest.approx(ct["wml_ml"], abs=2e-3)
    listed = rows(output / f"{ANAT}desc-wmllesions_stats.tsv")
    assert listed
    assert "Infarct volume" in sidecar(output, "desc-wml_stats")["infarct_ml"]["Description"]


def test_sidecars_tell_model_threshold_and_both_probabilities(run):
    output, arguments = run
    card = model_store.load_card(Path(arguments[-1]))
    masks = {
        label: sidecar(output, f"space-CT_label-{label}_desc-ct_mask")
        for label in ("WML", "infarct")
    }
    assert masks["WML"]["Threshold"] == card.threshold
    assert masks["infarct"]["Threshold"] == card.infarct_threshold
    probabilities = [
        f"bids::{ANAT}space-CT_label-{label}_desc-ct_probseg.nii.gz" for label in ("infarct", "WML")
    ]
    for mask in masks.values():
        assert mask["Model"] == "ct-three"
        assert mask["Type"] == "Lesion"
        assert sorted(mask["Sources"][-2:]) == sorted(probabilities)
        for uri in mask["Sources"]:
            root = output if uri.startswith("bids::") else Path(arguments[0])
            assert (root / uri.split(":", 2)[2]).is_file()
    told = sidecar(output, "desc-wml_stats")
    network = told["Facts"]["ct"]["network"]
    assert masks["WML"]["LeftOutFluidVolume"] == network["fluid_ml"]
    assert masks["infarct"]["LeftOutFluidVolume"] == network["infarct_fluid_ml"]
    assert not {"LeftOutVolume", "WhiteMatterShare"} & masks["infarct"].keys()
    (gate,) = (g for g in told["QualityGates"] if g["name"] == "CT lesions in the ventricles")
    left_out = network["fluid_ml"] + network["infarct_fluid_ml"]
    assert f"{left_out:.1f} mL that the network marked on CT" in gate["message"]
    assert "Threshold" not in sidecar(output, "space-CT_label-infarct_desc-ct_probseg")


def test_the_gate_judges_infarcts_where_they_are_a_class(run):
    output, _ = run
    told = sidecar(output, "desc-wml_stats")
    gates = {gate["name"]: gate for gate in told["QualityGates"]}
    assert "CT large hypodensity" not in gates
    ml = float(rows(output / f"{ANAT}desc-wml_stats.tsv")["ct"]["infarct_ml"])
    unmarked = told["Facts"]["ct"]["quality"]["dark_unmarked_ml"]
    assert gates["CT infarcts"]["value"] == pytest.approx(ml + unmarked, abs=1e-3)


def test_the_report_shows_infarcts_and_is_written_again_alike(run):
    output, arguments = run
    page = (output / "sub-ct.html").read_text()
    assert "Infarcts on CT" in page
    assert "infarcts (orange, dash-dotted)" in page
    assert "they do not tell them from oedema" in page
    assert "those with an infarct probability above 0.4 as infarcts" in page
    assert main([*arguments, "--participant-label", "ct", "--reports-only"]) == 0

    def timeless(text: str) -> str:
        return re.sub(r"\d{4}-\d\d-\d\dT[0-9:+]+", "", text)

    assert timeless((output / "sub-ct.html").read_text()) == timeless(page)


def test_the_group_carries_infarcts(run):
    output, _ = run
    unit = rows(output / "group/units.tsv")["sub-ct"]
    own = rows(output / f"{ANAT}desc-wml_stats.tsv")["ct"]
    assert float(unit["ct_infarct_ml"]) == float(own["infarct_ml"]) > 0
    assert unit["flair_infarct_ml"] == "n/a"
    measures = (output / "group/measures.tsv").read_text()
    assert "ct_infarct_ml" in measures
    page = (output / "group.html").read_text()
    assert "Infarcts on CT (mL)" in page
