from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ctwml_bids.statistics.agreement import agreement

FLAIR = [1.0, 4.0, 10.0, 22.0, 35.0, 60.0]
CT = [2.0, 3.0, 12.0, 20.0, 36.0, 55.0]


def test_pearson_and_its_interval_equal_scipys():
    found = agreement(CT, FLAIR)
    r = stats.pearsonr(FLAIR, CT)
    low, high = r.confidence_interval(0.95)
    assert found.pearson.value == pytest.approx(r.statistic)
    assert (found.pearson.low, found.pearson.high) == pytest.approx((low, high))


def test_slope_and_intercept_solve_the_normal_equations():
    found = agreement(CT, FLAIR)
    slope, intercept = np.polyfit(FLAIR, CT, 1)
    assert found.slope.value == pytest.approx(slope)
    assert found.intercept.value == pytest.approx(intercept)


def test_interval_of_the_slope_covers_as_often_as_it_says():
    rng = np.random.default_rng(7)
    x = np.linspace(0, 50, 12)
    hits = [
        (f := agreement(2 + 0.9 * x + rng.normal(0, 3, x.size), x).slope).low <= 0.9 <= f.high
        for _ in range(400)
    ]
    assert 0.92 <= np.mean(hits) <= 0.98


def test_flair_is_on_x():
    assert agreement([2, 4, 6, 8], [1, 2, 3, 4]).slope.value == pytest.approx(2)


def test_bland_altman_of_a_hand_computed_case():
    # Differences 1, -1, 3: mean 1, SD 2; t(0.975, 2) = 4.3027.
    found = agreement([11, 19, 33], [10, 20, 30])
    assert found.bias.value == pytest.approx(1)
    assert found.difference_sd == pytest.approx(2)
    assert found.upper_limit.value == pytest.approx(1 + 1.96 * 2, abs=1e-3)
    assert found.lower_limit.value == pytest.approx(1 - 1.96 * 2, abs=1e-3)
    assert found.bias.high - 1 == pytest.approx(4.3027 * 2 / math.sqrt(3), rel=1e-4)
    half = 4.3027 * 2 * math.sqrt(1 / 3 + 1.96**2 / 4)
    assert found.upper_limit.high - found.upper_limit.value == pytest.approx(half, rel=1e-3)


def test_perfect_agreement():
    found = agreement(FLAIR, FLAIR)
    assert found.pearson.value == pytest.approx(1)
    assert found.slope.value == pytest.approx(1)
    assert (found.bias.value, found.difference_sd) == (0, 0)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_pairs_give_no_numbers_but_a_reason(count):
    found = agreement(CT[:count], FLAIR[:count])
    assert found.pairs == count
    assert math.isnan(found.pearson.value)
    assert math.isnan(found.bias.value)
    assert "at least 3" in found.note


def test_three_pairs_have_a_correlation_without_an_interval():
    found = agreement(CT[:3], FLAIR[:3])
    assert math.isfinite(found.pearson.value)
    assert math.isnan(found.pearson.low)
    assert "four" in found.note


def test_equal_volumes_have_no_line_but_a_bias():
    found = agreement([1, 2, 3, 4], [5, 5, 5, 5])
    assert math.isnan(found.pearson.value)
    assert math.isnan(found.slope.value)
    assert found.bias.value == pytest.approx(-2.5)
    assert "FLAIR are equal" in found.note


def test_heads_with_a_missing_volume_are_left_out():
    assert agreement([*CT, math.nan], [*FLAIR, 3.0]) == agreement(CT, FLAIR)


def test_volumes_of_different_number_are_refused():
    with pytest.raises(ValueError, match="6 volumes from CT but 5"):
        agreement(CT, FLAIR[:5])
