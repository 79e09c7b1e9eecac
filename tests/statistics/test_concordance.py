"""Against other libraries on fixed data, and against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import odr, stats

from ctwml_bids.statistics import concordance, ranks
from tests.statistics.bootstrapped import bootstrapped

FLAIR = np.array([1.0, 4.0, 10.0, 22.0, 35.0, 60.0, 0.3, 15.5])
CT = np.array([2.0, 3.0, 12.0, 20.0, 36.0, 55.0, 1.1, 11.0])


def of(x, y):
    x, y = np.asarray(x, float), np.asarray(y, float)
    return concordance.moments(np.ones((1, x.size)), x, y)


def test_icc_equals_pingouins():
    """`intraclass_corr` of pingouin 0.7.0, ICC(A,1) of these eight pairs."""
    assert concordance.icc(of(FLAIR, CT))[0] == pytest.approx(0.9909208322931373, abs=1e-12)


def test_icc_equals_the_mean_squares_of_shrout_and_fleiss():
    """The first two judges of the six targets in their Table 2 (1979, Psychol Bull 86:420)."""
    first, second = np.array([9.0, 6, 8, 7, 10, 6]), np.array([2.0, 1, 4, 1, 5, 2])
    table = np.stack([first, second], axis=1)
    grand, n, k = table.mean(), 6, 2
    rows = k * ((table.mean(axis=1) - grand) ** 2).sum()
    columns = n * ((table.mean(axis=0) - grand) ** 2).sum()
    error = ((table - grand) ** 2).sum() - rows - columns
    msr, msc, mse = rows / (n - 1), columns / (k - 1), error / ((n - 1) * (k - 1))
    expected = (msr - mse) / (msr + (k - 1) * mse + k * (msc - mse) / n)
    assert concordance.icc(of(first, second))[0] == pytest.approx(expected)


def test_ccc_equals_audmetrics():
    """`concordance_cc` of audmetric 1.4.2."""
    assert concordance.concordance(of(FLAIR, CT))[0] == pytest.approx(0.9896372490712412, abs=1e-12)


def test_ccc_is_the_correlation_less_a_shift():
    """Lin's bias correction of a shift by u standard deviations is 1 / (1 + u² / 2)."""
    x = np.array([1.0, 2.0, 3.0, 4.0])
    shift = 2 * x.std()
    assert concordance.concordance(of(x, x + shift))[0] == pytest.approx(1 / (1 + 4 / 2))


def test_deming_line_is_scipys_orthogonal_regression():
    """With equal errors on both axes ODRPACK minimises the same distances."""
    line = odr.Model(lambda b, x: b[0] * x + b[1])
    theirs = odr.ODR(odr.Data(FLAIR, CT), line, beta0=[1.0, 0.0]).run().beta
    slope, intercept = (value[0] for value in concordance.deming(of(FLAIR, CT)))
    # ODRPACK stops within some millionths.
    assert (slope, intercept) == pytest.approx(tuple(theirs), abs=1e-4)


def test_deming_line_of_swapped_images_is_its_inverse():
    there, back = (concordance.deming(of(*pair))[0][0] for pair in ((FLAIR, CT), (CT, FLAIR)))
    assert there * back == pytest.approx(1.0)


def test_a_falling_line_has_a_falling_deming_line():
    slope, intercept = concordance.deming(of([0, 1, 2], [2, 1, 0]))
    assert (slope[0], intercept[0]) == pytest.approx((-1.0, 2.0))


def test_weights_are_as_good_as_repeated_units():
    weights = np.array([[2.0, 1, 1, 1, 1, 3, 1, 1]])
    again = np.repeat(np.arange(8), weights[0].astype(int))
    for measure in (concordance.pearson, concordance.concordance, concordance.icc):
        weighted = measure(concordance.moments(weights, FLAIR, CT))[0]
        assert weighted == pytest.approx(measure(of(FLAIR[again], CT[again]))[0])


def test_equal_volumes_have_no_correlation_of_any_kind():
    flat = of([5.0, 5.0, 5.0], [1.0, 2.0, 3.0])
    assert np.isnan(concordance.pearson(flat)).all()
    assert np.isnan(concordance.least_squares(flat)[0]).all()
    assert concordance.concordance(flat)[0] == pytest.approx(0.0)


def test_spearman_equals_scipys_with_ties():
    grades = np.array([0, 1, 1, 2, 3, 3, 0, 2])
    found = ranks.spearman(np.ones((1, 8)), ranks.Order.of(CT, grades))[0]
    assert found == pytest.approx(stats.spearmanr(CT, grades).statistic)


@pytest.mark.parametrize("volumes", [CT, np.array([0.0, 0, 3, 0, 8, 8, 1, 5])])
def test_spearman_of_weights_is_that_of_repeated_units(volumes):
    grades = np.array([0, 1, 1, 2, 3, 3, 0, 2])
    weights = np.array([[1.0, 3, 0, 2, 1, 1, 1, 2], [0, 0, 1, 1, 5, 0, 2, 0]])
    found = ranks.spearman(weights, ranks.Order.of(volumes, grades))
    for row, value in zip(weights, found, strict=True):
        again = np.repeat(np.arange(8), row.astype(int))
        expected = stats.spearmanr(volumes[again], grades[again]).statistic
        assert value == pytest.approx(expected)


def test_equal_ratings_or_volumes_have_no_rank_correlation():
    for volumes, grades in ((CT, np.full(8, 2)), (np.zeros(8), np.arange(8))):
        assert np.isnan(ranks.spearman(np.ones((1, 8)), ranks.Order.of(volumes, grades))).all()


def test_interval_of_spearman_covers_as_often_as_it_says():
    rng, hits = np.random.default_rng(11), []
    # Of normal variables, Spearman's is 6/π · arcsin(r / 2).
    truth = 6 / np.pi * np.arcsin(0.6 / 2)
    for _ in range(500):
        x, y = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 60).T
        found = ranks.spearman(np.ones((1, 60)), ranks.Order.of(x, y))[0]
        low, high = ranks.fisher_interval(found, 60)
        hits.append(low <= truth <= high)
    assert 0.92 <= np.mean(hits) <= 0.98


def test_agreement_carries_all_of_them_with_bootstrap_intervals():
    found = bootstrapped(CT, FLAIR, np.arange(8), draws=2000)
    assert found.icc.value == pytest.approx(0.9909208322931373)
    assert found.ccc.value == pytest.approx(0.9896372490712412)
    for name in ("pearson", "slope", "bias", "upper_limit", "deming_slope", "ccc", "icc"):
        estimate = getattr(found, name)
        assert estimate.boot_low < estimate.value < estimate.boot_high


def test_bootstrap_interval_of_the_correlation_is_scipys():
    rng = np.random.default_rng(2)
    x = rng.gamma(1.2, 15, 60)
    y = 0.95 * x + rng.normal(0, 4, 60)
    found = bootstrapped(y, x, np.arange(60)).pearson
    theirs = stats.bootstrap(
        (x, y),
        lambda a, b: stats.pearsonr(a, b).statistic,
        paired=True,
        vectorized=False,
        n_resamples=4000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    width = found.boot_high - found.boot_low
    assert found.boot_low == pytest.approx(theirs.low, abs=0.08 * width)
    assert found.boot_high == pytest.approx(theirs.high, abs=0.08 * width)
