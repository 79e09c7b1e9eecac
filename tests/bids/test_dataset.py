from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.bids import dataset, files, names
from ctwml_bids.errors import CannotCreateError, InvalidInputError

VALIDATOR = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent))


def described(output: Path) -> dict:
    return json.loads((output / "dataset_description.json").read_text())


def fill(output: Path, subject: str, session: str | None, raw_ct: str) -> None:
    """Every kind of output of one unit, with the names and writers of the package."""
    mask = nib.Nifti1Image(np.ones((8, 8, 8), np.uint8), np.diag([1.0, 1.0, 3.0, 1.0]))
    mask.header.set_xyzt_units("mm")
    unit = (subject, session)
    about = {"sources": [raw_ct], "space": "CT", "spatial_reference": raw_ct}
    for label in ("", "mine"):
        for kind in ("mask", "probseg", "std", "cv"):
            path = output / names.wml(*unit, space="CT", seen_in="ct", kind=kind, model_label=label)
            files.write_nifti(path, mask)
            extra = {"kind": "Lesion", "threshold": 0.25} if kind == "mask" else {}
            files.write_json(names.sidecar(path), dataset.map_sidecar(**about, **extra))
    for path in (
        names.brain_mask(*unit, space="CT"),
        names.brain_mask(*unit, space="CT", carried=True),
        names.ventricle_mask(*unit, space="CT"),
    ):
        files.write_nifti(output / path, mask)
        content = dataset.map_sidecar(**about, kind="Brain")
        files.write_json(names.sidecar(output / path), content)
    transform = output / names.xfm(*unit, source="CT", target="MNI152NLin2009aSym")
    files.write_text(transform, "#Insight Transform File V1.0\n")
    files.write_json(names.sidecar(transform), {"Sources": [raw_ct]})
    table = output / names.stats(*unit)
    files.write_tsv(table, [{"image": "ct", "volume_ml": 1.5}])
    files.write_json(names.sidecar(table), {"volume_ml": {"Units": "mL"}})
    preprocessed = names.derivative(*unit, suffix="ct", space="FLAIR", desc="preproc")
    files.write_nifti(output / preprocessed, mask)
    files.write_text(output / names.report(*unit), "<!DOCTYPE html>")
    files.write_json(output / names.status(*unit), {"state": "done"})


@pytest.mark.skipif(VALIDATOR is None, reason="bids-validator-deno is not installed")
def test_the_official_validator_accepts_what_is_written(raw, tmp_path, monkeypatch):
    output = tmp_path / "out"
    raw.text("participants.tsv", "participant_id\tage\nsub-01\t70\nsub-02\t71\nsub-03\t72\n")
    raw.json("participants.json", {"age": {"Description": "age", "Units": "year"}})
    fill(output, "01", None, "bids:raw:sub-01/ct/sub-01_ct.nii.gz")
    fill(output, "02", "a", "bids:raw:sub-02/ses-a/ct/sub-02_ses-a_ct.nii.gz")
    hashes = {"preprocessing": "0" * 64, "segmentation": "1" * 64}
    monkeypatch.setenv("CTWML_CONTAINER_TAG", "ctwml_bids:0.1.0")
    dataset.start_dataset(output, raw.root, hashes=hashes)
    run = subprocess.run(
        [VALIDATOR, str(output), "--format", "json"], capture_output=True, text=True, check=False
    )
    found = json.loads(run.stdout)["issues"]["issues"]
    assert [issue for issue in found if issue["severity"] == "error"] == []
    assert run.returncode == 0


def test_the_description_names_the_program_its_input_and_both_hashes(raw, tmp_path):
    output = tmp_path / "out"
    hashes = {"preprocessing": "p", "segmentation": "s"}
    dataset.start_dataset(output, raw.root, hashes=hashes)
    (entry,) = described(output)["GeneratedBy"]
    assert entry["Name"] == "ctwml_bids"
    assert entry["SettingsHash"] == {"Preprocessing": "p", "Segmentation": {"default": "s"}}
    assert "Container" not in entry
    assert described(output)["DatasetType"] == "derivative"
    assert described(output)["DatasetLinks"] == {"raw": "../raw"}


def test_another_model_is_recorded_beside_the_first(raw, tmp_path):
    for label, digest in (("", "s"), ("mine", "t"), ("", "u"), ("default", "v")):
        hashes = {"preprocessing": "p", "segmentation": digest}
        dataset.start_dataset(tmp_path / "out", raw.root, hashes=hashes, model_label=label)
    (entry,) = described(tmp_path / "out")["GeneratedBy"]
    assert entry["SettingsHash"]["Segmentation"] == {
        "default": "u",
        "desc-default": "v",
        "desc-mine": "t",
    }
    dataset.start_dataset(tmp_path / "out", raw.root)
    assert described(tmp_path / "out")["GeneratedBy"] == [entry]


