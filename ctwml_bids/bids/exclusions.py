"""Lists of who is left out: a label in the first column of each line, perhaps a reason after it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ctwml_bids.bids.labels import meant, read_label, read_unit, subjects_of
from ctwml_bids.bids.people import EXCLUDE, PERSON, SESSION, says_leave_out
from ctwml_bids.bids.tables import is_missing, read_lines, split_list
from ctwml_bids.errors import InvalidInputError

REASON = "reason"


@dataclass(frozen=True)
class Exclusions:
    """Who is left out.

    Attributes
    ----------
    reasons
        ``sub-X`` or ``sub-X_ses-Y`` → why.
    places
        The same → file and line, for those whom a list or a table names. It may name people
        without images; who is named by hand has to be there.
    """

    reasons: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)

    def __or__(self, other: Exclusions) -> Exclusions:
        """Join two; where both name somebody, the reason is the second's."""
        return Exclusions({**self.reasons, **other.reasons}, {**self.places, **other.places})


def read_list(path: Path) -> Exclusions:
    """Read a list of who is left out.

    Tabs, commas or semicolons are between its cells. Lines that begin with ``#`` are remarks. A
    first line with ``participant_id`` names the columns; then ``session_id``, ``exclude`` (as in
    participants.tsv) and ``reason`` have their meaning, and otherwise the second is the reason.

    Raises
    ------
    NoInputError
        The file is not there.
    BadDataError
        It cannot be read, or is not text in UTF-8.
    InvalidInputError
        A line has no label, or a cell of ``exclude`` says neither.
    """
    reasons, places = {}, {}
    for place, label, reason in _rows(path):
        reasons[label] = f"excluded by {path.name}{f': {reason}' if reason else ''}"
        places[label] = place
    return Exclusions(reasons, places)


def strangers(exclusions: Exclusions, units: Collection[str]) -> dict[str, str]:
    """Return those who are left out but are not there, with why they were to be left out.

    Parameters
    ----------
    exclusions
        Who is left out.
    units
        ``sub-X`` or ``sub-X_ses-Y`` of all units that there are.

    Raises
    ------
    InvalidInputError
        A label comes near that of a subject or unit: who was to be left out would stay in.
    """
    there = subjects_of(units) | set(units)
    for label in exclusions.reasons:
        if like := meant(label, units):
            where = exclusions.places.get(label, "--exclude")
            raise InvalidInputError(
                f"{where}: {label} is to be left out and is not here, and {like[0]} is: write the "
                "label as the folder of the images has it."
            )
    return {label: why for label, why in exclusions.reasons.items() if label not in there}


def _rows(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield the place (file and line), label and reason of those who are left out."""
    columns: list[str] = []
    for line, text in read_lines(path):
        cells = split_list(text)
        if not any(cells) or cells[0].startswith("#"):
            continue
        if not columns:
            named = [cell.lower() for cell in cells]
            columns = named if PERSON in named else [PERSON, REASON]
            if PERSON in named:
                continue
        row = dict(zip(columns, cells, strict=False))
        place = f"{path}, line {line}"
        try:
            leaves, reason = says_leave_out(row.get(EXCLUDE, "yes"))
            session = row.get(SESSION, "")
            label = read_unit(row.get(PERSON, ""))
            if not is_missing(session):
                label = f"{label}_{read_label(session, 'ses-')}"
        except ValueError as error:
            raise InvalidInputError(f"{place}: {error} (--exclude); correct the line") from error
        if leaves:
            yield place, label, reason or _reason(columns, cells)


def _reason(columns: Sequence[str], cells: Sequence[str]) -> str:
    """Return what a line gives as the reason: that column, else the second."""
    at = columns.index(REASON) if REASON in columns else 1
    if at < len(columns) and columns[at] in (PERSON, SESSION, EXCLUDE):
        return ""
    # The last column may have separators in it that are meant as text.
    said = cells[at:] if at >= len(columns) - 1 else cells[at : at + 1]
    return ", ".join(cell for cell in said if cell)
