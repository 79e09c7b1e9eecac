from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ctwml_bids.statistics.resampling import bootstrap

X = np.random.default_rng(5).gamma(1.2, 15.0, 40)


def mean_of(values):
    return lambda weights: (weights @ values / weights.sum(axis=1))[:, None]


def test_intervals_are_scipys_percentile_intervals():
    low, high = bootstrap(mean_of(X), np.arange(X.size), draws=20_000)[:, 0]
    theirs = stats.bootstrap(
        (X,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    # Both are random: an end's own standard error is about 1% of the interval's width.
    assert low == pytest.approx(theirs.low, abs=0.05 * (high - low))
    assert high == pytest.approx(theirs.high, abs=0.05 * (high - low))


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    subjects = np.arange(X.size)
    first, again, other = (
        bootstrap(mean_of(X), subjects, draws=500, seed=seed) for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_sessions_of_one_subject_do_not_narrow_the_interval():
    """Every unit twice is no new information, if both are of one subject."""
    once = bootstrap(mean_of(X), np.arange(X.size), draws=4000)
    twice = bootstrap(mean_of(np.tile(X, 2)), np.tile(np.arange(X.size), 2), draws=4000)
    taken_for_others = bootstrap(mean_of(np.tile(X, 2)), np.arange(2 * X.size), draws=4000)
    assert np.ptp(twice) == pytest.approx(np.ptp(once), rel=0.06)
    assert np.ptp(taken_for_others) == pytest.approx(np.ptp(once) / np.sqrt(2), rel=0.06)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng, hits = np.random.default_rng(3), []
    for _ in range(300):
        values = rng.normal(10, 3, 40)
        low, high = bootstrap(mean_of(values), np.arange(40), draws=400, seed=9)[:, 0]
        hits.append(low <= 10 <= high)
    assert 0.89 <= np.mean(hits) <= 0.98


def test_one_subject_alone_has_no_interval():
    assert np.isnan(bootstrap(mean_of(X), np.zeros(X.size), draws=100)).all()


def test_a_statistic_that_is_mostly_undefined_has_no_interval():
    def undefined(weights):
        values = mean_of(X)(weights)
        values[::2] = np.nan
        return values

    assert np.isnan(bootstrap(undefined, np.arange(X.size), draws=200)).all()
