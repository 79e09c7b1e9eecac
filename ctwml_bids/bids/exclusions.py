"""Who is left out: by lists of labels, and by a column of the tables of people.

One who was to be left out and is written in another way than the data set has the label would stay
in: that is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from ctwml_bids.bids.exclusion_words import (
    begins_with_label,
    like_exclude,
    names_columns,
    says_leave_out,
)
from ctwml_bids.bids.labels import meant, near, read_label, read_unit, subjects_of
from ctwml_bids.bids.people import (
    PERSON,
    SESSION,
    PeopleTable,
    how_to_write,
    joined,
    told_near,
)
from ctwml_bids.bids.tables import MISSING, is_missing, read_lines, split_list
from ctwml_bids.bids.unit_folders import unit_of
from ctwml_bids.errors import BadDataError, InvalidInputError

EXCLUDE, REASON = "exclude", "reason"
# Columns of a list that may have been meant for session_id.
_LIKE_SESSION = ("session", "ses", "sessionid", "sessions", "sesid")


@dataclass(frozen=True)
class Exclusions:
    """Who is left out.

    Attributes
    ----------
    reasons
        ``sub-X`` or ``sub-X_ses-Y`` → why.
    places
        The same → file and line, for those whom a list or a table names.
    asides
        The same → cells of the line of a list that no column is named for: reasons, unless one is
        a label of the data set (`strangers`).
    """

    reasons: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    asides: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __or__(self, other: Exclusions) -> Exclusions:
        """Join two; where both name somebody, the reason is the second's."""
        return Exclusions(
            {**self.reasons, **other.reasons},
            {**self.places, **other.places},
            {**self.asides, **other.asides},
        )


def read_list(path: Path) -> Exclusions:
    """Read a list of who is left out.

    Tabs, commas or semicolons are between its cells. Lines that begin with ``#`` are remarks. A
    first line with ``participant_id`` names the columns; then ``session_id``, ``exclude`` (as in
    participants.tsv) and ``reason`` have their meaning, and otherwise the second is the reason.
    One line names one subject or unit: a label where the reason belongs is refused.

    Raises
    ------
    NoInputError
        The file is not there.
    BadDataError
        It cannot be read, or is not text in UTF-8.
    InvalidInputError
        A line has no label, or a second one, or does not tell whether its person is left out; or
        the first line names columns that are not those above.
    """
    reasons: dict[str, str] = {}
    places: dict[str, str] = {}
    asides: dict[str, tuple[str, ...]] = {}
    for place, label, reason, aside in _rows(path):
        reasons[label] = f"excluded by {path.name}{f': {reason}' if reason else ''}"
        places[label] = place
        asides[label] = (*asides.get(label, ()), *aside)
    return Exclusions(reasons, places, asides)


def excluded(exclude: Sequence[str]) -> Exclusions:
    """Return who is left out, and why.

    Parameters
    ----------
    exclude
        Labels of subjects or units, or absolute paths of files (`read_list`).

    Raises
    ------
    NoInputError, BadDataError
        A file is not there, or cannot be read.
    InvalidInputError
        A label, or a line of a file, is none; or a label is the name of a file, too.
    """
    found = Exclusions()
    for one in exclude:
        found |= read_list(Path(one)) if "/" in one else _named(one)
    return found


def names_file(text: str) -> str:
    """Say how to tell a label from a file of that name in the working folder; empty without one.

    Taken for a label, a list of people would leave out nobody.
    """
    path = Path(text)
    if not os.path.lexists(path) or path.is_dir():
        return ""
    return (
        f"{text!r} is read as a label, and there is a file of that name in {Path.cwd()}; write "
        f"./{text} for the list, or rename the file if the label is meant"
    )


