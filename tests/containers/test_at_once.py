"""Runs at once on one output folder: nothing is lost, nothing mixed."""

from __future__ import annotations

import csv
import json

import nibabel as nib
import numpy as np

from tests.containers.conftest import finish, start_bare

SUBJECTS = [f"{number:02d}" for number in range(1, 9)]


def start(heads, room, subject, work):
    words = (heads, room / "at-once", "participant", "--participant-label", subject)
    return start_bare(*words, "-w", room / work, "--nprocs", "1", "--mem", "3G")


def table(path):
    with path.open(newline="") as opened:
        return list(csv.DictReader(opened, delimiter="\t"))


def test_eight_runs_write_eight_subjects_into_one_folder(heads, room):
    out = room / "at-once"
    runs = [start(heads, room, subject, f"work-{subject}") for subject in SUBJECTS]
    for run in runs:
        assert "1 done, 0 failed, 0 skipped" in finish(run)
    names = [f"sub-{subject}" for subject in SUBJECTS]
    assert {row["unit"]: row["state"] for row in table(out / "logs/status.tsv")} == dict.fromkeys(
        names, "done"
    )
    assert [row["participant_id"] for row in table(out / "participants.tsv")] == names
    assert json.loads((out / "dataset_description.json").read_text())["GeneratedBy"]
    files = {}
    for name in names:
        # Each head lies at another place: a map of another subject would show.
        place = nib.load(heads / f"{name}/anat/{name}_FLAIR.nii.gz").affine
        maps = sorted((out / name / "anat").glob("*_space-FLAIR_*.nii.gz"))
        assert len(maps) > 3
        for path in maps:
            np.testing.assert_allclose(nib.load(path).affine, place, err_msg=path.name)
        of_one = [str(path.relative_to(out)) for path in out.rglob("*") if name in str(path)]
        files[name] = sorted(file.replace(name, "sub-X") for file in of_one)
        recorded = json.loads((out / f"logs/{name}/status.json").read_text())["outputs"]
        assert all((out / file).is_file() and name in file for file in recorded)
    assert all(of_one == files["sub-01"] for of_one in files.values())
    assert not list(out.rglob("*.tmp*"))


def test_of_two_runs_of_one_subject_one_does_it_and_the_other_says_so(heads, room):
    out = room / "at-once"
    before = json.loads((out / "logs/sub-03/status.json").read_text()) if out.exists() else None
    (out / "logs/sub-03/status.json").unlink(missing_ok=True)
    runs = [start(heads, room, "03", work) for work in ("work-a", "work-b")]
    said = [run.communicate()[0] for run in runs]
    codes = sorted(run.returncode for run in runs)
    # The second is done if it came when the first had ended.
    assert codes in ([0, 0], [0, 75]), said
    assert sum("another process works on it" in text for text in said) == (codes[1] == 75)
    status = json.loads((out / "logs/sub-03/status.json").read_text())
    assert status["state"] == "done"
    assert before is None or status["outputs"] == before["outputs"]
    assert not list(out.rglob("*.tmp*"))
