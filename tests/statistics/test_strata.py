from __future__ import annotations

import numpy as np
import pytest

from ctwml_bids.statistics.strata import (
    demographics,
    interval_class,
    measure_rows,
    strata,
    summarise,
    thickness_class,
)


def unit(number, **values):
    return {"participant_id": f"sub-{number:02d}", "age": "n/a", "sex": "n/a", **values}


def test_summaries_are_numpys_and_leave_nan_out():
    found = summarise([4.0, np.nan, 1.0, 7.0, 10.0])
    assert (found.count, found.mean, found.median) == (4, 5.5, 5.5)
    assert found.sd == pytest.approx(np.std([4, 1, 7, 10], ddof=1))
    assert (found.q1, found.q3, found.minimum, found.maximum) == (3.25, 7.75, 1.0, 10.0)


def test_nothing_to_summarise_counts_zero():
    assert summarise([np.nan]).count == 0
    assert np.isnan(summarise([]).mean)


@pytest.mark.parametrize(
    ("mm", "name"),
    [(1.0, "up to 2 mm"), (2.0, "up to 2 mm"), (4.0, "over 2 to 4 mm"), (5, "over 4 mm")],
)
def test_slices_are_classed_by_thickness(mm, name):
    assert thickness_class(mm) == name


@pytest.mark.parametrize(
    ("days", "name"),
    [(0, "up to 1 day"), (7, "over 1 to 7 days"), (42, "over 7 to 42 days"), (43, "over 42 days")],
)
def test_six_weeks_are_still_within_the_papers_limit(days, name):
    assert interval_class(days) == name


def test_units_are_parted_by_what_is_known_of_them():
    units = [
        unit(1, ct_scanner="GE", days_apart=3, fazekas_group="2"),
        unit(2, ct_scanner="Siemens", days_apart="n/a", fazekas_group="0-1"),
        unit(3, ct_scanner="GE", ct_slice_thickness_mm=5.0, fazekas_group="2"),
    ]
    assert strata(units) == [
        ("all", "all", [0, 1, 2]),
        ("fazekas", "0-1", [1]),
        ("fazekas", "2", [0, 2]),
        ("ct_scanner", "GE", [0, 2]),
        ("ct_scanner", "Siemens", [1]),
        ("ct_slice_thickness", "over 4 mm", [2]),
        ("days", "over 1 to 7 days", [0]),
    ]


def test_table_1_counts_subjects_once_and_only_known_sexes():
    units = [
        unit(1, age=70.0, sex="F"),
        unit(1, age=71.0, sex="F"),
        unit(2, age=60.0, sex="M"),
        unit(3),
    ]
    (row,) = demographics(units, [("all", "all", range(4))])
    assert (row["units"], row["subjects"], row["age_known"], row["sex_known"]) == (4, 3, 2, 2)
    assert (row["age_mean"], row["female_percent"]) == (65.0, 50.0)
    assert row["age_sd"] == pytest.approx(np.std([70, 60], ddof=1))


def test_what_is_one_by_definition_in_units_without_lesions_raises_no_mean():
    units = [
        unit(1, dice=1.0, lesion_f1=1.0, both_empty="true"),
        unit(2, dice=0.4, lesion_f1=0.3, both_empty="false"),
        unit(3, dice="n/a", lesion_f1="n/a", both_empty="n/a"),
    ]
    rows = measure_rows(units, [("all", "all", [0, 1, 2])], ["dice", "lesion_f1"])
    found = [(row["measure"], row["count"]) for row in rows]
    assert found == [("dice", 1), ("lesion_f1", 1), ("both_empty", 1)]
    assert [row["mean"] for row in rows[:2]] == [0.4, 0.3]
