"""The paper's figures of a cohort, each with its numbers and its sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ctwml_bids.group.cross_validated import picture_of
from ctwml_bids.group.units import Row, labels_of
from ctwml_bids.modality import IMAGES
from ctwml_bids.reports import plots, plots_groups, sentences
from ctwml_bids.reports.examples import examples
from ctwml_bids.reports.group import GroupFigure
from ctwml_bids.statistics.cohort import Cohort, Part
from ctwml_bids.statistics.columns import OVERLAP, group_labels, unit_column
from ctwml_bids.statistics.fazekas import GROUPS
from ctwml_bids.statistics.strata import summarise, summarise_measure
from ctwml_bids.statistics.tables import MISSING, number_in


def figures(
    cohort: Cohort, output_dir: Path, *, source: str, model_label: str = ""
) -> list[GroupFigure]:
    """Make all figures; one that cannot be drawn says why in its sentence.

    Parameters
    ----------
    cohort
        The results.
    output_dir
        Has the example picture of each unit.
    source
        Where the Fazekas thresholds are from, for the sentence.
    model_label
        The ``--desc`` of the run.
    """
    pairs = [row for row in cohort.rows() if row["in_agreement"] == "yes"]
    top = 1.05 * max(1.0, *_finite(cohort.rows(), "ct_wml_ml", "flair_wml_ml"))
    return [
        *_against_flair(cohort.whole, pairs, by_group(cohort)),
        *(_by_rating(cohort, image, top, source) for image in IMAGES),
        _examples(cohort, output_dir, model_label),
    ]


def why_no_pairs(cohort: Cohort) -> str:
    """Say why nothing is compared, in terms of what the units have; empty where some are."""
    if cohort.whole.agreement.pairs:
        return ""
    reasons = {row["in_agreement"] for row in cohort.units}
    if reasons <= {"no: without FLAIR", "no: without CT"}:
        return "No unit has both a CT and a FLAIR, so there is nothing to compare."
    return (
        "Every unit with CT and FLAIR failed a quality gate, does not line up or was left out, so "
        "none is compared."
    )


def _against_flair(
    whole: Part, pairs: Sequence[Row], parts: Mapping[str, Part]
) -> list[GroupFigure]:
    flair, ct = _column(pairs, "flair_wml_ml"), _column(pairs, "ct_in_flair_ml")
    found, part = asdict(whole.agreement), _plain(whole)
    dice, dice_numbers = sentences.dice(part, {g: _plain(p) for g, p in parts.items()})
    summaries = {name: asdict(summarise_measure(pairs, name)) for name in OVERLAP}
    overlap, overlap_numbers = sentences.overlap(summaries, group_labels())
    scatter, scatter_numbers = sentences.correlation(found)
    difference, difference_numbers = sentences.difference(found)
    if not pairs:
        dice = overlap = scatter = difference = found["note"]
        dice_numbers, overlap_numbers, scatter_numbers, difference_numbers = [], [], [], []
    count = f"in {len(pairs)} units"
    # Their Dice of 1 stands for no overlap that could be seen.
    lesions = [row for row in pairs if row["both_empty"] != "true"]
    drawn = bool(pairs)
    return [
        GroupFigure(
            "figure-2a_dice",
            "Dice by lesion volume (Fig. 2a)",
            "Above, how FLAIR volumes lie in each Fazekas group (median, quartiles). Units "
            "without a lesion on either image are not drawn.",
            f"Dice of CT with FLAIR over the FLAIR volume in {len(lesions)} units",
            dice,
            tuple(dice_numbers),
            plots_groups.dice_by_volume(
                _column(lesions, "flair_wml_ml"),
                _column(lesions, "dice"),
                [_group_index(row) for row in lesions],
            )
            if lesions
            else None,
        ),
        GroupFigure(
            "figure-2b_overlap",
            "Correctly and incorrectly segmented volumes (Fig. 2b)",
            "Volumes in FLAIR space, with FLAIR as the reference.",
            f"Volumes on both images and on one alone over the FLAIR volume {count}",
            overlap,
            tuple(overlap_numbers),
            plots_groups.correct_and_incorrect(
                flair, *(_column(pairs, name) for name in OVERLAP[:3])
            )
            if drawn
            else None,
        ),
        GroupFigure(
            "figure-3a_scatter",
            "CT against FLAIR volumes (Fig. 3a)",
            "Volumes in FLAIR space; each point is a unit. The Deming line allows both to err.",
            f"Scatter plot of lesion volumes from CT against FLAIR {count}",
            scatter,
            tuple(scatter_numbers),
            plots.scatter(flair, ct, found) if drawn else None,
        ),
        GroupFigure(
            "figure-3b_bland-altman",
            "Bland–Altman (Fig. 3b)",
            "Differences CT − FLAIR over the mean of both; bias and 95% limits with their "
            "intervals by formula as bands.",
            f"Bland–Altman plot of lesion volumes from CT and FLAIR {count}",
            difference,
            tuple(difference_numbers),
            plots.bland_altman(flair, ct, found) if drawn else None,
        ),
    ]


def _by_rating(cohort: Cohort, image: str, top: float, source: str) -> GroupFigure:
    """Fig. 4a or 4b."""
    rows = [
        row
        for row in cohort.rows()
        if row["fazekas_group"] != MISSING and row[unit_column(image, "wml_ml")] != MISSING
    ]
    name, letter = image.upper(), "ab"[IMAGES.index(image)]
    volumes = _column(rows, unit_column(image, "wml_ml"))
    groups = [_group_index(row) for row in rows]
    summaries = {
        name: asdict(summarise(v for v, of in zip(volumes, groups, strict=True) if of == g))
        for g, name in enumerate(GROUPS)
    }
    classified, whole = cohort.classification[image], cohort.whole
    cuts = classified.thresholds
    thresholds = (cuts.low, cuts.high) if cuts is not None else None
    found = {
        "spearman": asdict(whole.spearman[image]),
        "share_right": asdict(whole.share_right[image]),
        "kappa": asdict(whole.kappa[image]),
        "thresholds": thresholds,
        "folds": classified.folds,
        "source": f"thresholds from {source}",
        "note": classified.note,
    }
    sentence, numbers = sentences.groups(name, summaries, found)
    return GroupFigure(
        f"figure-4{letter}_fazekas-{image}",
        f"{name} volumes by Fazekas group (Fig. 4{letter})",
        "Boxes: median and quartiles; lines: the thresholds between groups.",
        f"Lesion volumes on {name} by visual Fazekas group in {len(rows)} units",
        sentence,
        tuple(numbers),
        plots_groups.volume_by_group(volumes, groups, image=name, top_ml=top, thresholds=thresholds)
        if rows
        else None,
    )


def _examples(cohort: Cohort, output_dir: Path, model_label: str) -> GroupFigure:
    """Fig. 5: of each Fazekas group the pair whose FLAIR volume is nearest to the median."""
    pairs = [row for row in cohort.rows() if row["in_agreement"] == "yes"]
    chosen = []
    groups = [g for g in GROUPS if any(row["fazekas_group"] == g for row in pairs)]
    for group in groups or [MISSING]:
        members = [row for row in pairs if row["fazekas_group"] == group]
        if found := _typical(members, output_dir, model_label):
            chosen.append((group, *found))
    sentence = (
        "No example can be shown: no pair that takes part has an example picture (the participant "
        "level writes one; --reports-only adds it to units of former versions)."
    )
    if chosen:
        shown = ", ".join(f"{row['unit']} ({rated(group)})" for group, row, _ in chosen)
        sentence = (
            "Examples of CT and FLAIR segmentations"
            + (" for the Fazekas groups" if groups else "")
            + f": {shown}, each with the FLAIR volume nearest to the median of its group."
        )
    return GroupFigure(
        "figure-5_examples",
        "Example segmentations (Fig. 5)",
        "The axial slice with most lesions, CT on the FLAIR's grid, lesions outlined in yellow; "
        "the patient's right is on the left.",
        "CT and FLAIR of one unit of each Fazekas group, plain and with lesions outlined",
        sentence,
        tuple(
            (row["unit"], f"FLAIR {row['flair_wml_ml']:.1f} mL, CT {row['ct_in_flair_ml']:.1f} mL")
            for _, row, _ in chosen
        ),
        examples([(rated(group), png) for group, _, png in chosen]) if chosen else None,
    )


def _typical(rows: Sequence[Row], output_dir: Path, model_label: str) -> tuple[Row, bytes] | None:
    """Return the unit nearest to the median that has a picture, of those without a flag first."""
    if not rows:
        return None
    middle = float(np.median(_column(rows, "flair_wml_ml")))

    def order(row: Row) -> tuple[bool, float]:
        return (row["qc"] != "pass", abs(number_in(row["flair_wml_ml"]) - middle))

    for row in sorted(rows, key=order):
        path = output_dir / picture_of(row, *labels_of(row["unit"]), model_label)
        if path.is_file():
            return row, path.read_bytes()
    return None


def by_group(cohort: Cohort) -> dict[str, Part]:
    """Return the parts by rated Fazekas group."""
    return {part.stratum: part for part in cohort.parts if part.by == "fazekas"}


def _plain(part: Part) -> dict[str, object]:
    return {
        "dice": asdict(part.dice),
        "both_empty": part.both_empty,
        "agreement": {"pairs": part.agreement.pairs},
    }


def _group_index(row: Row) -> int:
    return -1 if row["fazekas_group"] == MISSING else GROUPS.index(row["fazekas_group"])


def rated(group: str) -> str:
    """Name a rated group for people."""
    return "not rated" if group == MISSING else f"Fazekas {group.replace('-', '–')}"


def _column(rows: Sequence[Row], name: str) -> list[float]:
    return [number_in(row[name]) for row in rows]


def _finite(rows: Sequence[Row], *columns: str) -> list[float]:
    values = [number_in(row[name]) for row in rows for name in columns]
    return [value for value in values if math.isfinite(value)] or [0.0]
