"""The report of a training: how networks do on subjects that they never saw, and how it went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ctwml_bids.reports import curves
from ctwml_bids.reports.html import number, render
from ctwml_bids.reports.subject import Figure

# Column of accuracy.tsv → label, digits.
COLUMNS = {
    "fazekas": ("Fazekas", 0),
    "truth_ml": ("True lesions (mL)", 1),
    "cv_ml": ("Out-of-fold (mL)", 1),
    "dice": ("Dice", 2),
    "true_positive_ml": ("in both (mL)", 1),
    "cv_only_ml": ("out-of-fold only (mL)", 1),
    "truth_only_ml": ("truth only (mL)", 1),
}
# More of them where networks tell infarcts apart.
INFARCT_COLUMNS = {
    "infarct_truth_ml": ("True infarcts (mL)", 1),
    "infarct_cv_ml": ("Out-of-fold infarcts (mL)", 1),
    "infarct_dice": ("Dice of infarcts", 2),
}


@dataclass(frozen=True)
class TrainingReport:
    """Everything that the report says.

    Attributes
    ----------
    version, created
        Of ctwml_bids; ISO time.
    protocol
        Settings that decided the result.
    threshold
        A voxel is a lesion where the mean probability is above this.
    stratified_by
        What the folds hold evenly.
    subjects
        How many were trained on.
    left_out
        Label of every other unit → why.
    rows
        Of the accuracy table.
    summary
        The cross-validated accuracy.
    curves
        ``network``, ``step``, ``loss``, ``dice``.
    shares
        What patches are drawn beside → the share of them, 0–1.
    model
        Folder of the model in the output folder.
    cautions
        Sentences on what the accuracy does not mean.
    """

    version: str
    created: str
    protocol: Mapping[str, Any]
    threshold: float
    stratified_by: str
    subjects: int
    left_out: Mapping[str, str]
    rows: tuple[Mapping[str, Any], ...]
    summary: Mapping[str, Any]
    curves: tuple[Mapping[str, Any], ...]
    shares: Mapping[str, float]
    model: str
    cautions: tuple[str, ...] = ()


def render_training(report: TrainingReport) -> str:
    """Return the report as one self-contained HTML page; all text is escaped."""
    return render(
        "train.html.j2",
        report=report,
        modality=report.protocol["modality"].upper(),
        columns=COLUMNS | (INFARCT_COLUMNS if _tells_infarcts(report) else {}),
        settings={name: _said(value) for name, value in report.protocol.items()},
        sentences=sentences(report),
        learning=_learning(report),
        figures=_figures(report),
    )


def _tells_infarcts(report: TrainingReport) -> bool:
    return any(name in row for row in report.rows for name in INFARCT_COLUMNS)


def _said(value: object) -> str:
    """Write a setting's value; the only one that may be empty is what networks began from."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value != "" else "fresh weights"


def sentences(report: TrainingReport) -> list[str]:
    """Say in sentences how well the networks did, leaving out what is undefined."""
    found, said = report.summary, []
    units = found["units"] - found["both_empty"]
    if found["dice"] is not None:
        paper = {"ct": "the paper: 0.43 on CT", "flair": "the paper's FLAIR networks: 0.72"}
        said.append(
            f"Mean Dice with the true lesions is {number(found['dice'], 2)} in {units} images with "
            f"lesions ({paper[report.protocol['modality']]})."
        )
    for group, dice in found["dice_by_fazekas_group"].items():
        if dice is not None:
            said.append(f"In the Fazekas {group} group it is {number(dice, 2)}.")
    if found["pearson_r"] is not None:
        said.append(f"Volumes correlate with r = {number(found['pearson_r'], 2)}.")
    if found["bias_ml"] is not None:
        low, high = found["limits_of_agreement_ml"]
        said.append(
            f"Volumes differ by {number(found['bias_ml'], 1, sign=True)} mL on average, with 95% "
            f"limits of agreement from {number(low, 1, sign=True)} to {number(high, 1, sign=True)} "
            "mL."
        )
    if _tells_infarcts(report):
        said.append(
            f"Mean Dice of infarcts is {number(found['infarct_dice'], 2)} in "
            f"{found['with_infarct']} images that have some; in the others "
            f"{number(found['infarct_ml_without_any'], 1)} mL are marked as infarct on average."
        )
    if by := found["dice_by_threshold"]:
        best = max(by, key=lambda threshold: by[threshold])
        said.append(
            f"The threshold is {report.threshold:g}; of those tried, {best} has the highest mean "
            f"Dice, {number(by[best], 2)} (--threshold chooses another)."
        )
    return said


def _learning(report: TrainingReport) -> Figure:
    beside = " and ".join(f"{share:.0%} beside {what}" for what, share in report.shares.items())
    count = len({row["network"] for row in report.curves})
    return Figure(
        "Learning curves",
        f"A thin line for each of {count} networks, and their mean; both are of patches that the "
        f"networks are trained on, {beside}.",
        f"Loss and Dice over the training steps of {count} networks",
        curves.learning_curves(report.curves, report.protocol["loss"]),
    )


def _figures(report: TrainingReport) -> list[Figure]:
    truth = [row["truth_ml"] for row in report.rows]
    found = [row["cv_ml"] for row in report.rows]
    seen = [row for row in report.rows if not row["both_empty"]]
    return [
        Figure(
            "Volumes",
            "Each circle is an image, segmented by networks that never saw its subject.",
            f"Out-of-fold lesion volumes over true ones in {len(truth)} images",
            curves.volumes(truth, found),
        ),
        Figure(
            "Overlap",
            "Small lesions overlap less: a border of one voxel is more of them.",
            f"Dice over the true lesion volume in {len(seen)} images",
            curves.overlap_by_volume(
                [row["truth_ml"] for row in seen], [row["dice"] for row in seen]
            ),
        ),
    ]
