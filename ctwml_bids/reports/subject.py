"""The report of one subject or session: one HTML file that needs nothing else to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ctwml_bids.modality import IMAGES
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

# What a table has where there is no value.
MISSING = "n/a"
# Label, unit and digits of a measure.
Label = tuple[str, str, int]


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
    answers
        Names of the gates on whose questions it is looked at: it is closed unless one of them
        raised a flag. Empty where it is looked at in every report.
    """

    title: str
    caption: str
    alt: str
    png: bytes
    second_png: bytes = b""
    names: tuple[str, str] = ("", "")
    answers: tuple[str, ...] = ()


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
    measures, pair_measures
        Columns of those rows that are shown of one image and of the pair, in order.
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
        One sentence for each model (`model_sentence`) → its card, relative to the page.
    files
        What they are about → what each is → the file, relative to the page.
    group
        Page of the group, likewise.
    settings, software
        Names and values.
    fazekas
        ``ct`` and/or ``flair`` → group and sentence (`statistics.thresholds`); empty where no
        thresholds were given.
    """

    unit: str
    version: str
    created: str
    rows: tuple[Mapping[str, object], ...]
    gates: tuple[Mapping[str, object], ...]
    measures: Mapping[str, Label]
    pair_measures: Mapping[str, Label]
    methods: MethodsSection
    figures: tuple[Figure, ...] = ()
    images: tuple[Mapping[str, object], ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    lesions: tuple[Mapping[str, Any], ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    group: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    software: Mapping[str, object] = field(default_factory=dict)
    fazekas: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


def render_subject(report: SubjectReport) -> str:
    """Return the report as one self-contained HTML page.

    Parameters
    ----------
    report
        What it says. All text is escaped.

    Returns
    -------
    str
        HTML without scripts. All that it shows is in it; it links to files of its output folder.
    """
    by_image = {str(row["image"]): row for row in report.rows}
    status = _worst(report.gates)
    flagged = [gate for gate in report.gates if gate["status"] != "pass"]
    asked = {str(gate["name"]) for gate in flagged}
    return render(
        "subject.html.j2",
        report=report,
        status=status,
        verdict=VERDICTS[status],
        flagged=sorted(flagged, key=lambda gate: gate["status"] != "fail"),
        figures=[figure for figure in report.figures if not figure.answers],
        further=[
            (figure, bool(asked & {*figure.answers})) for figure in report.figures if figure.answers
        ],
        key_numbers=_key_numbers(by_image, report.fazekas),
        columns=[name for name in IMAGES if name in by_image],
        by_image=by_image,
        measures=_measured(report.measures, by_image),
        shown_lesions=_largest(report.lesions),
        hidden_lesions=max(0, len(report.lesions) - len(_largest(report.lesions))),
        mixed_up=[name.upper() for name in IMAGES if _may_be_infarcts(by_image.get(name))],
    )


def model_sentence(image: str, card: Mapping[str, Any]) -> str:
    """Say in one sentence what a model is.

    Parameters
    ----------
    image
        ``ct`` or ``flair``.
    card
        Fields of its card.
    """
    above = f"above {card['threshold']:g}"
    if (infarcts := card.get("infarct_threshold")) is not None:
        above += f" (infarcts: {infarcts:g})"
    text = (
        f"Lesions on {image.upper()} are where the model {card['name']} (version "
        f"{card['version']}) gives a probability {above}"
    )
    data = card.get("training", {}).get("data")
    return f"{text}; it was trained on {data}." if data else f"{text}."


def _may_be_infarcts(row: Mapping[str, object] | None) -> bool:
    """Tell whether infarcts may be part of an image's lesions, as its model has no such class."""
    return row is not None and row.get("infarct_ml", MISSING) == MISSING


def _key_numbers(
    rows: Mapping[str, Mapping[str, object]], fazekas: Mapping[str, Mapping[str, object]]
) -> list[tuple[str, object, str, int]]:
    """Return label, value, unit, digits of the numbers at the top."""
    found = []
    for name in IMAGES:
        if name in rows:
            label = f"White matter lesions on {name.upper()}"
            found.append((label, rows[name]["wml_ml"], "mL", 1))
            found.append((f"of the brain, on {name.upper()}", rows[name]["wml_percent"], "%", 2))
            if rows[name].get("infarct_ml", MISSING) != MISSING:
                found.append((f"Infarcts on {name.upper()}", rows[name]["infarct_ml"], "mL", 1))
    for name, stated in fazekas.items():
        group = str(stated["group"]).replace("-", "–")
        found.append((f"Fazekas group by volume, on {name.upper()}", group, "", 0))
    if "pair" in rows:
        empty = " (no lesion on either)" if rows["pair"].get("both_empty") in (True, "true") else ""
        found.append((f"Dice overlap of CT and FLAIR{empty}", rows["pair"]["dice"], "", 2))
    return found


def _measured(
    measures: Mapping[str, Label], rows: Mapping[str, Mapping[str, object]]
) -> dict[str, Label]:
    """Return the measures to show: all, but for those that only some runs have."""
    absent = {
        name
        for name in ("fazekas_group", "infarct_ml")
        if all(row.get(name, MISSING) == MISSING for row in rows.values())
    }
    return {name: of for name, of in measures.items() if name not in absent}


def _worst(gates: tuple[Mapping[str, object], ...]) -> str:
    order = ("pass", "warn", "fail")
    return max((str(gate["status"]) for gate in gates), key=order.index, default="pass")


def _largest(lesions: tuple[Mapping[str, Any], ...]) -> list[Mapping[str, Any]]:
    """Return the largest lesions of each image, in the order of the table."""
    return [row for row in lesions if row["lesion"] <= SHOWN_LESIONS]
