"""Runs at once on one output folder: nothing is lost, nothing mixed."""

from __future__ import annotations

import csv
import json

import nibabel as nib
import numpy as np

from tests.containers.conftest import start_bare

SUBJECTS = [f"{number:02d}" for number in range(1, 9)]


def start(heads, quick, room, subject, work):
    words = (heads, room / "at-once", "participant", "--participant-label", subject, *quick)
    return start_bare(*words, "-w", room / work, "--nprocs", "1", "--mem", "3G")


def table(path):
    with path.open(newline="") as opened:
        return list(csv.DictReader(opened, delimiter="\t"))


def test_eight_runs_write_eight_subjects_into_one_folder_and_a_ninth_leaves_one_to_another(
    heads, quick, room
):
    out = room / "at-once"
    runs = [start(heads, quick, room, subject, f"work-{subject}") for subject in SUBJECTS]
    twice = SUBJECTS.index("03")
    runs.append(start(heads, quick, room, SUBJECTS[twice], "work-again"))
    ended = [(run.communicate()[0], run.returncode) for run in runs]
    # Of the two runs of one subject, whichever came first did it.
    (refusal, code), others = max(ended, key=lambda end: end[1]), sorted(ended)
    assert code == 75, refusal
    assert "another process works on it" in refusal
    assert (refusal, code) in (ended[twice], ended[-1])
    for said, code in others:
        assert code == 75 or (code == 0 and "1 done, 0 failed, 0 skipped" in said), said
    assert [code for _, code in ended].count(75) == 1
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
