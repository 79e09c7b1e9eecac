"""What tables say of the people of a cohort: age, sex, visual ratings, who is left out.

Tables are participants.tsv, or a file like it (phenotype/*.tsv, sessions of one person in rows of
their own); this is their only reader. Whatever cannot be understood is refused with its line: a
rating that is silently dropped would bend the results, and so would a person who was to be left
out.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ctwml_bids.bids.labels import first_of, near, read_label, subjects_of
from ctwml_bids.bids.tables import MISSING, Table, is_missing, read_table
from ctwml_bids.errors import BadDataError, InvalidInputError

PERSON, SESSION = "participant_id", "session_id"
SHOWN = 3  # names in a message
CORRECT_IT = "Correct it there."
SEXES = {"f": "F", "female": "F", "m": "M", "male": "M", "o": "O", "other": "O"}


@dataclass(frozen=True)
class PeopleTable:
    """Rows of a table by participant, and by session where the table has sessions.

    Attributes
    ----------
    table
        As it is in its file.
    rows
        (participant, session or None) → line in the file, and cells by column.
    strangers
        How many people it lists besides the subjects that it was read for.
    visits
        Subjects without sessions of whom it has rows by session → the first, where all rows say
        the same; None where they differ, so that none of them is used.
    """

    table: Table
    rows: Mapping[tuple[str, str | None], tuple[int, Mapping[str, str]]]
    strangers: int = 0
    visits: Mapping[str, tuple[int, Mapping[str, str]] | None] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The file."""
        return self.table.path

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns as the file spells them."""
        return self.table.columns

    @property
    def advice(self) -> str:
        """What to do where something is wrong, a sentence."""
        return self.table.advice

    @property
    def people(self) -> set[str]:
        """``sub-X`` of all whom it lists."""
        return {who for who, _ in self.rows}

    def told_strangers(self, where: str) -> list[str]:
        """Count those whom it was not read for and who are `where`; nothing without any.

        With subjects of whom it has several rows by visit and no session is there.
        """
        told = []
        if self.strangers:
            who = "1 person who is" if self.strangers == 1 else f"{self.strangers} people who are"
            told.append(f"{self.path.name} lists {who} {where}")
        if differ := sorted(who for who, row in self.visits.items() if row is None):
            told.append(
                f"{self.path.name} has rows by {SESSION} that differ, and the data set no "
                f"sessions, of {first_of(differ, SHOWN)}: none of these rows is used; a "
                f"row with {MISSING} as {SESSION} is"
            )
        return told

    def column(self, name: str) -> str | None:
        """Return a column's name as the file spells it (raises as `Table.column`)."""
        return self.table.column(name)

    def of(self, participant: str, session: str | None) -> tuple[int, Mapping[str, str]] | None:
        """Return the line and row of a session, else of its participant; None without either."""
        own = self.rows.get((participant, session)) or self.rows.get((participant, None))
        return own or self.visits.get(participant)


def read_people(
    path: Path,
    advice: str = CORRECT_IT,
    units: Collection[str] = (),
    refused: Collection[str] = (),
) -> PeopleTable:
    """Read a table with one row a participant, or one a participant and session.

    Parameters
    ----------
    path
        Tab-separated, with the column participant_id, and perhaps session_id.
    advice
        What to do where it is wrong, a sentence.
    units
        ``sub-X`` or ``sub-X_ses-Y`` of the units that it is read for. A unit without a row where
        another row has a label near its own is refused; people who are none of their subjects are
        counted.
    refused
        Names of folders that are not used for their names (`refused_in`): a row of one is of
        somebody who is not here, and no reason to stop.

    Raises
    ------
    NoInputError
        The file is not there.
    BadDataError
        It cannot be read as a table (`read_table`), has no participant_id, a row without a label
        or with something else, two rows of one participant (and session), or a row whose label
        comes near that of a unit without one.
    """
    table = read_table(path, advice, needs=PERSON)
    person, session = table.column(PERSON) or PERSON, table.column(SESSION)
    subjects = subjects_of(units)
    rows: dict[tuple[str, str | None], tuple[int, Mapping[str, str]]] = {}
    misnamed: set[str] = set()
    for line, row in table.rows:
        if _is_refused(row[person], refused):
            misnamed.add(row[person])
            continue
        who = _label(table, line, row[person], subjects)
        when = None
        if session is not None and not is_missing(row[session]):
            if _is_refused(row[session], refused, f"{who}_", "ses-"):
                continue
            when = _label(table, line, row[session], prefix="ses-")
        if (who, when) in rows:
            raise BadDataError(
                f"{path}: {joined(who, when, ' ')} has two rows, in lines {rows[who, when][0]} "
                f"and {line}, of which only one can be right. {advice}"
            )
        rows[who, when] = (line, row)
    strangers = len({who for who, _ in rows} - subjects | misnamed) if units else 0
    found = PeopleTable(table, rows, strangers, _visits(rows, units, session))
    without = {unit for unit in units if found.of(*_parted(unit)) is None}
    for (who, when), (line, _) in rows.items():
        label = joined(who, when)
        if label in units or who in found.visits:
            continue
        if like := _without_row(label, without, units):
            raise BadDataError(told_near(table, line, label, like))
    return found


