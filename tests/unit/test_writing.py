from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.bids.outputs import read_notes
from ctwml_bids.bids.units import Unit
from ctwml_bids.errors import CannotCreateError
from ctwml_bids.unit.model_cards import register_cards
from ctwml_bids.unit.records import (
    Brain,
    Head,
    ImageFiles,
    Maps,
    Measures,
    Network,
    Read,
    Results,
)
from ctwml_bids.unit.work_files import save_facts
from ctwml_bids.unit.writing import write_unit
from tests.unit.facts import card, run_facts


@pytest.fixture
def unit(tmp_path):
    """A CT alone on its way into a derivative data set: the arguments of `write_unit`."""
    grid = np.diag([1.0, 1.0, 3.0, 1.0])
    raw = tmp_path / "bids/sub-01/ct/sub-01_ct.nii.gz"
    mask = tmp_path / "work/mask.nii"
    for path in (raw, mask):
        path.parent.mkdir(parents=True)
        nib.save(nib.Nifti1Image(np.ones((4, 4, 4), np.float32), grid), path)
    np.savetxt(tmp_path / "work/matrix.txt", np.eye(4))
    report = tmp_path / "work/report.html"
    report.write_text("<!DOCTYPE html>")
    matrix, image = str(tmp_path / "work/matrix.txt"), str(mask)
    nothing = save_facts({}, str(tmp_path / "work/nothing.json"))
    brain = Brain(image, image, nothing)
    head = Head(Read(str(raw), image, nothing), brain, brain, matrix, matrix, image, nothing)
    facts = {"device": "cpu", "precision": "bfloat16", "islands_ml": 0.25, "fluid_ml": 1.5}
    path = save_facts(facts, str(tmp_path / "work/network.json"))
    network = Network(image, image, matrix, path)
    files = ImageFiles(head, image, network, Maps(image, image, image))
    cards = {"ct": card("ct", island_share=0.35)}
    results = Results(Unit("01", None, raw, None), run_facts(tmp_path, cards=cards), {"ct": files})
    measures = Measures(rows=[], lesions=[], gates=[], qc="pass", facts={})
    return {"results": results, "measures": measures, "report": str(report)}


def written(tmp_path):
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    return sorted(path.name for path in files if "logs" not in path.parts)


def test_maps_say_what_was_left_out_outside_the_white_matter(unit, tmp_path):
    write_unit(**unit)
    anat = tmp_path / "out/sub-01/anat"
    for kind in ("mask", "probseg"):
        sidecar = json.loads((anat / f"sub-01_space-CT_label-WML_desc-ct_{kind}.json").read_text())
        assert (sidecar["WhiteMatterShare"], sidecar["LeftOutVolume"]) == (0.35, 0.25)
        assert sidecar["LeftOutFluidVolume"] == 1.5
    facts = {"device": "cpu", "precision": "bfloat16", "islands_ml": None, "fluid_ml": 0.0}
    results = unit["results"]
    save_facts(facts, results.images["ct"].network.facts)
    run = replace(results.run, cards={"ct": card("ct", island_share=None)})
    write_unit(**{**unit, "results": replace(results, run=run)})
    sidecar = json.loads((anat / "sub-01_space-CT_label-WML_desc-ct_mask.json").read_text())
    assert not {"WhiteMatterShare", "LeftOutVolume"} & sidecar.keys()


def test_all_files_of_a_unit_are_written_and_named(unit, tmp_path):
    names = write_unit(**unit)
    assert sorted(name.rpartition("/")[2] for name in names) == written(tmp_path)
    assert read_notes(tmp_path / "out/logs/sub-01/written.txt") == (sorted(names), True)
    assert "sub-01.html" in names
    assert "sub-01_desc-wml_stats.tsv" in written(tmp_path)


def test_maps_say_in_which_number_format_their_network_ran(unit, tmp_path):
    write_unit(**unit)
    name = "sub-01_space-CT_label-WML_desc-ct_probseg.json"
    assert json.loads((tmp_path / "out/sub-01/anat" / name).read_text())["Precision"] == "bfloat16"


def test_a_unit_that_cannot_be_written_whole_leaves_no_file(unit, tmp_path):
    (tmp_path / "out/sub-01.html").mkdir(parents=True)
    with pytest.raises(CannotCreateError, match=r"sub-01\.html"):
        write_unit(**unit)
    assert written(tmp_path) == []


def test_a_unit_that_cannot_be_written_again_keeps_the_files_of_before(unit, tmp_path):
    write_unit(**unit)
    before = written(tmp_path)
    (tmp_path / "out/sub-01.html").unlink()
    (tmp_path / "out/sub-01.html").mkdir()
    with pytest.raises(CannotCreateError):
        write_unit(**unit)
    assert written(tmp_path) == [name for name in before if name != "sub-01.html"]


def test_statistics_name_the_model_and_leave_its_card_to_the_file_of_all_units(unit, tmp_path):
    long = {"data": "heads", "members": ["x" * 50_000]}
    results = unit["results"]
    run = replace(results.run, cards={"ct": card("ct", training=long)})
    register_cards(run.output_dir, run.cards.values())
    write_unit(**{**unit, "results": replace(results, run=run)})
    path = tmp_path / "out/sub-01/anat/sub-01_desc-wml_stats.json"
    model = json.loads(path.read_text())["Models"]["ct"]
    assert (model["name"], model["threshold"]) == ("toy", 0.5)
    content = (tmp_path / "out" / model["card"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == model["card_sha256"]
    assert json.loads(content)["training"] == long
    assert path.stat().st_size < 15_000
