"""Bad input from a command line: what is said, the exit code, and that nothing is half-written."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.bids.status import UnitResult, read_status
from ctwml_bids.cli import main as app
from ctwml_bids.run import level
from tests.cli.conftest import write_image


@pytest.fixture
def run(dataset, models, tmp_path, capsys):
    """Run a command line; returns its exit code and everything that it said."""

    def run_app(*options, out=tmp_path / "out", work=tmp_path / "work"):
        fixed = ["-w", str(work), "--device", "cpu", "--model", *map(str, models)]
        code = app.main([str(dataset), str(out), "participant", *fixed, *map(str, options)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out + said.err

    return run_app


@pytest.fixture
def segmented(monkeypatch):
    """Labels of the units that came to their processing, which is not done here."""
    labels = []

    def process(units, *_):
        labels.extend(unit.label for unit in units)
        return [UnitResult(unit.label, "done") for unit in units]

    monkeypatch.setattr(level, "_run_units", process)
    return labels


@pytest.fixture
def untouched(dataset, tmp_path):
    """The run must leave no file behind, neither in the data set nor elsewhere."""

    def everything():
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}

    before = everything()
    yield
    assert everything() == before


def says(said: str, *parts: object) -> bool:
    return all(str(part) in said for part in parts)


def test_no_subject(run, dataset, untouched, tmp_path):
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    subjects = list(dataset.glob("sub-*"))
    for subject in subjects:
        subject.rename(hidden / subject.name)
    code, said = run()
    for subject in subjects:
        (hidden / subject.name).rename(subject)
    assert code == 16
    assert says(said, dataset, "has no subject", "folders named sub-<label>")


def test_an_unknown_label(run, untouched):
    code, said = run("--participant-label", "01", "9")
    assert code == 18
    assert says(said, "no subject 9", "there are 3: 01, 02, 03")


def test_an_unknown_session(run, untouched):
    code, said = run("--session-label", "b")
    assert code == 18
    assert says(said, "session b", "no sessions")


@pytest.mark.parametrize(
    ("content", "code", "told"),
    [
        ('{"ct": {"acquisition": "x"}, "flair": {"acquisition": "x"}}', 18,
         ("match no CT and no FLAIR", "--dry-run")),
        ('{"ct": {', 16, ("not JSON", "line 1")),
        ('{"ct": {"acq": "x"}}', 16, ("'acq' is not known", "acquisition")),
        ('{"ct": {"session": "ses-1"}}', 16, ('"ses-1" is not allowed', "without its prefix")),
    ],
    ids=["matches nothing", "not JSON", "unknown entity", "prefix"],
)  # fmt: skip
def test_a_filter(run, tmp_path, content, code, told):
    file = tmp_path / "filter.json"
    file.write_text(content)
    found, said = run("--bids-filter-file", file)
    assert found == code
    assert says(said, file, *told)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("inside", ["", "out", "sub-01", "sub-01/anat/out", "code/../out"])
def test_an_output_in_the_raw_data(run, dataset, untouched, inside):
    code, said = run(out=dataset / inside)
    assert code == 16
    assert says(said, "input data set", f"choose another folder, for instance {dataset}")


def test_an_output_in_derivatives_is_fine(run, dataset, segmented):
    code, _ = run(out=dataset / "derivatives/ctwml_bids")
    assert code == 0
    assert segmented == ["sub-01", "sub-02"]


@pytest.mark.parametrize("where", ["file", "file/out", "file/deep/out"])
def test_an_output_where_a_file_is_in_the_way(run, tmp_path, segmented, where):
    (tmp_path / "file").write_text("mine")
    code, said = run(out=tmp_path / where)
    assert code == 73
    assert says(said, f"{tmp_path / 'file'}: is a file", "choose another folder")
    assert (tmp_path / "file").read_text() == "mine"
    assert segmented == []
    assert not (tmp_path / "work").exists()


@pytest.mark.skipif(not Path("/proc/sys").is_dir(), reason="needs a folder nobody may write to")
def test_an_output_where_not_even_root_may_write(run, tmp_path, segmented):
    code, said = run(out=Path("/proc/sys/ctwml"))
    assert code == 73
    assert says(said, "/proc/sys/ctwml: the folder cannot be created", "choose another folder")
    assert segmented == []
    assert not (tmp_path / "work").exists()


def test_an_output_folder_whose_logs_cannot_be_written(run, tmp_path, segmented):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/logs").write_text("in the way")
    code, said = run()
    assert code == 73
    assert says(said, tmp_path / "out/logs", "choose another output folder")
    assert segmented == []
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["logs"]


def test_a_work_folder_that_cannot_be_made(run, tmp_path, segmented):
    (tmp_path / "file").write_text("mine")
    code, said = run(work=tmp_path / "file/work")
    assert code == 73
    assert says(said, tmp_path / "file/work", "name another with -w")
    assert segmented == []


def test_a_sidecar_that_is_not_json(run, dataset, tmp_path, segmented):
    sidecar = dataset / "sub-01/ct/sub-01_ct.json"
    sidecar.write_text("{not json")
    code, said = run()
    assert code == 1
    assert says(said, sidecar, "JSON", "correct or remove it", "1 done, 0 failed, 2 skipped")
    assert segmented == ["sub-02"]
    status = read_status(tmp_path / "out/logs/sub-01/status.json")
    assert (status.state, status.exit_code) == ("skipped", 65)
    assert not (tmp_path / "out/sub-01").exists()
    code, said = run("--participant-label", "01")
    assert code == 65
    assert says(said, sidecar)


def test_two_cts_between_which_the_rule_cannot_choose(run, dataset, tmp_path, segmented):
    folder = dataset / "sub-02/ct"
    for number in (1, 2):
        shutil.copy(folder / "sub-02_ct.nii.gz", folder / f"sub-02_run-{number}_ct.nii.gz")
    (folder / "sub-02_ct.nii.gz").unlink()
    code, said = run()
    assert code == 1
    assert segmented == ["sub-01"]
    files = ("sub-02_run-1_ct.nii.gz", "sub-02_run-2_ct.nii.gz")
    assert says(said, "cannot choose between the CT images", *files, '{"ct": {"run": "1"}}')
    assert not (tmp_path / "out/sub-02").exists()
    status = read_status(tmp_path / "out/logs/sub-02/status.json")
    assert (status.state, status.exit_code) == ("skipped", 65)
    code, said = run("--participant-label", "01", "02")
    assert code == 1
    code, said = run("--participant-label", "02")
    assert code == 65
    assert says(said, *files)
    (tmp_path / "filter.json").write_text('{"ct": {"run": "1"}}')
    assert run("--participant-label", "02", "--bids-filter-file", tmp_path / "filter.json")[0] == 0
    assert segmented == ["sub-01", "sub-01", "sub-02"]


def test_an_image_that_is_a_link_to_nothing(run, dataset, segmented):
    image = dataset / "sub-02/ct/sub-02_ct.nii.gz"
    image.unlink()
    image.symlink_to(dataset / ".git/annex/objects/not-here")
    code, said = run()
    assert code == 1
    assert segmented == ["sub-01"]
    assert says(said, image, "is a link to nothing", "datalad get")
    assert run("--participant-label", "02")[0] == 65


def test_a_session_with_only_one_of_the_pair(run, dataset, segmented):
    write_image(dataset / "sub-04/ses-a/ct/sub-04_ses-a_ct.nii.gz")
    write_image(dataset / "sub-04/ses-a/anat/sub-04_ses-a_FLAIR.nii.gz")
    write_image(dataset / "sub-04/ses-b/ct/sub-04_ses-b_ct.nii.gz")
    write_image(dataset / "sub-05/ses-a/anat/sub-05_ses-a_FLAIR.nii.gz")
    code, said = run("--participant-label", "04", "05")
    assert code == 0
    assert segmented == ["sub-04_ses-a", "sub-04_ses-b", "sub-05_ses-a"]
    assert says(said, "none: the CT is measured alone", "none: the FLAIR is measured alone")
    assert says(said, "no FLAIR in this session; those of others belong to their CTs")


def test_an_image_with_a_damaged_header_among_several(run, dataset, segmented):
    good = nib.Nifti1Image(np.ones((8, 8, 8), np.int16), np.eye(4))
    good.to_filename(dataset / "sub-02/ct/sub-02_run-1_ct.nii")
    damaged = bytearray(good.to_bytes())
    damaged[70:72] = np.int16(9999).tobytes()
    (dataset / "sub-02/ct/sub-02_run-2_ct.nii").write_bytes(damaged)
    (dataset / "sub-02/ct/sub-02_ct.nii.gz").unlink()
    code, said = run()
    assert code == 0
    assert segmented == ["sub-01", "sub-02"]
    assert says(said, "took sub-02/ct/sub-02_run-1_ct.nii", "not sub-02/ct/sub-02_run-2_ct.nii")


def test_a_full_disk_before_anything_is_segmented(run, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", str(tmp_path / "out/logs/status.tsv"))

    monkeypatch.setattr(level, "_run_units", full)
    code, said = run()
    assert code == 74
    assert says(said, "the disk is full", tmp_path / "out", "Make room", "run the same command")
    assert [path for path in (tmp_path / "out").rglob("*") if ".tmp" in path.name] == []
    assert json.loads((tmp_path / "out/dataset_description.json").read_text())


def test_a_group_without_finished_units_keeps_the_code_of_what_went_wrong(
    dataset, models, tmp_path, capsys, monkeypatch
):
    def process(units, *_):
        return [UnitResult(unit.label, "failed", "not in HU", exit_code=65) for unit in units]

    monkeypatch.setattr(level, "_run_units", process)
    folders = [str(dataset), str(tmp_path / "out"), "participant", "group"]
    fixed = ["-w", str(tmp_path / "work"), "--device", "cpu", "--model", *map(str, models)]
    assert app.main(folders + fixed) == 65
    assert "group: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("image", "unit"),
    [
        ("sub-AB-7/ct/sub-AB-7_ct.nii.gz", "sub-AB-7"),
        ("sub-AB_7/ct/sub-AB_7_ct.nii.gz", "sub-AB_7"),
        ("sub-01/ses-2020-01-05/ct/sub-01_ses-2020-01-05_ct.nii.gz", "sub-01_ses-2020-01-05"),
        ("sub-09/ct/sub-01_ct.nii.gz", "sub-09"),
        ("sub-09/ct/sub-09_ct_Tilt_1.nii.gz", "sub-09"),
    ],
)
def test_a_name_that_bids_forbids_is_in_the_table_and_in_the_exit_code(
    run, dataset, tmp_path, segmented, image, unit
):
    write_image(dataset / image)
    code, said = run()
    assert code == 1
    assert says(said, unit, "2 done, 0 failed, 2 skipped")
    assert segmented == ["sub-01", "sub-02"]
    with (tmp_path / "out/logs/status.tsv").open() as opened:
        rows = {row["unit"]: row for row in csv.DictReader(opened, delimiter="\t")}
    assert (rows[unit]["state"], rows[unit]["exit_code"]) == ("skipped", "65")
    named = image.split("/")[0 if unit.startswith("sub-AB") else 1]
    assert named in rows[unit]["reason"]
    assert str(dataset) not in rows[unit]["reason"]
    assert run("--participant-label", "02")[0] == 0


def test_only_subjects_whose_labels_bids_forbids(run, dataset, tmp_path, segmented):
    for number in (1, 2, 3):
        (dataset / f"sub-0{number}").rename(dataset / f"sub-0-{number}")
    code, said = run()
    assert code == 65
    assert says(said, "sub-0-1: its label", "sub-0-2: its label", "rename it")
    assert read_status(tmp_path / "out/logs/sub-0-1/status.json").state == "skipped"


def test_links_in_circles_and_names_that_are_no_text(run, dataset, untouched):
    for number in (1, 2):
        (dataset / f"sub-01/ct/loop{number}").symlink_to("../..")
        (dataset / f"loop{number}").symlink_to(".")
    odd = os.fsencode(dataset) + b"/sub-02/ct/sub-02_\xff.txt"
    open(odd, "w").close()
    os.mkdir(os.fsencode(dataset) + b"/sub-\xff")
    code, said = run("--dry-run")
    for number in (1, 2):
        (dataset / f"sub-01/ct/loop{number}").unlink()
        (dataset / f"loop{number}").unlink()
    os.unlink(odd)
    assert code == 0
    assert says(said, "2 to run, 0 done, 2 skipped", "sub-\\xff: skipped")