def age_of(table: PeopleTable, line: int, row: Mapping[str, str]) -> float | None:
    """Return the age in years; None where it is not known.

    ``89+``, which stands for high ages in data sets that may not tell them, counts as 89.

    Raises
    ------
    BadDataError
        It is text, or no number that an age can be.
    """
    name = table.column("age")
    text = row[name] if name else ""
    if is_missing(text):
        return None
    try:
        age = float(text.removesuffix("+"))
    except ValueError:
        age = math.nan
    if not 0 <= age < math.inf:
        raise BadDataError(
            f"{table.path}, line {line}: the {name} of {named(table, row)} is {text!r}, not a "
            f"number of years; {MISSING} stands for an age that is not known. {table.advice}"
        )
    return age


def sex_of(table: PeopleTable, row: Mapping[str, str]) -> str:
    """Return ``F``, ``M``, ``O``, or ``n/a`` for whatever BIDS has no word for."""
    name = table.column("sex")
    return SEXES.get(row[name].lower(), MISSING) if name else MISSING


def told_near(table: Table, line: int, label: str, like: str) -> str:
    """Say that a row is of nobody here, but that somebody here has a label near its own."""
    hint = " (a spreadsheet drops the zeros before a number unless the column is set to text)"
    return (
        f"{table.path}, line {line}: {label} is not here, and {like} is: "
        f"{how_to_write(label, like)}{'' if label.startswith(f'{like}_') else hint}. "
        f"{table.advice}"
    )


def how_to_write(label: str, like: str) -> str:
    """Say how a label that is not here is to be written, where `like` may be meant."""
    if label.startswith(f"{like}_"):
        session = label.removeprefix(f"{like}_")
        return (
            f"write {like} alone ({MISSING} as its {SESSION}): it has no sessions named {session}"
        )
    return "write the label as the folder of the images has it"


def joined(who: str, session: str | None, sign: str = "_") -> str:
    """Return ``sub-X`` or ``sub-X_ses-Y`` of its parts."""
    return who if session is None else f"{who}{sign}{session}"


def require_column(table: PeopleTable, name: str) -> str:
    """Return a column's name as the file spells it.

    Raises
    ------
    InvalidInputError
        There is none of that name; the message lists those there are.
    BadDataError
        There are two.
    """
    found = table.column(name)
    if found is None:
        raise InvalidInputError(
            f"{table.path}: has no column {name!r} (--fazekas-column); its columns: "
            f"{', '.join(table.columns)}."
        )
    return found


def named(table: PeopleTable, row: Mapping[str, str]) -> str:
    """Return the participant of a row as the file spells it."""
    return row[table.column(PERSON) or PERSON]


def _is_refused(
    text: str, refused: Collection[str], before: str = "", prefix: str = "sub-"
) -> bool:
    """Tell whether a row has the name of a folder that is refused, and no label."""
    if not {f"{before}{text}", f"{before}{prefix}{text}"} & set(refused):
        return False
    try:
        return not read_label(text, prefix)
    except ValueError:
        return True


def _label(
    table: Table, line: int, text: str, subjects: Collection[str] = (), prefix: str = "sub-"
) -> str:
    """Read a label of a row (raises BadDataError)."""
    what = PERSON if prefix == "sub-" else SESSION
    if is_missing(text):
        raise BadDataError(
            f"{table.path}, line {line}: has no {what}, and so belongs to nobody. {table.advice}"
        )
    try:
        return read_label(text, prefix)
    except ValueError as error:
        like = near(text, subjects)
        hint = f", perhaps that of {like[0]}" if like else ""
        raise BadDataError(
            f"{table.path}, line {line}: the {what} {error}{hint}. {table.advice}"
        ) from error


def _without_row(label: str, without: Collection[str], units: Collection[str]) -> str:
    """Return the unit, of those without a row, that a label may have been meant for."""
    if "_ses-" not in label:
        return next(iter(near(label, subjects_of(without))), "")
    if not near(label, without):
        return ""
    # Whether a subject has sessions can be told of all units alone.
    return next((like for like in near(label, units) if like in without), "")


def _visits(
    rows: Mapping[tuple[str, str | None], tuple[int, Mapping[str, str]]],
    units: Collection[str],
    session: str | None,
) -> dict[str, tuple[int, Mapping[str, str]] | None]:
    """Find subjects without sessions of whom a table has several rows by session, and no other.

    They are about visits that are not here, and which one the images are of is not known.
    """
    by_visit: dict[str, list[tuple[int, Mapping[str, str]]]] = {}
    for (who, when), one in rows.items():
        if when is not None and who in units and (who, None) not in rows:
            by_visit.setdefault(who, []).append(one)
    with_sessions = subjects_of(unit for unit in units if "_ses-" in unit)
    visits: dict[str, tuple[int, Mapping[str, str]] | None] = {}
    for who, found in by_visit.items():
        if len(found) < 2 or who in with_sessions:
            continue
        said = [{name: cell for name, cell in row.items() if name != session} for _, row in found]
        visits[who] = found[0] if all(one == said[0] for one in said) else None
    return visits


def _parted(unit: str) -> tuple[str, str | None]:
    who, _, session = unit.partition("_ses-")
    return who, f"ses-{session}" if session else None
