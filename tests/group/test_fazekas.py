"""Visual ratings, thresholds fitted to them, and what is said where they are missing."""

from __future__ import annotations

import json

import pytest

from ctwml_bids.bids.files import write_json
from ctwml_bids.statistics.fazekas import Thresholds
from ctwml_bids.statistics.thresholds import ThresholdSet, read_thresholds
from tests.group.cohorts import add_people, add_unit, big_cohort, estimates, page_of, run, table


def test_thresholds_are_saved_with_their_provenance_and_read_back(whole):
    path = whole / "group/fazekas_thresholds.json"
    found = read_thresholds(str(path))
    assert set(found.thresholds) == {"ct", "flair"}
    assert "60 units of 60 subjects" in found.cohort
    assert "participants.tsv, column fazekas" in found.cohort
    assert found.models == {"ct": "ct-a", "flair": "flair-a"}
    assert found.state("ct", 0.0)["group"] == "0-1"
    assert "Silverman" in json.loads(path.read_text())["Thresholds"]["ct"]["Fit"]


def test_without_ratings_the_page_says_how_to_give_them(cohort):
    add_people(cohort, [{"participant_id": "sub-01", "age": 70}])
    page = page_of(cohort)
    assert "participants.tsv has none with a column fazekas" in page
    assert "--fazekas-file" in page
    assert not (cohort / "group/fazekas_thresholds.json").exists()


def test_one_fazekas_group_only_gives_no_thresholds_and_says_so(tmp_path):
    for number in range(12):
        add_unit(tmp_path, f"{number:02d}", 1.0 + number, 2.0 + number)
    people = [{"participant_id": f"sub-{n:02d}", "fazekas": 2} for n in range(12)]
    add_people(tmp_path, people)
    assert "All 12 rated units are in Fazekas group 2" in page_of(tmp_path)
    assert not (tmp_path / "group/fazekas_thresholds.json").exists()


def test_fewer_than_ten_rated_units_give_no_thresholds_and_say_so(cohort):
    people = [
        {"participant_id": f"sub-0{n}", "fazekas": (0, 1, 2, 3, 3)[n - 1]} for n in range(1, 6)
    ]
    add_people(cohort, people)
    assert "5 subjects have a volume and a Fazekas rating" in page_of(cohort)
    assert float(estimates(cohort)["spearman_fazekas_ct"]["value"]) > 0.9


def test_old_thresholds_do_not_outlive_the_ratings(tmp_path):
    out = big_cohort(tmp_path, 12)
    run(out)
    assert (out / "group/fazekas_thresholds.json").is_file()
    (out / "participants.tsv").unlink()
    run(out)
    assert not (out / "group/fazekas_thresholds.json").exists()


def test_thresholds_of_another_cohort_are_judged_and_not_saved_as_ours(tmp_path):
    out = big_cohort(tmp_path, 30)
    theirs = ThresholdSet("x", "the cohort of Helsinki", {"ct": Thresholds(1e-6, 2e-6)})
    page = page_of(out, thresholds=theirs)
    assert "thresholds from the cohort of Helsinki" in page
    share = float(estimates(out)["fazekas_share_right_ct"]["value"])
    assert share == pytest.approx(10 / 30, abs=0.04)
    assert {row["fazekas_from_ct"] for row in table(out / "group/units.tsv")} <= {"3", "0-1"}
    assert not (out / "group/fazekas_thresholds.json").exists()


def test_thresholds_that_are_judged_stay_as_they_are_and_their_own_cohort_is_told(tmp_path):
    out = big_cohort(tmp_path, 30)
    write_json(out / "dataset_description.json", {"Name": "white matter lesions of Helsinki"})
    run(out)
    path = out / "group/fazekas_thresholds.json"
    before = path.read_bytes()
    page = page_of(out, thresholds=read_thresholds(str(path)))
    assert path.read_bytes() == before
    assert "fitted to a data set of the same name" in page
    other = ThresholdSet("x", "the cohort of Turku", {"ct": Thresholds(3.0, 9.0)})
    assert "of the same name" not in page_of(out, thresholds=other)
