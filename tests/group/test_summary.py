"""Results of a cohort are those of its units' tables."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.group.cohorts import (
    CT,
    DRAWN,
    FLAIR,
    add_people,
    add_unit,
    estimates,
    page_of,
    run,
    table,
)


def test_agreement_is_that_of_the_units_tables_in_flair_space(cohort):
    page = run(cohort)
    found = estimates(cohort)
    slope, intercept = np.polyfit(FLAIR, CT, 1)
    assert float(found["pairs"]["value"]) == 5
    assert float(found["pearson_r"]["value"]) == pytest.approx(np.corrcoef(FLAIR, CT)[0, 1], 1e-5)
    assert float(found["slope"]["value"]) == pytest.approx(slope, 1e-5)
    assert float(found["intercept"]["value"]) == pytest.approx(intercept, 1e-4)
    assert float(found["bias"]["value"]) == pytest.approx(np.mean(np.subtract(CT, FLAIR)), 1e-5)
    assert page == cohort / "group.html"


def test_ct_is_compared_by_its_volume_in_flair_space_not_in_its_own(cohort):
    add_unit(cohort, "01", CT[0], FLAIR[0], cells={"ct": {"wml_ml": 44.0}})
    run(cohort)
    (row,) = [row for row in table(cohort / "group/units.tsv") if row["unit"] == "sub-01"]
    assert (row["ct_wml_ml"], row["ct_in_flair_ml"]) == ("44", "2")
    assert float(estimates(cohort)["bias"]["value"]) == pytest.approx(-1.4)


def test_another_models_group_lies_beside_the_first(cohort):
    first = run(cohort)
    before = first.read_bytes(), (cohort / "group/units.tsv").read_bytes()
    add_unit(cohort, "01", 7.0, 5.0, label="other")
    other = run(cohort, model_label="other")
    assert other == cohort / "group_desc-other.html"
    (row,) = table(cohort / "group/desc-other/units.tsv")
    assert row["ct_wml_ml"] == "7"
    assert (first.read_bytes(), (cohort / "group/units.tsv").read_bytes()) == before


def test_everything_is_given_by_group_scanner_thickness_and_days(whole):
    for name in ("agreement", "measures", "confusion", "demographics"):
        parts = {(row["by"], row["stratum"]) for row in table(whole / f"group/{name}.tsv")}
        assert {("all", "all"), ("fazekas", "3"), ("ct_scanner", "GE Optima")} <= parts
        assert {("ct_slice_thickness", "over 4 mm"), ("days", "over 7 to 42 days")} <= parts
    scanners = {s: estimates(whole, "ct_scanner", s) for s in ("GE Optima", "Siemens Somatom")}
    assert sum(int(found["pairs"]["value"]) for found in scanners.values()) == 60
    assert all(0 < float(found["mean_dice"]["value"]) < 1 for found in scanners.values())


def test_measures_of_a_group_are_those_of_its_units(whole):
    rows = table(whole / "group/units.tsv")
    third = [float(row["h95_mm"]) for row in rows if row["fazekas_group"] == "3"]
    (found,) = [
        row
        for row in table(whole / "group/measures.tsv")
        if (row["by"], row["stratum"], row["measure"]) == ("fazekas", "3", "h95_mm")
    ]
    assert (int(found["count"]), float(found["mean"])) == (len(third), np.mean(third))


def test_table_1_has_all_and_each_group(whole):
    rows = table(whole / "group/demographics.tsv")
    assert [row["stratum"] for row in rows[:4]] == ["all", "0-1", "2", "3"]
    assert [row["subjects"] for row in rows[:4]] == ["60", "20", "20", "20"]
    ages = [float(row["age"]) for row in table(whole / "group/units.tsv")]
    assert float(rows[0]["age_mean"]) == pytest.approx(np.mean(ages), rel=1e-5)


def test_confusion_counts_sum_to_the_rated_units_and_give_the_share_right(whole):
    rows = [
        r for r in table(whole / "group/confusion.tsv") if (r["by"], r["image"]) == ("all", "ct")
    ]
    counts = np.array([[int(row[f"estimated_{g}"]) for g in ("0-1", "2", "3")] for row in rows])
    assert counts.sum() == 60
    share = float(estimates(whole)["fazekas_share_right_ct"]["value"])
    assert np.trace(counts) / 60 == pytest.approx(share, abs=1e-5)


def test_the_same_units_give_the_same_tables_and_figures(whole):
    names_ = ["group/agreement.tsv", "group/figures/figure-3a_scatter.svg"]
    before = [(whole / name).read_bytes() for name in names_]
    DRAWN.clear()
    run(whole)
    assert [(whole / name).read_bytes() for name in names_] == before


def test_units_without_lesions_do_not_raise_the_mean_dice_and_are_counted(cohort):
    run(cohort)
    before = estimates(cohort)["mean_dice"]["value"]
    add_unit(cohort, "70", 0.0, 0.0)
    page = page_of(cohort)
    assert estimates(cohort)["mean_dice"]["value"] == before
    assert estimates(cohort)["both_empty"]["value"] == "1"
    assert "1 unit without a lesion on either image" in page
    assert "over the FLAIR volume in 5 units" in page


def test_without_any_flair_volumes_and_fazekas_stay_and_agreement_says_why_not(tmp_path):
    for number in range(12):
        add_unit(tmp_path, f"{number:02d}", 1.0 + number)
    add_people(
        tmp_path,
        [{"participant_id": f"sub-{n:02d}", "fazekas": 2 + n // 6} for n in range(12)],
    )
    page = page_of(tmp_path)
    assert page.count("No unit has both a CT and a FLAIR") == 4
    assert "No unit has both a volume and a Fazekas rating" in page
    assert float(estimates(tmp_path)["fazekas_share_right_ct"]["value"]) > 0.5
    assert estimates(tmp_path)["slope"]["value"] == "n/a"
    drawn = {path.stem for path in (tmp_path / "group/figures").glob("*.svg")}
    assert drawn == {"figure-4a_fazekas-ct"}


def test_two_sessions_of_a_subject_are_told(cohort):
    assert "intervals by formula do not" not in page_of(cohort)
    add_unit(cohort, "08", 3.0, 3.0, session="a")
    add_unit(cohort, "08", 3.5, 3.0, session="b")
    assert "7 units are of 6 subjects: intervals by bootstrap" in page_of(cohort)


def test_two_pairs_are_too_few(tmp_path):
    add_unit(tmp_path, "01", 3.0, 4.0)
    add_unit(tmp_path, "02", 9.0, 8.0)
    assert "at least 3 units" in page_of(tmp_path)


def test_every_table_describes_its_columns(whole):
    tables = sorted(path.stem for path in (whole / "group").glob("*.tsv"))
    assert tables == [
        "agreement",
        "confusion",
        "demographics",
        "excluded",
        "measures",
        "units",
    ]
    for name in tables:
        header = (whole / f"group/{name}.tsv").read_text().splitlines()[0].split("\t")
        described = json.loads((whole / f"group/{name}.json").read_text())
        assert header == [key for key in described if key in header]
        assert all(described[column]["Description"] for column in header)
