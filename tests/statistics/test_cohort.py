from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ctwml_bids.statistics import fazekas_cohort, ranks
from ctwml_bids.statistics.agreement import agreement, estimates
from ctwml_bids.statistics.cohort import analyse
from ctwml_bids.statistics.concordance import moments
from ctwml_bids.statistics.fazekas import confusion
from ctwml_bids.statistics.fazekas_cohort import classify
from ctwml_bids.statistics.resampling import bootstrap
from tests.statistics.bootstrapped import bootstrapped


def cohort(size=45, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(size):
        group = number % 3
        flair = float(rng.gamma(3, 1 + 5 * group))
        ct = max(0.0, 0.9 * flair + float(rng.normal(0, 2)))
        rows.append(
            {
                "unit": f"sub-{number:02d}",
                "participant_id": f"sub-{number:02d}",
                "included": "yes",
                "in_agreement": "yes",
                "ct_wml_ml": ct + 1,
                "flair_wml_ml": flair,
                "ct_in_flair_ml": ct,
                "dice": 0.4 + 0.1 * group,
                "both_empty": "false",
                "fazekas_group": ("0-1", "2", "3")[group],
                "fazekas_grade": (1, 2, 3)[group],
                "ct_scanner": "AB"[number % 2],
            }
        )
    return rows


ROWS = cohort()
FOUND = analyse(ROWS, draws=500)


def column(name, rows=ROWS):
    return np.array([row[name] for row in rows], dtype=float)


def test_the_whole_is_first_and_its_agreement_that_of_all_pairs():
    alone = bootstrapped(column("ct_in_flair_ml"), column("flair_wml_ml"), np.arange(45), draws=500)
    assert (FOUND.whole.by, FOUND.whole.units) == ("all", 45)
    assert FOUND.whole.agreement.pearson.value == alone.pearson.value
    # The same cohorts are drawn for all statistics as for one.
    assert FOUND.whole.agreement.icc.boot_low == pytest.approx(alone.icc.boot_low)


def test_fazekas_uses_the_volume_in_the_images_own_space():
    groups = [n % 3 for n in range(45)]
    alone = classify(column("ct_wml_ml"), groups, np.arange(45))
    assert FOUND.classification["ct"].thresholds == alone.thresholds
    assert (FOUND.whole.counts["ct"] == confusion(groups, alone.estimated)).all()


def test_spearman_is_scipys():
    found = FOUND.whole.spearman["ct"]
    expected = stats.spearmanr(column("ct_wml_ml"), column("fazekas_grade")).statistic
    assert found.value == pytest.approx(expected)
    assert found.boot_low < found.value < found.boot_high


def test_parts_have_the_results_of_their_units_alone():
    parts = {(part.by, part.stratum): part for part in FOUND.parts}
    mine = [row for row in ROWS if row["ct_scanner"] == "A"]
    rho = parts["ct_scanner", "A"].spearman["flair"]
    expected = stats.spearmanr(column("flair_wml_ml", mine), column("fazekas_grade", mine))
    assert rho.value == pytest.approx(expected.statistic)
    assert rho.boot_low < rho.value < rho.boot_high
    alone = agreement(column("ct_in_flair_ml", mine), column("flair_wml_ml", mine))
    assert parts["ct_scanner", "A"].agreement.slope.value == alone.slope.value
    assert parts["fazekas", "3"].dice.value == pytest.approx(0.6)
    counts = sum(parts["ct_scanner", name].counts["ct"] for name in "AB")
    assert (counts == FOUND.whole.counts["ct"]).all()


def test_within_one_rated_group_there_is_a_share_but_no_correlation_and_no_kappa():
    """Kappa would be 0 whatever the estimates are, as the rating does not vary."""
    third = next(part for part in FOUND.parts if (part.by, part.stratum) == ("fazekas", "3"))
    right = third.counts["ct"][2, 2] / third.counts["ct"].sum()
    assert third.share_right["ct"].value == pytest.approx(right)
    assert third.share_right["ct"].boot_low <= right <= third.share_right["ct"].boot_high
    assert np.isnan([third.kappa["ct"].value, third.spearman["ct"].value]).all()


def test_intervals_are_those_of_each_measure_resampled_alone():
    ct, flair = column("ct_in_flair_ml"), column("flair_wml_ml")
    rated, estimated = (
        np.array([("0-1", "2", "3").index(row[name]) for row in FOUND.units])
        for name in ("fazekas_group", "fazekas_from_ct")
    )
    order = ranks.Order.of(column("ct_wml_ml"), column("fazekas_grade"))
    for statistic, found in (
        (lambda w: estimates(moments(w, flair, ct)), FOUND.whole.agreement.pearson),
        (
            lambda w: fazekas_cohort.judged(w @ fazekas_cohort.cells(rated, estimated)),
            FOUND.whole.share_right["ct"],
        ),
        (
            lambda w: fazekas_cohort.judged(w @ fazekas_cohort.cells(rated, estimated))[:, 1:],
            FOUND.whole.kappa["ct"],
        ),
        (lambda w: w @ column("dice")[:, None] / 45, FOUND.whole.dice),
        (lambda w: ranks.spearman(w, order)[:, None], FOUND.whole.spearman["ct"]),
    ):
        alone = bootstrap(statistic, np.arange(45), draws=500)[:, 0]
        assert (found.boot_low, found.boot_high) == pytest.approx(tuple(alone))
        assert found.boot_low < found.value < found.boot_high


def test_units_that_do_not_take_part_change_nothing():
    others = [{**ROWS[0], "unit": "sub-x", "included": "no: failed", "ct_in_flair_ml": 900.0}]
    assert analyse([*ROWS, *others], draws=500).whole.agreement == FOUND.whole.agreement


def test_units_that_are_not_compared_still_have_a_fazekas_group():
    rows = [{**row, "in_agreement": "no: without FLAIR", "flair_wml_ml": "n/a"} for row in ROWS]
    found = analyse(rows, draws=0)
    assert found.whole.agreement.pairs == 0
    assert (found.whole.counts["ct"] == FOUND.whole.counts["ct"]).all()
    assert found.whole.counts["flair"].sum() == 0


def test_a_group_without_grades_is_ranked_by_groups():
    rows = [{**row, "fazekas_grade": "n/a"} for row in ROWS]
    expected = stats.spearmanr(column("ct_wml_ml"), [n % 3 for n in range(45)]).statistic
    assert analyse(rows, draws=0).whole.spearman["ct"].value == pytest.approx(expected)