def test_a_doi_is_a_better_link_than_a_path(raw, tmp_path):
    raw.json("dataset_description.json", {"Name": "n", "DatasetDOI": "doi:10.1/x"})
    dataset.start_dataset(tmp_path / "out", raw.root)
    assert described(tmp_path / "out")["DatasetLinks"] == {"raw": "doi:10.1/x"}


@pytest.mark.parametrize(
    ("environment", "container"),
    [
        ({"CTWML_CONTAINER_TAG": "a:1"}, {"Type": "docker", "Tag": "a:1"}),
        ({"APPTAINER_NAME": "a.sif"}, {"Type": "apptainer", "Tag": "a.sif"}),
        ({"APPTAINER_NAME": "a.sif", "CTWML_CONTAINER_TAG": "a:1"},
         {"Type": "apptainer", "Tag": "a:1"}),
        ({"APPTAINER_NAME": "a.sif", "CTWML_CONTAINER_URI": "a.sif@sha256:12"},
         {"Type": "apptainer", "Tag": "a.sif", "URI": "a.sif@sha256:12"}),
    ],
)  # fmt: skip
def test_a_container_is_recorded(raw, tmp_path, monkeypatch, environment, container):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    dataset.start_dataset(tmp_path / "out", raw.root)
    assert described(tmp_path / "out")["GeneratedBy"][0]["Container"] == container


def test_participants_with_results_are_carried_over_again_and_again(raw, tmp_path):
    raw.text("participants.tsv", "participant_id\tage\nsub-01\t70\nsub-02\t\nsub-03\t72\n")
    raw.json("participants.json", {"age": {"Units": "year"}})
    output = tmp_path / "out"
    (output / "sub-01").mkdir(parents=True)
    dataset.refresh_participants(output, raw.root)
    assert (output / "participants.tsv").read_text() == "participant_id\tage\nsub-01\t70\n"
    (output / "sub-02").mkdir()
    dataset.refresh_participants(output, raw.root)
    assert (output / "participants.tsv").read_text().endswith("sub-01\t70\nsub-02\tn/a\n")
    assert (output / "participants.json").is_file()


def test_an_input_without_participants_tsv_is_fine(raw, tmp_path):
    (tmp_path / "out" / "sub-01").mkdir(parents=True)
    dataset.refresh_participants(tmp_path / "out", raw.root)
    assert not (tmp_path / "out" / "participants.tsv").exists()


def test_output_equal_to_the_input_or_inside_it_is_refused(raw, tmp_path):
    (tmp_path / "link").symlink_to(raw.root)
    for output in (raw.root, tmp_path / "link", raw.root / "out", raw.root / "sub-01" / "anat"):
        with pytest.raises(InvalidInputError, match="derivatives"):
            dataset.check_output_dir(raw.root, output)
    assert not (raw.root / "out").exists()


def test_output_in_derivatives_or_elsewhere_is_made(raw, tmp_path):
    for output in (raw.root / "derivatives" / "x", tmp_path / "elsewhere"):
        dataset.check_output_dir(raw.root, output, create=False)
        assert not output.exists()
        dataset.check_output_dir(raw.root, output)
        assert list(output.iterdir()) == []


def test_the_data_set_of_another_program_is_not_overwritten(raw, tmp_path):
    other = tmp_path / "other"
    for content in ({"Name": "x", "GeneratedBy": [{"Name": "fmriprep"}]}, {"Name": "raw"}):
        files.write_json(other / "dataset_description.json", content)
        with pytest.raises(InvalidInputError, match="did not make"):
            dataset.check_output_dir(raw.root, other)
        with pytest.raises(InvalidInputError, match="did not make"):
            dataset.start_dataset(other, raw.root)
    dataset.start_dataset(tmp_path / "ours", raw.root)
    dataset.check_output_dir(raw.root, tmp_path / "ours")


def test_an_output_that_cannot_be_written_is_told(raw, tmp_path):
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CannotCreateError):
            dataset.check_output_dir(raw.root, output)


@pytest.mark.skipif(not Path("/proc/sys").is_dir(), reason="needs a folder nobody may write to")
def test_a_folder_that_refuses_files_cannot_be_used_even_by_root(raw):
    with pytest.raises(CannotCreateError):
        dataset.check_output_dir(raw.root, Path("/proc/sys"))


def test_a_map_in_image_space_needs_its_reference():
    with pytest.raises(ValueError, match="SpatialReference"):
        dataset.map_sidecar(sources=["bids::x"], space="CT")
    assert dataset.map_sidecar(sources=["bids::x"], threshold=0.25) == {
        "Sources": ["bids::x"],
        "Threshold": 0.25,
    }


def test_a_subject_that_the_input_table_forgot_gets_a_row(raw, tmp_path):
    (raw.root / "participants.tsv").write_text("participant_id\tage\nsub-01\t70\n")
    output = tmp_path / "out"
    for name in ("sub-01", "sub-02"):
        (output / name).mkdir(parents=True)
    dataset.refresh_participants(output, raw.root)
    text = (output / "participants.tsv").read_text()
    assert text == "participant_id\tage\nsub-01\t70\nsub-02\tn/a\n"
