from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.errors import CannotCreateError
from ctwml_bids.simulation import rated
from ctwml_bids.simulation.cohort import write_cohort
from ctwml_bids.simulation.dataset import write_participant
from ctwml_bids.simulation.plan import GROUPS, plan_cohort
from ctwml_bids.simulation.rating import Rating

GRADES = [group.grades for group in GROUPS]


@pytest.fixture(scope="module")
def cohort(simulated) -> Path:
    return simulated


def test_the_paper_sized_cohort_has_its_groups_and_flair_types():
    people = plan_cohort(147, 1)
    sizes = {group: sum(person.grades == group for person in people) for group in GRADES}
    assert list(sizes.values()) == [50, 48, 49]
    assert sum(person.sagittal for person in people) == 13
    assert len({person.seed for person in people}) == 147
    assert people == plan_cohort(147, 1)
    assert people != plan_cohort(147, 2)


def test_ages_and_sexes_are_those_of_table_1():
    people = plan_cohort(147, 1)
    women = [
        sum(person.sex == "F" for person in people if person.grades == group) for group in GRADES
    ]
    assert women == [29, 27, 25]  # 58% of 50, 56% of 48, 51% of 49
    many = [person for seed in range(20) for person in plan_cohort(147, seed)]
    for group, mean, spread in zip(GRADES, (65.7, 73.4, 74.7), (11.5, 7.1, 7.2), strict=True):
        ages = np.array([person.age for person in many if person.grades == group])
        assert ages.mean() == pytest.approx(mean, abs=0.8)
        assert ages.std() == pytest.approx(spread, abs=0.6)
        assert ages.min() >= 40
        assert ages.max() <= 95


@pytest.mark.parametrize("participants", [1, 2, 3, 10, 40])
def test_smaller_cohorts_have_the_same_shares(participants):
    people = plan_cohort(participants, 3)
    assert len(people) == participants
    for group in GROUPS:
        count = sum(person.grades == group.grades for person in people)
        assert abs(count - group.size / 147 * participants) <= 1


@pytest.mark.parametrize("grades", GRADES)
def test_lesions_are_drawn_until_a_rater_gives_a_planned_grade(old_head, grades):
    one = rated.draw_rated_lesions(1, old_head[0], grades)
    assert one.as_planned
    assert one.rated.grade in grades
    assert abs(one.pattern.grade - one.rated.grade) <= 1
    facts = one.facts()
    assert facts["rater"]["fazekas"] == one.rated.grade
    assert {"lining_mm", "lined_share", "deep_mm"} == set(facts["measures"])
    assert json.loads(json.dumps(facts)) == facts


def test_the_nearest_is_kept_when_tries_run_out(old_head, monkeypatch):
    monkeypatch.setattr(rated, "TRIES", 3)
    grades = iter([0, 1, 1])
    monkeypatch.setattr(rated, "draw_rating", lambda rng, pattern: Rating(next(grades, 0), 0.0))
    one = rated.draw_rated_lesions(1, old_head[0], (3,))
    assert (one.tries, one.as_planned, one.rated.grade) == (3, False, 1)


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
        for suffix in (
            "label-WML_mask",
            "label-WML_desc-rater2_mask",
            "label-ventricles_mask",
            "desc-brain_mask",
        ):
            mask = nib.load(truth / f"sub-01_space-{space}_{suffix}.nii.gz")
            assert mask.shape == image.shape
            assert np.allclose(mask.affine, image.affine, atol=1e-5)


def test_rows_and_dates_are_there(cohort):
    header, row, _ = (cohort / "participants.tsv").read_text().splitlines()
    columns = ["participant_id", "age", "sex", "fazekas", "fazekas_second_rater", "lesion_ml"]
    assert header.split("\t") == columns
    described = json.loads((cohort / "participants.json").read_text())
    assert sorted(described) == sorted(columns[1:])
    assert row.startswith("sub-01\t")
    scans = (cohort / "sub-01/sub-01_scans.tsv").read_text()
    assert "ct/sub-01_ct.nii.gz\t2" in scans
    assert "anat/sub-01_FLAIR.nii.gz\t2" in scans
    assert (cohort / ".bidsignore").read_text() == "**/ct\n"


def test_rows_facts_and_plan_agree(cohort):
    person, _ = plan_cohort(2, 11)
    header, row, _ = (
        line.split("\t") for line in (cohort / "participants.tsv").read_text().splitlines()
    )
    row = dict(zip(header, row, strict=True))
    truth = cohort / "derivatives/simulation-truth/sub-01/anat"
    facts = json.loads((truth / "sub-01_facts.json").read_text())
    assert (float(row["age"]), row["sex"]) == (person.age, person.sex)
    assert int(row["fazekas"]) == facts["fazekas"] == facts["rating"]["rater"]["fazekas"]
    assert int(row["fazekas"]) in person.grades or not facts["rating"]["as_planned"]
    assert int(row["fazekas_second_rater"]) == facts["rating"]["second_rater"]["fazekas"]
    sidecar = json.loads((truth / "sub-01_space-CT_label-WML_desc-rater2_mask.json").read_text())
    assert "second" in sidecar["Description"]
    assert "cohort version 4" in (cohort / "README").read_text()


def test_a_participant_depends_on_nothing_but_the_plan(cohort, tmp_path):
    write_participant(tmp_path, plan_cohort(2, 11)[0], "small")
    written = [path for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    assert len(written) > 20
    for path in written:
        other = cohort / path.relative_to(tmp_path)
        if path.name.endswith(".nii.gz"):
            one, two = (np.asarray(nib.load(file).dataobj) for file in (path, other))
            assert np.array_equal(one, two), path.name
        else:
            assert path.read_bytes() == other.read_bytes(), path.name


def test_nothing_else_is_left_beside_the_data_set(cohort):
    assert [path.name for path in cohort.parent.iterdir()] == [cohort.name]


def test_a_folder_that_holds_something_is_never_written_into(tmp_path):
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(CannotCreateError, match="not an empty folder"):
        write_cohort(tmp_path, 1, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]