def _named(text: str) -> Exclusions:
    if why := names_file(text):
        raise InvalidInputError(f"--exclude: {why}.")
    try:
        return Exclusions({read_unit(text): "excluded by --exclude"})
    except ValueError as error:
        raise InvalidInputError(f"--exclude: {error}") from error


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
        A label comes near that of a subject or unit, or a line of a list has a second label where
        its reason belongs: who was to be left out would stay in.
    """
    there = subjects_of(units) | set(units)
    for label, cells in exclusions.asides.items():
        for cell in cells:
            if other := _label_in(cell, label, units):
                raise InvalidInputError(_told_second(exclusions.places[label], cell, other))
    for label in exclusions.reasons:
        if like := meant(label, units):
            where = exclusions.places.get(label, "--exclude")
            raise InvalidInputError(
                f"{where}: {label} is to be left out and is not here, and {like[0]} is: "
                f"{how_to_write(label, like[0])}."
            )
    return {label: why for label, why in exclusions.reasons.items() if label not in there}


def why_left_out(
    reasons: Mapping[str, str], unit: str, images: Iterable[str] = ()
) -> tuple[str, str] | None:
    """Say whether a unit is left out: by its own label, its subject's, or that of an image's.

    Parameters
    ----------
    reasons
        ``sub-X`` or ``sub-X_ses-Y`` → why it is left out.
    unit
        Label of the unit.
    images
        Paths in the data set of its images. A CT may have the FLAIR of another session: where
        that session is left out, nothing may be made of its image.

    Returns
    -------
    label, reason
        Who is left out, and why; None where the unit stays in.
    """
    for label in (unit, unit.partition("_ses-")[0]):
        if label in reasons:
            return label, reasons[label]
    for image in images:
        if (label := unit_of(image)) in reasons:
            return label, f"its image {PurePath(image).name} is of {label}: {reasons[label]}"
    return None


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
        if given := like_exclude(table.columns):
            raise BadDataError(f"{table.path}: {_told_like(given)} {table.advice}".rstrip())
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


def _rows(path: Path) -> Iterator[tuple[str, str, str, Sequence[str]]]:
    """Yield the place (file and line), label and reason of those left out, and cells of no column.

    Those are all but the first where no columns are named.
    """
    columns: list[str] = []
    named = 1
    for line, text in read_lines(path):
        cells = split_list(text)
        if not any(cells) or cells[0].startswith("#"):
            continue
        place = f"{path}, line {line}"
        if not columns:
            columns = _columns(place, cells)
            if columns:
                named = len(columns)
                continue
            columns = [PERSON, REASON]
        row = dict(zip(columns, cells, strict=False))
        try:
            leaves, reason = says_leave_out(row.get(EXCLUDE, "yes"))
            session = row.get(SESSION, "")
            label = read_unit(row.get(PERSON, ""))
            if not is_missing(session):
                label = f"{label}_{read_label(session, 'ses-')}"
            said = [] if reason else _reason(columns, cells)
            if leaves and said and EXCLUDE not in columns and not says_leave_out(said[0])[0]:
                raise ValueError(
                    f"{said[0]!r} after {label} may mean that it stays in, and a list leaves out "
                    "whom it names; write a reason, or remove the line"
                )
        except ValueError as error:
            raise InvalidInputError(f"{place}: {error} (--exclude); correct the line") from error
        if not leaves:
            continue
        for cell in said:
            if begins_with_label(cell):
                raise InvalidInputError(_told_second(place, cell, cell))
        yield place, label, reason or ", ".join(said), [cell for cell in cells[named:] if cell]


def _columns(place: str, cells: Sequence[str]) -> list[str]:
    """Return the names of the columns that a first line gives; none where it gives none."""
    columns = [cell.lower() for cell in cells]
    if PERSON not in columns:
        if names_columns(cells[0]):
            raise InvalidInputError(
                f"{place}: {cells[0]!r} seems to name a column and to be nobody's label; write "
                f"{PERSON} for the column of labels (--exclude), or sub- before a label."
            )
        return []
    if EXCLUDE not in columns and (given := like_exclude(cells)):
        raise InvalidInputError(f"{place}: {_told_like(given)}")
    for name in columns:
        if SESSION not in columns and re.sub(r"[^a-z]", "", name) in _LIKE_SESSION:
            raise InvalidInputError(
                f"{place}: has a column {name}, and none of the name {SESSION}: whole subjects "
                f"would be left out. Rename it {SESSION}, or remove it (--exclude)."
            )
    return columns


def _reason(columns: Sequence[str], cells: Sequence[str]) -> list[str]:
    """Return the cells that a line gives as the reason: that column, else the second."""
    at = columns.index(REASON) if REASON in columns else 1
    if at < len(columns) and columns[at] in (PERSON, SESSION, EXCLUDE):
        return []
    # The last column may have separators in it that are meant as text.
    said = cells[at:] if at >= len(columns) - 1 else cells[at : at + 1]
    return [cell for cell in said if not is_missing(cell)]


def _label_in(cell: str, label: str, units: Collection[str]) -> str | None:
    """Return the subject, unit or session of `label` that a cell is or comes near; or None."""
    subject = label.partition("_ses-")[0]
    known = {*units, *subjects_of(units)} - {subject}
    for whole, others in (
        (f"sub-{cell}", known),
        (cell, known),
        (f"{subject}_ses-{cell}", {unit for unit in units if unit.startswith(f"{subject}_ses-")}),
    ):
        if whole in others:
            return whole
        if like := near(whole, others):
            return like[0]
    return None


def _told_second(place: str, cell: str, other: str) -> str:
    again = "" if other == cell else f", as {other} is"
    return (
        f"{place}: {cell!r} stands where the reason belongs and may be a label{again}: write one "
        "label on a line (sub-X, or sub-X_ses-Y for one session), and then perhaps the reason "
        "(--exclude)."
    )


def _told_like(given: str) -> str:
    return (
        f"has a column {given}, and none of the name {EXCLUDE}, which leaves people out. Rename "
        f"it, or add a column {EXCLUDE} ({MISSING} for those who stay in)."
    )
