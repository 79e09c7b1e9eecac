from itertools import combinations_with_replacement

import numpy as np
import pytest
from scipy import stats

from ctwml_bids.statistics.fazekas import (
    Thresholds,
    confusion,
    cross_validated,
    fit_thresholds,
    group_of_grade,
    share_right,
    weighted_kappa,
)


def _most_right(volumes, groups):
    """The most heads that any two thresholds put right, by trying all of them."""
    candidates = np.r_[-1.0, np.unique(volumes) + 1e-9]
    return max(
        ((volumes > low).astype(int) + (volumes > high) == groups).sum()
        for low, high in combinations_with_replacement(candidates, 2)
    )


@pytest.mark.parametrize("seed", range(8))
def test_counted_plainly_no_other_pair_of_thresholds_is_right_more_often(seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 3, 40)
    # Rounded, so that equal volumes occur.
    volumes = np.round(rng.gamma(1.5, 4.0 + 6.0 * groups), 0)

    found = fit_thresholds(volumes, groups, bandwidth=0)

    assert (found.group(volumes) == groups).sum() == _most_right(volumes, groups)
    assert found.low <= found.high


def test_separable_groups_are_cut_half_way_between_neighbours():
    found = fit_thresholds([1, 3, 9, 11, 30, 50], [0, 0, 1, 1, 2, 2])

    assert (found.low, found.high) == (6.0, 20.5)


def test_no_other_pair_of_thresholds_is_right_more_often_by_the_normal_distribution():
    rng = np.random.default_rng(3)
    groups = rng.integers(0, 3, 30)
    volumes = rng.gamma(1.5, 4.0 + 6.0 * groups)
    log = np.log(volumes + 0.1)
    # Silverman 1986: 0.9 times the smaller of SD and interquartile range / 1.34, n to the -1/5.
    width = 0.9 * min(log.std(ddof=1), stats.iqr(log) / 1.34) * 30 ** (-1 / 5)

    def right(low, high):
        below_low, below_high = (
            stats.norm.cdf(np.log(cut + 0.1), log, width) for cut in (low, high)
        )
        return np.choose(groups, (below_low, below_high - below_low, 1 - below_high)).sum()

    found = fit_thresholds(volumes, groups)

    ordered = np.sort(volumes)
    cuts = np.r_[0, (ordered[1:] + ordered[:-1]) / 2, np.inf]
    best = max(right(low, high) for low, high in combinations_with_replacement(cuts, 2))
    assert right(found.low, found.high) == pytest.approx(best)


def test_thresholds_are_right_in_others_more_often_than_by_plain_counting():
    """In heads of the same distribution, by its formula; mean over 40 cohorts of 60."""
    medians, spread = np.log([2.0, 8.0, 25.0]), 0.8
    groups = np.repeat([0, 1, 2], 20)

    def right_in_others(found):
        low, high = np.log([found.low, found.high])
        below = [stats.norm.cdf(cut, medians, spread) for cut in (low, high)]
        return np.mean([below[0][0], below[1][1] - below[0][1], 1 - below[1][2]])

    gained = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        volumes = np.exp(rng.normal(medians[groups], spread))
        smooth, plain = (fit_thresholds(volumes, groups, bandwidth=b) for b in (None, 0))
        gained.append(right_in_others(smooth) - right_in_others(plain))

    assert np.mean(gained) > 0.005


def test_heads_without_any_lesion_are_below_every_threshold_but_0():
    # More than half are alike, so that the interquartile range says nothing of the width.
    volumes = np.r_[np.zeros(12), np.linspace(6, 12, 5), np.linspace(30, 40, 3)]
    groups = np.repeat([0, 1, 2], [12, 5, 3])

    found = fit_thresholds(volumes, groups)

    assert 0 < found.low < 6
    assert 12 < found.high < 30
    assert fit_thresholds(np.zeros(5), [1, 1, 1, 1, 0]).group([0.0]).tolist() == [1]


def test_plain_counting_can_be_asked_for_under_cross_validation():
    rng = np.random.default_rng(2)
    groups = np.repeat([0, 1, 2], 20)
    volumes = np.exp(rng.normal(np.log([2.0, 8.0, 25.0])[groups], 0.8))
    smooth, plain = (cross_validated(volumes, groups, bandwidth=b) for b in (None, 0.0))
    assert (smooth != plain).any()


def test_thousands_of_heads_are_cut_where_fewer_are():
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], 2000)
    volumes = np.exp(rng.normal(np.log([2.0, 8.0, 25.0])[groups], 0.6))

    found = fit_thresholds(volumes, groups)

    # Two normal distributions of one spread cross half-way between their means.
    assert (found.low, found.high) == pytest.approx((4, np.sqrt(8 * 25)), rel=0.05)


def test_a_missing_group_leaves_no_room_for_itself():
    found = fit_thresholds([1, 2, 30, 40], [0, 0, 2, 2])

    assert found.group([1, 2, 30, 40]).tolist() == [0, 0, 2, 2]


def test_a_volume_on_the_threshold_is_in_the_higher_group():
    assert Thresholds(7, 15).group([6.9, 7, 15, 15.1]).tolist() == [0, 1, 2, 2]


def test_a_head_never_takes_part_in_the_thresholds_that_judge_it():
    # Each head differs from all others: with itself in the fit it would be right, alone it is not.
    volumes, groups = np.array([1.0, 2.0, 3.0, 100.0]), np.array([0, 0, 0, 2])

    estimated = cross_validated(volumes, groups, folds=4)

    assert estimated[3] != 2
    assert estimated[:3].tolist() == [0, 0, 0]


def test_folds_have_equal_shares_of_each_group():
    volumes = np.r_[np.full(10, 1.0), np.full(10, 10.0), np.full(10, 50.0)]
    groups = np.repeat([0, 1, 2], 10)

    assert (cross_validated(volumes, groups, folds=10, seed=3) == groups).all()


def test_kappa_is_that_of_an_example_worked_by_hand():
    counts = np.array([[88, 14, 18], [10, 40, 10], [2, 6, 12]])
    # Squared distance times heads: 1 · (14 + 10 + 10 + 6) + 4 · (18 + 2).
    observed = 120
    # Rows sum to 120, 60, 20, columns to 100, 60, 40, so that chance puts 36, 30, 12 and 6 heads
    # one group off, and 24 and 10 two groups off: 84 + 4 · 34.
    by_chance = 220

    assert weighted_kappa(counts) == pytest.approx(1 - observed / by_chance)


def test_perfect_agreement_has_kappa_one_and_a_single_group_none():
    assert weighted_kappa(np.diag([3, 4, 5])) == 1
    assert np.isnan(weighted_kappa(np.diag([3, 0, 0])))


def test_confusion_counts_rated_by_rows():
    counts = confusion([0, 0, 1, 2], [0, 1, 1, 2])

    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert share_right(counts) == 0.75


def test_grades_0_and_1_are_one_group():
    assert group_of_grade([0, 1, 2, 3]).tolist() == [0, 0, 1, 2]
    with pytest.raises(ValueError, match="0, 1, 2 or 3"):
        group_of_grade([4])


@pytest.mark.parametrize(
    ("volumes", "groups"), [([], []), ([1.0], [0, 1]), ([-1.0], [0]), ([np.nan], [0]), ([1.0], [3])]
)
def test_what_is_no_volume_or_group_is_refused(volumes, groups):
    with pytest.raises(ValueError, match=r"group|volume"):
        fit_thresholds(volumes, groups)
