"""The report of one subject or session: one HTML file that needs nothing else to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ctwml_bids.reports.html import render
from ctwml_bids.reports.methods import MethodsSection

SHOWN_LESIONS = 25

VERDICTS = {
    "pass": ("Pass", "No quality gate raised a flag."),
    "warn": ("Look first", "A quality gate asks for a look before the numbers are used."),
    "fail": (
        "Failed",
        "A quality gate failed. The outputs are kept, but the group level leaves this unit out.",
    ),
}

# Column of the statistics table → label, unit, digits.
MEASURES = {
    "wml_ml": ("White matter lesions", "mL", 2),
    "wml_percent": ("Share of the brain mask", "%", 2),
    "lesion_count": ("Lesions of at least 0.014 mL", "", 0),
    "lesion_median_ml": ("Median lesion", "mL", 3),
    "lesion_largest_ml": ("Largest lesion", "mL", 2),
    "speck_ml": ("In foci too small to be counted", "mL", 2),
    "periventricular_ml": ("Periventricular (within 10 mm of the ventricles)", "mL", 2),
    "deep_ml": ("Deep (beyond 10 mm)", "mL", 2),
    "left_ml": ("Left hemisphere", "mL", 2),
    "right_ml": ("Right hemisphere", "mL", 2),
    "brain_ml": ("Brain mask", "mL", 0),
    "ventricle_ml": ("Ventricles", "mL", 1),
    "fazekas_group": ("Fazekas group by volume", "", 0),
    "threshold": ("Probability threshold", "", 2),
    "model": ("Model", "", 0),
}
PAIR_MEASURES = {
    "dice": ("Dice overlap", "", 3),
    "true_positive_ml": ("Lesion on both", "mL", 2),
    "ct_only_ml": ("On CT only", "mL", 2),
    "flair_only_ml": ("On FLAIR only", "mL", 2),
    "h95_mm": ("95th-percentile Hausdorff distance", "mm", 1),
    "avd_percent": ("Absolute volume difference", "%", 1),
    "lesion_recall": ("FLAIR lesions touched by CT", "share", 2),
    "lesion_f1": ("Lesion F1", "", 2),
}


@dataclass(frozen=True)
class Figure:
    """A picture of the report.

    Attributes
    ----------
    title, caption
        Heading, and what to see in it.
    alt
        What it shows, for those who cannot see it.
    png
        The picture.
    second_png, names
        For a pair of pictures shown in turn: the second one, and what both are called.
    """

    title: str
    caption: str
    alt: str
    png: bytes
    second_png: bytes = b""
    names: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class SubjectReport:
    """Everything that one subject's report says; JSON-able apart from figures and methods.

    Attributes
    ----------
    unit
        ``sub-X`` or ``sub-X_ses-Y``.
    version, created
        Of ctwml_bids; ISO time.
    rows
        Rows of the statistics table (`statistics.tables.unit_rows`).
    gates
        Quality gates as dictionaries: name, value, unit, status, limits, message.
    methods
        From `reports.methods.methods`.
    figures
        In the order they are shown.
    images
        One dictionary per image, e.g. {"Image": "CT", "File": "...", "Voxels": "..."}.
    notes, warnings
        Why these images were chosen; what reading them revealed.
    lesions
        Rows of the lesion table (`statistics.tables.lesion_rows`).
    models
        Model cards as dictionaries.
    settings, software
        Names and values.
    fazekas
        ``ct`` and/or ``flair`` → group and sentence (`statistics.thresholds`); empty where no
        thresholds were given.
    """

    unit: str
    version: str
    created: str
    rows: tuple[Mapping[str, Any], ...]
    gates: tuple[Mapping[str, Any], ...]
    methods: MethodsSection
    figures: tuple[Figure, ...] = ()
    images: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    lesions: tuple[Mapping[str, Any], ...] = ()
    models: tuple[Mapping[str, Any], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    software: Mapping[str, Any] = field(default_factory=dict)
    fazekas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def render_subject(report: SubjectReport) -> str:
    """Return the report as one self-contained HTML page.

    Parameters
    ----------
    report
        What it says. All text is escaped.

    Returns
    -------
    str
        HTML without scripts or references to anything outside the page.
    """
    by_image = {row["image"]: row for row in report.rows}
    status = _worst(report.gates)
    flagged = [gate for gate in report.gates if gate["status"] != "pass"]
    return render(
        "subject.html.j2",
        report=report,
        status=status,
        verdict=VERDICTS[status],
        flagged=sorted(flagged, key=lambda gate: gate["status"] != "fail"),
        key_numbers=_key_numbers(by_image, report.fazekas),
        columns=[name for name in ("ct", "flair") if name in by_image],
        by_image=by_image,
        measures={name: MEASURES[name] for name in _measured(by_image)},
        pair_measures=PAIR_MEASURES,
        shown_lesions=_largest(report.lesions),
        hidden_lesions=max(0, len(report.lesions) - len(_largest(report.lesions))),
    )


def _key_numbers(
    rows: Mapping[str, Mapping[str, Any]], fazekas: Mapping[str, Mapping[str, Any]]
) -> list[tuple[str, Any, str, int]]:
    """Return label, value, unit, digits of the numbers at the top."""
    found = []
    for name in ("ct", "flair"):
        if name in rows:
            label = f"White matter lesions on {name.upper()}"
            found.append((label, rows[name]["wml_ml"], "mL", 1))
            found.append((f"of the brain, on {name.upper()}", rows[name]["wml_percent"], "%", 2))
    for name, stated in fazekas.items():
        group = str(stated["group"]).replace("-", "–")
        found.append((f"Fazekas group by volume, on {name.upper()}", group, "", 0))
    if "pair" in rows:
        empty = " (no lesion on either)" if rows["pair"].get("both_empty") in (True, "true") else ""
        found.append((f"Dice overlap of CT and FLAIR{empty}", rows["pair"]["dice"], "", 2))
    return found


def _measured(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the measures to show: all, but for a Fazekas group that nobody asked for."""
    asked = any(row.get("fazekas_group", "n/a") != "n/a" for row in rows.values())
    return [name for name in MEASURES if asked or name != "fazekas_group"]


def _worst(gates: tuple[Mapping[str, Any], ...]) -> str:
    order = ("pass", "warn", "fail")
    return max((gate["status"] for gate in gates), key=order.index, default="pass")


def _largest(lesions: tuple[Mapping[str, Any], ...]) -> list[Mapping[str, Any]]:
    """Return the largest lesions of each image, in the order of the table."""
    return [row for row in lesions if row["lesion"] <= SHOWN_LESIONS]
