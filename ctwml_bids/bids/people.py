"""What tables say of the people of a cohort: age, sex, visual ratings.

Tables are participants.tsv, or a file like it (phenotype/*.tsv, sessions of one person in rows of
their own). Whatever cannot be understood is refused with its line: a rating that is silently
dropped would bend the results.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ctwml_bids.errors import BadDataError, InvalidInputError, NoInputError

MISSING = "n/a"
SEXES = {"f": "F", "female": "F", "m": "M", "male": "M", "o": "O", "other": "O"}


@dataclass(frozen=True)
class PeopleTable:
    """Rows of a table by participant, and by session where the table has sessions.

    `rows` maps (participant, session or None) to the row and its line in the file; `advice` says
    what to do where something in it is wrong.
    """

    path: Path
    columns: tuple[str, ...]
    rows: Mapping[tuple[str, str | None], tuple[int, Mapping[str, str]]]
    advice: str = ""

    def column(self, name: str) -> str | None:
        """Return a column's name as the file spells it; None where it has none of that name."""
        return next((given for given in self.columns if given.lower() == name.lower()), None)

    def of(self, participant: str, session: str | None) -> tuple[int, Mapping[str, str]] | None:
        """Return the line and row of a session, else of its participant; None without either."""
        return self.rows.get((participant, session)) or self.rows.get((participant, None))


def read_people(path: Path, advice: str = "Correct it there.") -> PeopleTable:
    """Read a table with one row a participant, or one a participant and session.

    Parameters
    ----------
    path
        Tab-separated, with the column participant_id.
    advice
        What to do where it is wrong, a sentence.

    Raises
    ------
    NoInputError
        The file is not there.
    BadDataError
        It cannot be read, has no participant_id, or has two rows of one participant (and session).
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened, delimiter="\t")
            columns = tuple(reader.fieldnames or ())
            listed = [(reader.line_num, row) for row in reader]
    except FileNotFoundError as error:
        raise NoInputError(f"{path}: there is no such table.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadDataError(f"{path}: cannot be read as a table ({error}). {advice}") from error
    if "participant_id" not in columns:
        raise BadDataError(
            f"{path}: has no column participant_id (its columns: {', '.join(columns) or 'none'}); "
            f"a table has it, and tabs between its columns. {advice}"
        )
    rows: dict[tuple[str, str | None], tuple[int, Mapping[str, str]]] = {}
    for line, row in listed:
        who = _prefixed("sub-", row["participant_id"])
        if who is None:
            continue
        key = (who, _prefixed("ses-", row.get("session_id")))
        if key in rows:
            named = " ".join(part for part in key if part)
            raise BadDataError(
                f"{path}: {named} has two rows, in lines {rows[key][0]} and {line}, of which only "
                f"one can be right. {advice}"
            )
        rows[key] = (line, row)
    return PeopleTable(path, columns, rows, advice)


def age_of(table: PeopleTable, line: int, row: Mapping[str, str]) -> float | None:
    """Return the age in years; None where it is not known.

    ``89+``, which stands for high ages in data sets that may not tell them, counts as 89.

    Raises
    ------
    BadDataError
        It is text, or no number that an age can be.
    """
    name = table.column("age")
    text = (row.get(name) or "").strip() if name else ""
    if text in ("", MISSING):
        return None
    try:
        age = float(text.removesuffix("+"))
    except ValueError:
        age = math.nan
    if not 0 <= age < math.inf:
        raise BadDataError(
            f"{table.path}, line {line}: the {name} of {row['participant_id']} is {text!r}, not a "
            f"number of years; {MISSING} stands for an age that is not known. {table.advice}"
        )
    return age


def sex_of(table: PeopleTable, row: Mapping[str, str]) -> str:
    """Return ``F``, ``M``, ``O``, or ``n/a`` for whatever BIDS has no word for."""
    name = table.column("sex")
    return SEXES.get((row.get(name) or "").strip().lower(), MISSING) if name else MISSING


def require_column(table: PeopleTable, name: str) -> str:
    """Return a column's name as the file spells it.

    Raises
    ------
    InvalidInputError
        There is none of that name; the message lists those there are.
    """
    found = table.column(name)
    if found is None:
        raise InvalidInputError(
            f"{table.path}: has no column {name!r} (--fazekas-column); its columns: "
            f"{', '.join(table.columns)}."
        )
    return found


def _prefixed(prefix: str, label: str | None) -> str | None:
    """Return a label with its prefix, None for an empty cell."""
    label = (label or "").strip()
    if label in ("", MISSING):
        return None
    return label if label.startswith(prefix) else prefix + label
