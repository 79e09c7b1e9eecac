from __future__ import annotations

import math
from dataclasses import asdict

from ctwml_bids.reports import sentences
from ctwml_bids.statistics.agreement import Estimate, agreement
from ctwml_bids.statistics.strata import summarise
from tests.statistics.bootstrapped import bootstrapped

CT, FLAIR = [11.0, 19.0, 33.0, 41.0], [10.0, 20.0, 30.0, 40.0]


def estimate(*values):
    return asdict(Estimate(*values))


def part(dice, pairs=10, both_empty=0):
    return {"dice": estimate(dice), "agreement": {"pairs": pairs}, "both_empty": both_empty}


def test_an_interval_by_bootstrap_goes_before_one_by_formula():
    assert (
        sentences.with_interval(estimate(0.9, 0.7, 0.95, 0.8, 0.96)) == "0.90 (95% CI 0.80 to 0.96)"
    )
    assert sentences.with_interval(estimate(0.9, 0.7, 0.95)) == "0.90 (95% CI 0.70 to 0.95)"
    assert sentences.with_interval(estimate(0.9)) == "0.90"


def test_dice_is_said_for_all_and_by_group():
    text, numbers = sentences.dice(part(0.43, 147), {"0-1": part(0.2), "3": part(0.68)})
    assert text == (
        "The average Dice similarity index of CT with FLAIR was 0.43 in 147 units; it was 0.20 in "
        "Fazekas 0–1 and 0.68 in Fazekas 3."
    )
    assert ("Dice, Fazekas 3", "0.68") in numbers


def test_units_empty_on_both_are_counted_apart_in_the_sentence():
    text, _ = sentences.dice(part(0.4, 10, both_empty=2), {})
    assert "in 8 units" in text
    assert "2 units without a lesion on either image" in text


def test_one_unit_has_a_value_without_a_spread():
    assert sentences.spread(asdict(summarise([2.0])), 1) == "2.0 (n = 1)"
    assert sentences.spread(asdict(summarise([2.0, 4.0])), 1) == "3.0 ± 1.4 (n = 2)"


def test_no_dice_is_no_number():
    text, numbers = sentences.dice(part(math.nan), {})
    assert "no Dice to average" in text
    assert numbers == []


def test_bias_says_its_direction():
    text, _ = sentences.difference(asdict(agreement(CT, FLAIR)))
    assert text.startswith("CT measured 1.0 mL more than FLAIR on average (bias +1.0 mL")
    text, _ = sentences.difference(asdict(agreement(FLAIR, CT)))
    assert text.startswith("CT measured 1.0 mL less than FLAIR")


def test_intervals_of_bias_and_limits_are_by_bootstrap_and_by_formula_where_it_says_so():
    found = asdict(bootstrapped(CT, FLAIR, range(4), draws=200))
    text, numbers = sentences.difference(found)
    ends = {
        name: [f"{found[name][end]:.1f}".replace("-", "−") for end in ("boot_low", "boot_high")]
        for name in ("bias", "lower_limit", "upper_limit")
    }
    for low, high in ends.values():
        assert f"95% CI {low} to {high} mL" in text
    formula = f"{found['bias']['low']:.1f} to {found['bias']['high']:.1f} mL".replace("-", "−")
    assert f"by formula {formula}" in dict(numbers)["Bias, CT − FLAIR"]


def test_what_is_undefined_is_replaced_by_the_reason():
    found = asdict(agreement(CT[:2], FLAIR[:2]))
    for text, numbers in (sentences.correlation(found), sentences.difference(found)):
        assert "at least 3 units" in text
        assert numbers == []


def test_equal_volumes_have_a_reason_instead_of_a_correlation():
    text, _ = sentences.correlation(asdict(agreement(CT, [5.0] * 4)))
    assert "All volumes from FLAIR are equal" in text


def test_groups_are_told_with_thresholds_share_and_kappa():
    found = {
        "spearman": estimate(0.8, 0.7, 0.9),
        "share_right": estimate(0.78),
        "kappa": estimate(0.81),
        "thresholds": (7.0, 15.0),
        "folds": 10,
        "source": "",
        "note": "",
    }
    summaries = {"0-1": asdict(summarise([1.0, 2.0, 3.0])), "2": asdict(summarise([]))}
    text, numbers = sentences.groups("CT", summaries, found)
    assert "2.0 mL (1.5 to 2.5) in Fazekas 0–1." in text
    assert "in 78% of units" in text
    assert "10-fold cross-validation" in text
    assert ("Fazekas 3 from", "15.0 mL") in numbers
