"""The tables of docs/outputs.md, made of what the program writes of its columns into JSON files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.page_words import Table
from ctwml_bids.bids.acquisitions import ACQUISITION
from ctwml_bids.group import tables
from ctwml_bids.statistics.columns import COLUMNS, LESION_COLUMNS

# Where the pages say more, by the name of the column.
MORE = {
    "infarct_ml": "[infarcts](#infarcts)",
    "ct_fazekas_group": "[one patient](group.md#fazekas-group-of-a-single-patient)",
    "qc": "[quality gates](#quality-gates)",
    "out_of_fold": "[glossary](glossary.md#out-of-fold)",
    "included": "[who is left out](group.md#who-is-left-out)",
}
# Files whose columns mean these.
LINKED = ("desc-wml_stats.tsv", "group/units.tsv")
# File → its columns.
FILES: dict[str, Callable[[], tables.Columns]] = {
    "desc-wml_stats.tsv": lambda: COLUMNS,
    "desc-wmllesions_stats.tsv": lambda: LESION_COLUMNS,
    "desc-acquisition_stats.tsv": lambda: ACQUISITION,
    "group/units.tsv": tables.unit_descriptions,
    "group/agreement.tsv": lambda: tables.AGREEMENT_COLUMNS,
    "group/measures.tsv": lambda: tables.MEASURE_COLUMNS,
    "group/demographics.tsv": lambda: tables.DEMOGRAPHICS_COLUMNS,
    "group/confusion.tsv": lambda: tables.CONFUSION_COLUMNS,
    "group/excluded.tsv": lambda: tables.EXCLUDED_COLUMNS,
}


def sections() -> dict[str, Callable[[], Table]]:
    """Return the makers of the tables by their names on the page, one for each file."""
    return {f"columns of {file}": partial(of_file, file) for file in FILES}


def of_file(file: str) -> Table:
    """Make the table of the columns of one file; what CT and FLAIR have alike is one row."""
    columns = FILES[file]()
    rows = []
    for name, about in columns.items():
        of_flair = name.replace("ct_", "flair_", 1) if name.startswith("ct_") else ""
        of_ct = name.replace("flair_", "ct_", 1) if name.startswith("flair_") else ""
        said = _what(name, about, linked=file in LINKED)
        if of_flair in columns and _alike(about, columns[of_flair]):
            rows.append([f"`{name}`, `{of_flair}`", _unit(about), said.replace(" (CT)", "")])
        elif not (of_ct in columns and _alike(columns[of_ct], about)):
            rows.append([f"`{name}`", _unit(about), said])
    return [["column", "unit", "what"], *rows]


def _alike(of_ct: Mapping[str, object], of_flair: Mapping[str, object]) -> bool:
    said = str(of_ct["Description"]).replace(" (CT)", " (FLAIR)")
    return " (FLAIR)" in said and said == of_flair["Description"]


def _unit(about: Mapping[str, object]) -> str:
    return str(about.get("Units", ""))


def _what(name: str, about: Mapping[str, object], *, linked: bool) -> str:
    """Return the description, the meaning of values that are few, and where there is more."""
    said = str(about["Description"])
    levels = about.get("Levels")
    if isinstance(levels, Mapping):
        said += ": " + ", ".join(f"`{value}` ({meaning})" for value, meaning in levels.items())
    return said + (f"; see {MORE[name]}" if linked and name in MORE else "")
