from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids import templates
from ctwml_bids.errors import NoInputError
from ctwml_bids.preprocessing.grids import Grid, image_on


def write_template(home: Path, name: str, stems: list[str]) -> None:
    folder = home / f"tpl-{name}"
    folder.mkdir(parents=True)
    image = image_on(np.ones((4, 5, 6), np.float32), Grid((4, 5, 6), np.eye(4)))
    for stem in stems:
        nib.save(image, folder / f"tpl-{name}_{stem}.nii.gz")


WHOLE = ["res-01_T1w", "res-02_T1w", "res-01_desc-brain_T1w", "res-01_desc-brain_mask"]
WHOLE += ["res-01_label-GM_probseg", "res-01_label-WM_probseg", "res-02_desc-brain_mask"]


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(tmp_path / "templateflow"))
    return tmp_path / "templateflow"


def test_default_comes_from_the_package_without_templateflow(tmp_path):
    code = (
        "import sys; from ctwml_bids import templates; t = templates.get();"
        "assert t.t1w.is_file() and t.ventricles.is_file() and not t.notes;"
        "assert 'templateflow' not in sys.modules"
    )
    home = tmp_path / "untouched"
    env = {**os.environ, "TEMPLATEFLOW_HOME": str(home)}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)
    assert not home.exists()


def test_packaged_files_share_one_grid():
    default = templates.get("tpl-MNI152NLin2009aSym")
    paths = [default.t1w, default.brain_mask, default.gm, default.wm, default.ventricles]
    affines = [nib.load(path).affine for path in paths]
    assert all(np.array_equal(affine, affines[0]) for affine in affines)


def test_template_of_a_filled_home_is_found_by_resolution(home):
    write_template(home, "MNI152NLin2009cAsym", WHOLE)
    found = templates.get("MNI152NLin2009cAsym")
    assert found.t1w.name == "tpl-MNI152NLin2009cAsym_res-01_T1w.nii.gz"
    assert found.brain_mask.name == "tpl-MNI152NLin2009cAsym_res-01_desc-brain_mask.nii.gz"
    assert found.gm.name.endswith("res-01_label-GM_probseg.nii.gz")
    assert found.ventricles is None
    (note,) = found.notes
    assert "looked up in MNI152NLin2009aSym" in note
    coarse = templates.get("MNI152NLin2009cAsym", resolution=2)
    assert coarse.t1w.name == "tpl-MNI152NLin2009cAsym_res-02_T1w.nii.gz"
    assert coarse.gm is None


def test_cohort_can_follow_the_name(home):
    stems = [f"cohort-{c}_res-1_{s}" for c in (1, 2) for s in ("T1w", "desc-brain_mask")]
    write_template(home, "MNIPediatricAsym", stems)
    found = templates.get("MNIPediatricAsym:cohort-2")
    assert found.name == "MNIPediatricAsym+2"
    assert "_cohort-2_" in found.t1w.name
    assert "not of the MNI152 family" in found.notes[1]


def test_missing_template_names_the_command_and_leaves_the_home_alone(home):
    with pytest.raises(NoInputError, match="MNI152NLin6Asym") as caught:
        templates.get("MNI152NLin6Asym")
    assert "api.get('MNI152NLin6Asym', resolution=1" in str(caught.value)
    assert f"TEMPLATEFLOW_HOME={home}" in str(caught.value)
    assert not home.exists()


def test_empty_files_of_the_clients_skeleton_count_as_missing(home):
    write_template(home, "MNI152NLin6Asym", ["res-01_T1w"])
    (home / "tpl-MNI152NLin6Asym/tpl-MNI152NLin6Asym_res-01_desc-brain_mask.nii.gz").touch()
    with pytest.raises(NoInputError, match="desc-brain_mask missing"):
        templates.get("MNI152NLin6Asym")
