"""A CT alone, a FLAIR alone, and a CT whose FLAIR is broken, through the whole program."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.cli.main import main
from ctwml_bids.preprocessing.normalisation import rounded
from ctwml_bids.segmentation import model_store
from tests import quick_models
from tests.small_disk import run_on_small_disk
from tests.workflows.conftest import ALONE as RAW

TEMPLATE = "MNI152NLin2009aSym"
# The FLAIR is alone in a session.
UNITS = {"ct": "sub-ct", "flair": "sub-flair_ses-a"}


def start(alone_dir: Path, output: Path, *more: str) -> int:
    fixed = ("-w", str(output.with_name("work")), "--omp-nthreads", "1", "--random-seed", "7")
    quick = quick_models.options(output.with_name("models"), "ct", "flair")
    return main([str(alone_dir), str(output), "participant", *more, *fixed, *quick])


def folder_of(output: Path, label: str) -> Path:
    return output / label.replace("_", "/") / "anat"


def status_of(output: Path, label: str) -> dict:
    return json.loads((output / "logs" / label / "status.json").read_text())


@pytest.fixture
def finished(alone_run) -> tuple[Path, int]:
    """The output folder of the two images that are alone, and the exit code."""
    return alone_run.output_dir, alone_run.code


def test_a_ct_alone_and_a_flair_alone_finish_with_exit_code_0(finished):
    output, code = finished
    assert code == 0
    for label in UNITS.values():
        status = status_of(output, label)
        assert (status["state"], status["exit_code"], status["reason"]) == ("done", 0, "")
        assert status["quality"] in ("pass", "warn")


@pytest.mark.parametrize("seen", ["ct", "flair"])
def test_an_image_alone_gets_its_own_files_and_none_of_a_pair(finished, seen):
    output, _ = finished
    label, space = UNITS[seen], seen.upper()
    images = [f"space-{space}_desc-brain_mask", f"space-{space}_label-ventricles_desc-{seen}_mask"]
    # The model of the CT alone knows infarcts.
    for label_of in ("WML", "infarct") if seen == "ct" else ("WML",):
        name = f"label-{label_of}_desc-{seen}"
        images += [f"space-{space}_{name}{kind}" for kind in ("_mask", "_probseg", "std_probseg")]
        images += [f"space-{TEMPLATE}_{name}_{kind}" for kind in ("mask", "probseg")]
    transforms = [f"from-{space}_to-{TEMPLATE}", f"from-{TEMPLATE}_to-{space}"]
    transforms = [f"{name}_mode-image_xfm" for name in transforms]
    tables = ["desc-wml_stats", "desc-wmllesions_stats"]
    expected = {f"{label}_{name}.nii.gz" for name in images}
    expected |= {f"{label}_{name}.txt" for name in transforms}
    expected |= {f"{label}_{name}.tsv" for name in tables}
    expected |= {f"{label}_{name}.json" for name in (*images, *transforms, *tables)}
    origin = {f"{label}_desc-acquisition_stats.{kind}" for kind in ("tsv", "json")}
    anat = folder_of(output, label)
    written = [path for path in (output / f"sub-{seen}").rglob("*") if path.is_file()]
    assert {path.name for path in written if path.parent == anat} == expected | origin
    picture = anat.with_name("figures") / f"{label}_example.png"
    assert [path for path in written if path.parent != anat] == [picture]
    expected |= {picture.name}
    outputs = status_of(output, label)["outputs"]
    assert {Path(name).name for name in outputs} == {*expected, f"{label}.html"}


@pytest.mark.parametrize("seen", ["ct", "flair"])
def test_the_table_of_an_image_alone_has_its_row_and_no_pair(finished, alone_dir, seen):
    output, _ = finished
    label, space = UNITS[seen], seen.upper()
    anat = folder_of(output, label)
    with (anat / f"{label}_desc-wml_stats.tsv").open() as stream:
        (row,) = csv.DictReader(stream, delimiter="\t")
    assert row["image"] == seen
    assert {row[name] for name in ("dice", "true_positive_ml", "h95_mm", "lesion_f1")} == {"n/a"}
    raw = nib.load(alone_dir / RAW[seen])
    brain = nib.load(anat / f"{label}_space-{space}_desc-brain_mask.nii.gz")
    lesions = nib.load(anat / f"{label}_space-{space}_label-WML_desc-{seen}_mask.nii.gz")
    for mask, column in ((brain, "brain_ml"), (lesions, "wml_ml")):
        assert mask.shape == raw.shape
        np.testing.assert_allclose(mask.affine, raw.affine, atol=1e-4)
        counted = np.count_nonzero(np.asarray(mask.dataobj)) * abs(np.linalg.det(raw.affine)) / 1000
        assert float(row[column]) == pytest.approx(counted, rel=1e-5, abs=1e-3)


@pytest.mark.parametrize("seen", ["ct", "flair"])
def test_the_brain_mask_of_an_image_alone_agrees_with_the_truth(finished, simulated, seen):
    output, _ = finished
    space = seen.upper()
    truth = simulated / "derivatives/simulation-truth/sub-01/anat"
    true = np.asarray(nib.load(truth / f"sub-01_space-{space}_desc-brain_mask.nii.gz").dataobj) > 0
    path = folder_of(output, UNITS[seen]) / f"{UNITS[seen]}_space-{space}_desc-brain_mask.nii.gz"
    found = np.asarray(nib.load(path).dataobj) > 0
    assert 2 * np.sum(true & found) / (np.sum(true) + np.sum(found)) > 0.92


@pytest.mark.parametrize(("seen", "other"), [("ct", "FLAIR"), ("flair", "CT")])
def test_the_report_of_an_image_alone_states_its_volume_and_says_nothing_of_the_other(
    finished, seen, other
):
    output, _ = finished
    label = UNITS[seen]
    report = (output / f"{label}.html").read_text()
    with (folder_of(output, label) / f"{label}_desc-wml_stats.tsv").open() as stream:
        (row,) = csv.DictReader(stream, delimiter="\t")
    assert f"{float(row['wml_ml']):.1f}" in report
    alts = re.findall(r'alt="([^"]*)"', report)
    assert alts
    assert not [alt for alt in alts if other in alt]


def test_the_report_shows_what_was_warned_of_when_the_image_was_read(finished):
    output, _ = finished
    report = (output / f"{UNITS['flair']}.html").read_text()
    assert re.search(r"FLAIR: [^<]*qform and sform, which both claim to be valid, differ", report)
    assert "qform and sform" not in (output / f"{UNITS['ct']}.html").read_text()


def test_the_group_of_images_that_are_alone_lists_them_and_compares_nothing(finished):
    output, _ = finished
    assert (output / "group.html").is_file()
    with (output / "group/units.tsv").open() as stream:
        units = {row["unit"]: row for row in csv.DictReader(stream, delimiter="\t")}
    assert set(units) == set(UNITS.values())
    assert all(row["in_agreement"].startswith("no") for row in units.values())
    assert units["sub-ct"]["flair_wml_ml"] == units[UNITS["flair"]]["ct_wml_ml"] == "n/a"


@pytest.fixture(scope="module")
def broken(alone_dir) -> tuple[Path, int]:
    """The output folder of the pairs with a broken FLAIR, and the exit code."""
    output = alone_dir.parent / "broken"
    return output, start(alone_dir, output, "--participant-label", "cut", "holes")


@pytest.mark.parametrize(
    ("label", "told"), [("cut", r"truncated"), ("holes", r"1 of \d+ voxels are NaN")]
)
def test_a_pair_with_a_broken_flair_fails_as_a_whole_and_names_the_flair(broken, label, told):
    output, code = broken
    assert code == 65
    status = status_of(output, f"sub-{label}")
    assert (status["state"], status["exit_code"]) == ("failed", 65)
    assert f"sub-{label}_FLAIR.nii.gz" in status["reason"]
    assert re.search(told, status["reason"]), status["reason"]
    assert not (output / f"sub-{label}").exists()
    assert "Not measured" in (output / f"sub-{label}.html").read_text()
    assert [path for path in output.rglob("*") if ".tmp" in path.name] == []


def test_the_ct_of_a_broken_flair_can_be_measured_alone_by_a_filter(alone_dir, broken, capsys):
    # As docs/refused.md says. What follows is the run of a CT alone, which is tested above.
    output, _ = broken
    filters = alone_dir.parent / "filter.json"
    filters.write_text('{"flair": {"acquisition": "none"}}')
    more = ("--participant-label", "cut", "--bids-filter-file", str(filters), "--dry-run")
    assert start(alone_dir, output, *more) == 0
    said = capsys.readouterr().out
    assert "sub-cut/ct/sub-cut_ct.nii.gz" in said
    assert "none, the filters left out 1: the CT is measured alone" in said


def test_a_disk_that_becomes_full_while_results_are_written_keeps_none_of_them(alone_run, tmp_path):
    output = tmp_path / "out"
    # In the work folder all steps but the last ones are done.
    bids_dir, _, level, _, *more = alone_run.arguments
    arguments = (bids_dir, output, level, *more, "--participant-label", "ct")
    code, said, left = run_on_small_disk(output, "1g", *arguments, label="sub-ct", spare_kb=300)
    assert code == 74, said
    assert "Traceback" not in said
    assert "the disk (or the quota) is full; make room and run again" in said
    files = {path.relative_to(left) for path in left.rglob("*") if path.is_file()}
    of_unit = {path for path in files if "sub-ct" in str(path) and path.parts[0] != "logs"}
    # None but the page that says how the unit failed, where there is room for it.
    assert of_unit <= {Path("sub-ct.html")}
    assert all("disk" in (left / path).read_text(encoding="utf-8") for path in of_unit)
    assert Path("dataset_description.json") in files
    assert not [path for path in files if ".tmp" in path.name]
    status = status_of(left, "sub-ct")
    assert (status["state"], status["exit_code"]) == ("failed", 74)
    assert "full" in status["reason"]


def test_the_python_snippet_of_the_docs_gives_the_map_that_the_program_writes(
    alone_run, monkeypatch
):
    page = Path(__file__).resolve().parents[2] / "docs/api.md"
    (snippet,) = re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.M | re.S)
    model = alone_run.output_dir.with_name("models") / "three"
    monkeypatch.setattr(model_store, "default", {"ct": model}.get)
    ct = alone_run.bids_dir / "sub-ct/ct/sub-ct_ct.nii.gz"
    found: dict = {}
    exec(snippet.replace("CT_FILE", str(ct)).replace("seed=1", "seed=7"), found)
    folder = folder_of(alone_run.output_dir, UNITS["ct"])
    written = nib.load(folder / "sub-ct_space-CT_label-WML_desc-ct_probseg.nii.gz")
    np.testing.assert_array_equal(rounded(found["probability"]), np.asarray(written.dataobj))
