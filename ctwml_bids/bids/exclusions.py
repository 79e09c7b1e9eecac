"""Who is left out: by lists of labels, and by a column of the tables of people.

One who was to be left out and is written in another way than the data set has the label would stay
in: that is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ctwml_bids.bids.labels import meant, read_label, read_unit, subjects_of
from ctwml_bids.bids.people import PERSON, SESSION, PeopleTable, joined, told_near
from ctwml_bids.bids.tables import MISSING, is_missing, read_lines, split_list
from ctwml_bids.errors import BadDataError, InvalidInputError

EXCLUDE, REASON = "exclude", "reason"
# What a cell of the column exclude says, besides nothing, where its person stays in; where the
# person does not and no reason is given; and what says neither.
_STAYS = ("no", "n", "false", "f", "0", "0.0")
_LEAVES = ("yes", "y", "true", "t", "1", "1.0")
_NEITHER = ("na", "nan", "none", "null", "-", "?")
# Names that may have been meant for the column.
_LIKE_EXCLUDE = ("excluded", "excludes", "exclusion", "excl", "exlude", "exclud")


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


def left_out(table: PeopleTable, units: Collection[str]) -> Exclusions:
    """Return whom the column ``exclude`` of a table leaves out, and why.

    ``n/a``, nothing, ``no``, ``false`` and ``0`` keep a person in; ``yes``, ``true`` and ``1``
    leave the person out, and so does any other text, which is the reason.

    Parameters
    ----------
    table
        The table; without the column it leaves out nobody.
    units
        ``sub-X`` or ``sub-X_ses-Y`` of the units that there are.

    Raises
    ------
    BadDataError
        A cell says neither; one who is left out is not among the units, but has a label near that
        of one; or there is no column of the name, but one that may have been meant.
    """
    name = table.column(EXCLUDE)
    if name is None:
        for given in table.columns:
            if re.sub(r"[^a-z]", "", given.lower()) in _LIKE_EXCLUDE:
                raise BadDataError(
                    f"{table.path}: has a column {given}, and none of the name {EXCLUDE}, which "
                    f"leaves people out. Rename it, or add a column {EXCLUDE} ({MISSING} for those "
                    f"who stay in). {table.advice}"
                )
        return Exclusions()
    reasons, places = {}, {}
    for (who, session), (line, row) in table.rows.items():
        try:
            leaves, reason = says_leave_out(row[name])
        except ValueError as error:
            raise BadDataError(
                f"{table.path}, line {line}: the {name} of {who}: {error}. {table.advice}"
            ) from error
        if not leaves:
            continue
        label = joined(who, session)
        if like := meant(label, units):
            raise BadDataError(told_near(table.table, line, label, like[0]))
        reasons[label] = f"excluded in {table.path.name}{f': {reason}' if reason else ''}"
        places[label] = f"{table.path}, line {line}"
    return Exclusions(reasons, places)


def says_leave_out(text: str) -> tuple[bool, str]:
    """Tell what a cell of the column ``exclude`` says.

    Returns
    -------
    leaves, reason
        Whether its person is left out; and why, empty where it does not say.

    Raises
    ------
    ValueError
        It says neither.
    """
    said = text.strip().lower()
    if is_missing(said) or said in _STAYS:
        return False, ""
    if said in _NEITHER:
        raise ValueError(
            f"{text!r} says neither that somebody is left out nor not; write the reason, or "
            f"{MISSING} for who stays in"
        )
    return True, "" if said in _LEAVES else text.strip()


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
