from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.errors import CannotCreateError
from ctwml_bids.simulation.cohort import plan_cohort, write_cohort


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "bids"
    write_cohort(out, 1, 7, size="small")
    return out


def test_the_paper_sized_cohort_has_its_groups_and_flair_types():
    people = plan_cohort(147, 1)
    grades = np.array([person.fazekas for person in people])
    assert [(grades <= 1).sum(), (grades == 2).sum(), (grades == 3).sum()] == [50, 48, 49]
    assert sum(person.sagittal for person in people) == 13
    assert len({person.seed for person in people}) == 147
    assert people == plan_cohort(147, 1)
    assert people != plan_cohort(147, 2)


def test_bids_validator_accepts_data_and_truth(cohort):
    validator = Path(sys.executable).with_name("bids-validator-deno")
    if not validator.exists():
        pytest.skip("bids-validator-deno is not installed beside this Python")
    for folder in (cohort, cohort / "derivatives" / "simulation-truth"):
        done = subprocess.run(
            [validator, folder, "--json"], capture_output=True, text=True, check=False
        )
        issues = json.loads(done.stdout)["issues"]["issues"]
        assert [issue for issue in issues if issue["severity"] == "error"] == []


def test_truth_lies_on_the_grids_of_its_images(cohort):
    truth = cohort / "derivatives/simulation-truth/sub-01/anat"
    images = {
        "CT": nib.load(cohort / "sub-01/ct/sub-01_ct.nii.gz"),
        "FLAIR": nib.load(cohort / "sub-01/anat/sub-01_FLAIR.nii.gz"),
    }
    for space, image in images.items():
        for suffix in ("label-WML_mask", "label-ventricles_mask", "desc-brain_mask"):
            mask = nib.load(truth / f"sub-01_space-{space}_{suffix}.nii.gz")
            assert mask.shape == image.shape
            assert np.allclose(mask.affine, image.affine, atol=1e-5)


def test_rows_and_dates_are_there(cohort):
    header, row = (cohort / "participants.tsv").read_text().splitlines()
    assert header.split("\t")[:4] == ["participant_id", "age", "sex", "fazekas"]
    assert row.startswith("sub-01\t")
    scans = (cohort / "sub-01/sub-01_scans.tsv").read_text()
    assert "ct/sub-01_ct.nii.gz\t2" in scans
    assert "anat/sub-01_FLAIR.nii.gz\t2" in scans
    assert (cohort / ".bidsignore").read_text() == "**/ct\n"


def test_nothing_else_is_left_beside_the_data_set(cohort):
    assert [path.name for path in cohort.parent.iterdir()] == [cohort.name]


def test_a_folder_that_holds_something_is_never_written_into(tmp_path):
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(CannotCreateError, match="not an empty folder"):
        write_cohort(tmp_path, 1, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]
