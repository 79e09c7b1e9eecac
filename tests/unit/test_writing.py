from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.bids.outputs import read_notes
from ctwml_bids.errors import CannotCreateError
from ctwml_bids.unit.work_files import save_facts
from ctwml_bids.unit.writing import write_unit


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
    files = {f"ct_{name}": str(mask) for name in ("brain", "used_brain", "ventricles")}
    files |= {f"ct_in_ct_{name}": str(mask) for name in ("mask", "probability", "disagreement")}
    network = {"device": "cpu", "precision": "bfloat16", "islands_ml": 0.25, "fluid_ml": 1.5}
    files["ct_network_facts"] = save_facts(network, str(tmp_path / "work/network.json"))
    files["template_to_ct"] = str(tmp_path / "work/matrix.txt")
    context = {
        "bids_dir": str(tmp_path / "bids"),
        "output_dir": str(tmp_path / "out"),
        "subject": "01",
        "session": None,
        "model_label": "",
        "template": "MNI152NLin2009aSym",
        "models": {
            "ct": {
                "name": "m",
                "checksum": "0" * 64,
                "threshold": 0.5,
                "island_share": 0.35,
                "members": [{"file": "member-00.safetensors", "sha256": "1" * 64}],
            }
        },
        "normalisation": "nine",
        "seed": 1,
        "device": "cpu",
        "notes": [],
        "versions": {},
        "hashes": {},
    }
    measures = {"qc": "pass", "gates": [], "facts": {}, "rows": [], "lesions": []}
    return {
        "files": files,
        "raw": {"ct": str(raw)},
        "context": context,
        "measures": measures,
        "report": str(report),
    }


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
    unit["context"]["models"]["ct"]["island_share"] = None
    network = {"device": "cpu", "precision": "bfloat16", "islands_ml": None, "fluid_ml": 0.0}
    save_facts(network, unit["files"]["ct_network_facts"])
    write_unit(**unit)
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
