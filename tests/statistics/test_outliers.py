from __future__ import annotations

from ctwml_bids.statistics.agreement import agreement
from ctwml_bids.statistics.outliers import outliers


def row(name, ct, flair, *, dice=0.5, rated="n/a", from_ct="n/a", compared="yes"):
    return {
        "unit": name,
        "in_agreement": compared,
        "ct_in_flair_ml": ct,
        "flair_wml_ml": flair,
        "dice": dice,
        "fazekas_group": rated,
        "fazekas_from_ct": from_ct,
        "fazekas_from_flair": "n/a",
    }


CT = [10.0, 11, 12, 13, 14, 15, 16, 17, 18, 19]
FLAIR = [10.5, 10.6, 12.4, 12.5, 14.6, 14.4, 16.5, 16.6, 18.4, 18.5]
FOUND = agreement(CT, FLAIR)
COHORT = [row(f"sub-{n}", *pair) for n, pair in enumerate(zip(CT, FLAIR, strict=True))]


def test_units_within_the_limits_are_no_outliers():
    assert outliers(COHORT, FOUND) == []


def test_differences_beyond_the_limits_are_listed_the_largest_first():
    found = outliers([*COHORT, row("sub-a", 20.0, 24.0), row("sub-b", 90.0, 10.0)], FOUND)
    assert [outlier.unit for outlier in found] == ["sub-b", "sub-a"]
    assert "80.0 mL more than FLAIR" in found[0].reason
    assert "4.0 mL less than FLAIR" in found[1].reason


def test_lesions_that_share_no_place_are_told_unless_there_are_hardly_any():
    found = outliers([row("sub-a", 9.0, 9.0, dice=0.0), row("sub-b", 0.5, 0.5, dice=0.0)], FOUND)
    assert [outlier.unit for outlier in found] == ["sub-a"]


def test_a_group_that_is_two_off_is_told_and_one_off_is_not():
    far = row("sub-a", 9.0, 9.0, rated="3", from_ct="0-1")
    near = row("sub-b", 9.0, 9.0, rated="3", from_ct="2")
    (only,) = outliers([far, near], FOUND)
    assert only.reason == "rated Fazekas 3, but 0–1 by its volume on CT"


def test_units_that_are_not_compared_have_no_difference():
    assert outliers([row("sub-a", 90.0, 1.0, compared="no: without FLAIR")], FOUND) == []
