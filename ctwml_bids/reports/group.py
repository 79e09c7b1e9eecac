"""The report of a whole group: one HTML file beside the reports of its units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ctwml_bids.reports.html import render
from ctwml_bids.reports.plots import Drawing

SHOWN_OUTLIERS = 20
SHOWN_EXCLUDED = 30


@dataclass(frozen=True)
class GroupFigure:
    """A figure of the group report.

    Attributes
    ----------
    stem
        Its file name without ending, such as ``figure-3a_scatter``.
    title, caption, alt
        Heading with its number in the paper; how to read it; what it shows, for those who cannot
        see it.
    sentence, numbers
        What a paper would print, and label and value of every number.
    drawing
        The figure; None where it cannot be drawn, as the sentence then says.
    """

    stem: str
    title: str
    caption: str
    alt: str
    sentence: str
    numbers: tuple[tuple[str, str], ...] = ()
    drawing: Drawing | None = None


@dataclass(frozen=True)
class GroupReport:
    """Everything that the group report says.

    Attributes
    ----------
    version, created
        Of ctwml_bids; ISO time.
    units
        Rows of ``group/units.tsv``, each with ``unit``, ``qc``, ``included`` and ``report``
        (file name of the unit's report beside the page, or "").
    columns
        Column of units.tsv → label, digits; of these the page shows what any unit has.
    failures
        Units without results: ``unit``, ``state`` and ``reason``.
    excluded
        Units that ``--exclude`` or the column ``exclude`` left out: ``unit`` and ``reason``.
    outliers
        ``unit`` and ``reason``, the most deviant first.
    notes
        What is missing from the cohort, in sentences.
    demographics
        Table 1: rows of demographics.tsv.
    measures
        Headings (all, then the Fazekas groups), and rows of a label and one text for each of them.
    confusion
        Image, its 3 × 3 counts, rated by rows, and the share that is right, in words.
    strata
        Rows of the table of results by part of the cohort.
    figures
        In the order of the paper.
    include_failed_qc
        Units that failed quality control were kept on request.
    folder
        Of tables and figures beside the page.
    """

    version: str
    created: str
    units: tuple[Mapping[str, object], ...]
    columns: Mapping[str, tuple[str, int]]
    failures: tuple[Mapping[str, object], ...] = ()
    excluded: tuple[Mapping[str, object], ...] = ()
    outliers: tuple[Mapping[str, object], ...] = ()
    notes: tuple[str, ...] = ()
    demographics: tuple[Mapping[str, object], ...] = ()
    measures: tuple[Sequence[str], Sequence[tuple[str, Sequence[str]]]] = ((), ())
    confusion: tuple[tuple[str, Sequence[Sequence[int]], str], ...] = ()
    strata: tuple[Mapping[str, object], ...] = ()
    figures: tuple[GroupFigure, ...] = ()
    include_failed_qc: bool = False
    folder: str = "group"


def render_group(report: GroupReport) -> str:
    """Return the group report as one self-contained HTML page.

    Parameters
    ----------
    report
        What it says. All text is escaped.

    Returns
    -------
    str
        HTML whose one script sorts and filters the table of units; it links to the units' reports
        and to the files of the group beside it, and to nothing else.
    """
    shown = {
        name: label
        for name, label in report.columns.items()
        if any(row.get(name, "n/a") != "n/a" for row in report.units)
    }
    failed_qc = [row for row in report.units if row["qc"] == "fail"]
    return render(
        "group.html.j2",
        report=report,
        columns=shown,
        failed_qc=failed_qc[:SHOWN_EXCLUDED],
        failed_qc_count=len(failed_qc),
        failures=report.failures[:SHOWN_EXCLUDED],
        excluded=report.excluded[:SHOWN_EXCLUDED],
        outliers=report.outliers[:SHOWN_OUTLIERS],
        ordered=_ordered(report),
        links={
            **{failure["unit"]: failure.get("report", "") for failure in report.failures},
            **{row["unit"]: row["report"] for row in report.units},
        },
        group_names=("0–1", "2", "3"),
    )


def _ordered(report: GroupReport) -> list[Mapping[str, object]]:
    """Return the units, those to look at first at the top."""
    place = {outlier["unit"]: at for at, outlier in enumerate(report.outliers)}
    last = len(place)

    def order(row: Mapping[str, object]) -> tuple[int, int]:
        return (row["qc"] != "fail", place.get(row["unit"], last))

    measures = [name for name, (_, digits) in report.columns.items() if digits]
    return [
        {**row, **_with_decimals(row, measures), "outlier": row["unit"] in place}
        for row in sorted(report.units, key=order)
    ]


def _with_decimals(row: Mapping[str, object], measures: Sequence[str]) -> dict[str, float]:
    """Return the measures that happen to be whole, to be written as the others of their column."""
    return {name: float(value) for name in measures if isinstance(value := row.get(name), int)}
