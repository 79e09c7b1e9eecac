"""The report of a whole group: one HTML file beside the reports of its units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ctwml_bids.reports.html import number, render
from ctwml_bids.reports.subject import Figure

# Column of group/units.tsv → label, digits; of these the page shows what any unit has.
UNIT_COLUMNS = {
    "ct_wml_ml": ("WML on CT (mL)", 1),
    "ct_wml_percent": ("% of brain, CT", 2),
    "flair_wml_ml": ("WML on FLAIR (mL)", 1),
    "flair_wml_percent": ("% of brain, FLAIR", 2),
    "dice": ("Dice", 2),
    "true_positive_ml": ("on both (mL)", 1),
    "ct_only_ml": ("CT only (mL)", 1),
    "flair_only_ml": ("FLAIR only (mL)", 1),
}


@dataclass(frozen=True)
class GroupReport:
    """Everything that the group report says.

    Attributes
    ----------
    version, created
        Of ctwml_bids; ISO time.
    units
        Rows of ``group/units.tsv``, each with ``unit``, ``qc``, ``in_agreement`` and ``report``
        (file name of the unit's report beside the page, or "").
    failures
        Units without results: ``unit``, ``state`` and ``reason``.
    agreement
        Fields of `statistics.agreement.Agreement` as a dictionary.
    mean_dice
        Over the units in the agreement that have lesions; NaN without any.
    both_empty
        How many units in the agreement have no lesion on either image.
    figures
        Scatter and Bland–Altman plots.
    include_failed_qc
        Units that failed quality control were kept in the agreement on request.
    """

    version: str
    created: str
    units: tuple[Mapping[str, Any], ...]
    failures: tuple[Mapping[str, Any], ...]
    agreement: Mapping[str, Any]
    mean_dice: float = math.nan
    both_empty: int = 0
    figures: tuple[Figure, ...] = ()
    include_failed_qc: bool = False


def render_group(report: GroupReport) -> str:
    """Return the group report as one self-contained HTML page.

    Parameters
    ----------
    report
        What it says. All text is escaped.

    Returns
    -------
    str
        HTML without scripts; it links to the units' reports beside it and to nothing else.
    """
    shown = {
        name: label
        for name, label in UNIT_COLUMNS.items()
        if any(row.get(name, "n/a") != "n/a" for row in report.units)
    }
    return render(
        "group.html.j2",
        report=report,
        columns=shown,
        sentences=agreement_sentences(report.agreement, report.mean_dice, report.both_empty),
        failed_qc=[row for row in report.units if row["qc"] == "fail"],
    )


def agreement_sentences(
    agreement: Mapping[str, Any], mean_dice: float, both_empty: int = 0
) -> list[str]:
    """Say in sentences what the agreement of CT with FLAIR is, leaving out what is undefined."""
    pairs = agreement["pairs"]
    sentences = []
    if _known(agreement["pearson"]):
        r = _with_interval(agreement["pearson"], 2)
        sentences.append(f"Volumes from CT and FLAIR correlate with r = {r} in {pairs} units.")
    if _known(agreement["slope"]):
        slope, intercept = agreement["slope"], agreement["intercept"]
        sentences.append(
            f"The fitted line is CT = {_with_interval(slope, 2)} · FLAIR "
            f"{number(intercept['value'], 1, sign=True)} mL (intercept, 95% CI "
            f"{number(intercept['low'])} to {number(intercept['high'])} mL)."
        )
    if _known(agreement["bias"]):
        bias = agreement["bias"]
        word = "more" if bias["value"] >= 0 else "less"
        sentences.append(
            f"CT measures {number(abs(bias['value']))} mL {word} than FLAIR on average (bias "
            f"{number(bias['value'], sign=True)} mL, 95% CI {number(bias['low'])} to "
            f"{number(bias['high'])} mL); 95% of differences are expected between "
            f"{number(agreement['lower_limit']['value'])} and "
            f"{number(agreement['upper_limit']['value'])} mL (limits of agreement)."
        )
    if not math.isnan(mean_dice):
        sentences.append(f"The mean Dice overlap of CT with FLAIR is {number(mean_dice, 2)}.")
    if both_empty:
        sentences.append(
            f"The mean Dice leaves out {both_empty} of them, without lesions on either image."
        )
    if agreement["note"]:
        sentences.append(agreement["note"])
    return sentences


def _known(estimate: Mapping[str, float]) -> bool:
    return not math.isnan(estimate["value"])


def _with_interval(estimate: Mapping[str, float], digits: int) -> str:
    value = number(estimate["value"], digits)
    if math.isnan(estimate["low"]):
        return value
    low, high = number(estimate["low"], digits), number(estimate["high"], digits)
    return f"{value} (95% CI {low} to {high})"
