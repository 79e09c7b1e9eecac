"""The sentences that a paper would print below each figure of a cohort, and their numbers.

Estimates are dictionaries with ``value``, ``low``, ``high`` (by formula), ``boot_low`` and
``boot_high`` (by bootstrap), as `statistics.agreement.Estimate` has them. What is undefined is
left out, never written as a number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ctwml_bids.reports.html import number

Found = Mapping[str, Any]
Numbers = list[tuple[str, str]]
GROUP_NAMES = {"0-1": "0–1", "2": "2", "3": "3"}


def known(estimate: Found) -> bool:
    """Tell whether there is a value."""
    return not math.isnan(estimate["value"])


def interval(estimate: Found, digits: int = 2, unit: str = "", *, bootstrap: bool = True) -> str:
    """Write a 95% interval, by bootstrap where there is one; empty without any."""
    for low, high in (("boot_low", "boot_high"), ("low", "high"))[:: 1 if bootstrap else -1]:
        if not math.isnan(estimate[low]):
            ends = f"{number(estimate[low], digits)} to {number(estimate[high], digits)}"
            return f"95% CI {ends}{unit}"
    return ""


def with_interval(estimate: Found, digits: int = 2, unit: str = "") -> str:
    """Write a value with its interval in brackets."""
    text = f"{number(estimate['value'], digits)}{unit}"
    ends = interval(estimate, digits, unit)
    return f"{text} ({ends})" if ends else text


def dice(whole: Found, by_group: Mapping[str, Found]) -> tuple[str, Numbers]:
    """Fig. 2a. `by_group` is Fazekas group → part, both with ``dice`` and ``both_empty``."""
    if not known(whole["dice"]):
        return "No unit has a lesion on either image, so there is no Dice to average.", []
    pairs = whole["agreement"]["pairs"] - whole["both_empty"]
    text = (
        f"The average Dice similarity index of CT with FLAIR was "
        f"{with_interval(whole['dice'])} in {pairs} units"
    )
    groups = {name: part for name, part in by_group.items() if known(part["dice"])}
    if groups:
        listed = (
            f"{number(p['dice']['value'], 2)} in Fazekas {GROUP_NAMES[g]}"
            for g, p in groups.items()
        )
        text += f"; it was {_listed(list(listed))}"
    text += "."
    if whole["both_empty"]:
        count = whole["both_empty"]
        text += (
            f" {count} unit{'s' if count != 1 else ''} without a lesion on either image (Dice 1 by "
            f"definition) {'are' if count != 1 else 'is'} counted apart and not averaged."
        )
    numbers = [("Dice, all", with_interval(whole["dice"]))]
    numbers += [
        (f"Dice, Fazekas {GROUP_NAMES[g]}", with_interval(p["dice"])) for g, p in groups.items()
    ]
    return text, [*numbers, ("Both images empty", str(whole["both_empty"]))]


def overlap(
    measures: Mapping[str, Found], labels: Mapping[str, tuple[str, int]]
) -> tuple[str, Numbers]:
    """Fig. 2b.

    Parameters
    ----------
    measures
        Column of units.tsv → summary of all compared units.
    labels
        The same → label, digits.
    """
    shown = ("true_positive_ml", "ct_only_ml", "flair_only_ml")
    both, ct, flair = (measures[name] for name in shown)
    text = (
        f"On average {number(both['mean'])} mL per unit were segmented on both images, "
        f"{number(ct['mean'])} mL on CT only and {number(flair['mean'])} mL on FLAIR only."
    )
    return text, [(labels[name][0], spread(of, labels[name][1])) for name, of in measures.items()]


def correlation(found: Found) -> tuple[str, Numbers]:
    """Fig. 3a. `found` is `statistics.agreement.Agreement` as a dictionary."""
    if not known(found["pearson"]):
        return found["note"] or "No correlation is defined.", []
    text = (
        f"The volumes of CT and FLAIR segmentations correlated with r = "
        f"{with_interval(found['pearson'])} in {found['pairs']} units"
    )
    if known(found["slope"]):
        text += (
            f"; the slope of the fitted line was {with_interval(found['slope'])} and its intercept "
            f"{with_interval(found['intercept'], 1, ' mL')}"
        )
    text += "."
    if known(found["ccc"]) and known(found["icc"]):
        text += (
            f" The concordance correlation coefficient was {with_interval(found['ccc'])} and "
            f"ICC(2,1) {with_interval(found['icc'])}."
        )
    numbers = [
        (label, with_interval(found[name], digits, unit))
        for name, label, digits, unit in (
            ("pearson", "Pearson r", 2, ""),
            ("slope", "Slope, y = CT, x = FLAIR", 2, ""),
            ("intercept", "Intercept", 1, " mL"),
            ("deming_slope", "Deming slope", 2, ""),
            ("deming_intercept", "Deming intercept", 1, " mL"),
            ("ccc", "CCC", 2, ""),
            ("icc", "ICC(2,1)", 2, ""),
        )
        if known(found[name])
    ]
    return f"{text} {found['note']}".strip(), numbers


def difference(found: Found) -> tuple[str, Numbers]:
    """Fig. 3b."""
    if not known(found["bias"]):
        return found["note"] or "No bias is defined.", []
    bias = found["bias"]
    word = "more" if bias["value"] >= 0 else "less"
    low, high = found["lower_limit"], found["upper_limit"]
    text = (
        f"CT measured {number(abs(bias['value']))} mL {word} than FLAIR on average (bias "
        f"{number(bias['value'], sign=True)} mL, {interval(bias, 1, ' mL')}); the 95% limits of "
        f"agreement were {with_interval(low, 1, ' mL')} and {with_interval(high, 1, ' mL')}."
    )
    numbers = [
        (label, _both_intervals(found[name]))
        for name, label in (
            ("bias", "Bias, CT − FLAIR"),
            ("lower_limit", "Lower limit"),
            ("upper_limit", "Upper limit"),
        )
    ]
    return text, [*numbers, ("SD of the differences", f"{number(found['difference_sd'])} mL")]


def groups(image: str, summaries: Mapping[str, Found], found: Found) -> tuple[str, Numbers]:
    """Fig. 4a and 4b.

    Parameters
    ----------
    image
        ``CT`` or ``FLAIR``.
    summaries
        Fazekas group → summary of its volumes.
    found
        ``spearman``, ``share_right``, ``kappa`` (estimates), ``thresholds`` (pair in mL or None),
        ``folds``, ``source`` and ``note``.
    """
    medians = [
        f"{number(s['median'])} mL ({number(s['q1'])} to {number(s['q3'])}) in Fazekas "
        f"{GROUP_NAMES[g]}"
        for g, s in summaries.items()
        if s["count"]
    ]
    sentences = []
    if medians:
        sentences.append(f"The median WML volume on {image} (quartiles) was {_listed(medians)}.")
    if known(found["spearman"]):
        sentences.append(
            f"Volume and rating correlated with Spearman's ρ = {with_interval(found['spearman'])}."
        )
    if found["thresholds"] is not None and known(found["share_right"]):
        how = found["source"]
        if found["folds"]:
            how = f"{found['folds']}-fold cross-validation of thresholds by a smooth count"
        sentences.append(
            f"The Fazekas group was estimated correctly from the {image} volume in "
            f"{percent(found['share_right'])} of units (quadratically weighted κ "
            f"{with_interval(found['kappa'])}; {how})."
        )
    if found["note"]:
        sentences.append(found["note"])
    numbers: Numbers = []
    if found["thresholds"] is not None:
        low, high = found["thresholds"]
        numbers += [("Fazekas 2 from", _ml(low)), ("Fazekas 3 from", _ml(high))]
    for name, label in (("spearman", "Spearman's ρ"), ("kappa", "Weighted κ")):
        if known(found[name]):
            numbers.append((label, with_interval(found[name])))
    if known(found["share_right"]):
        numbers.append(("Estimated correctly", percent(found["share_right"])))
    return " ".join(sentences), numbers


def percent(estimate: Found) -> str:
    """Write a share with its interval in percent."""
    scaled = {key: 100 * value for key, value in estimate.items()}
    return with_interval(scaled, 0, "%")


def _both_intervals(estimate: Found) -> str:
    formula = interval(estimate, 1, " mL", bootstrap=False)
    text = f"{number(estimate['value'], sign=True)} mL"
    if math.isnan(estimate["boot_low"]):
        return f"{text} ({formula} by formula)"
    return f"{text} ({interval(estimate, 1, ' mL')}; by formula {formula.removeprefix('95% CI ')})"


def spread(summary: Found, digits: int) -> str:
    """Write mean ± SD and the number of units; a dash without any, no SD of one."""
    if not summary["count"]:
        return "–"
    text = number(summary["mean"], digits)
    if not math.isnan(summary["sd"]):
        text += f" ± {number(summary['sd'], digits)}"
    return f"{text} (n = {summary['count']})"


def _ml(value: float) -> str:
    return f"{number(value)} mL" if math.isfinite(value) else "no volume"


def _listed(parts: Sequence[str]) -> str:
    """Join as in a sentence."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
