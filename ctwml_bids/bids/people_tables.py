"""What the train and the group level know of people: who is left out, and visual ratings.

Both read the same tables by the same rules; they differ in where the first one lies.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from ctwml_bids.bids.exclusions import EXCLUDE, Exclusions, left_out
from ctwml_bids.bids.people import (
    CORRECT_IT,
    PeopleTable,
    named,
    read_people,
    require_column,
)
from ctwml_bids.bids.tables import MISSING
from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.statistics import ratings

# Column of the visual rating where none is named: the first of these that a table has.
FAZEKAS = "fazekas"
FAZEKAS_COLUMNS = (FAZEKAS, "fazekas_score", "fazekas_grade", "fazekas_group")


@dataclass(frozen=True)
class Sources:
    """Where people and ratings are read from.

    Attributes
    ----------
    participants_file, fazekas_file
        Tables in place of participants.tsv, and a phenotype file with the ratings alone; None
        where they were not given.
    fazekas_column
        Column of the rating; None is the first of `FAZEKAS_COLUMNS`, if there is one.
    """

    participants_file: Path | None = None
    fazekas_file: Path | None = None
    fazekas_column: str | None = None


@dataclass(frozen=True)
class People:
    """Tables of people, read.

    Attributes
    ----------
    people
        Of age and sex; None without a table.
    rated_in, column
        Table and column of the visual ratings; None without.
    excluded
        Whom the column ``exclude`` of any of the tables leaves out.
    """

    people: PeopleTable | None = None
    rated_in: PeopleTable | None = None
    column: str | None = None
    excluded: Exclusions = field(default_factory=Exclusions)

    @property
    def tables(self) -> list[PeopleTable]:
        """The tables, each once."""
        one = [] if self.people is None else [self.people]
        return one if self.rated_in in (None, self.people) else [*one, self.rated_in]

    def rating(self, participant: str, session: str | None) -> ratings.Rating | None:
        """Return the visual rating of a session, else of its participant; None without one.

        Raises
        ------
        BadDataError
            The cell is no rating.
        """
        table, column = self.rated_in, self.column
        if table is None or column is None or (found := table.of(participant, session)) is None:
            return None
        line, row = found
        try:
            return ratings.parse(row[column])
        except ValueError as error:
            raise BadDataError(
                f"{table.path}, line {line}: the {column} of {named(table, row)}: {error}; "
                f"{MISSING} stands for no rating. {table.advice}"
            ) from error


def read_sources(
    own: Path,
    sources: Sources,
    units: Collection[str],
    advice: str = CORRECT_IT,
    refused: Collection[str] = (),
) -> People:
    """Read the tables of people.

    Parameters
    ----------
    own
        The participants.tsv that is read where no other table is given; it need not be there. Its
        column ``exclude`` counts too where the given table of people has none, and that of the
        table of ratings always.
    sources
        What was given.
    units
        ``sub-X`` or ``sub-X_ses-Y`` of all units that there are.
    advice
        What to do where `own` is wrong, a sentence.
    refused
        Folders that are not used for their names (`refused_in`).

    Raises
    ------
    NoInputError, BadDataError, InvalidInputError
        A table that was given is not there, cannot be understood, or lacks the column.
    """
    people = _given(sources.participants_file, units, refused)
    there = os.path.lexists(own)
    mine = None
    if there and (people is None or people.column(EXCLUDE) is None):
        mine = read_people(own, advice, units, refused)
    rated = _given(sources.fazekas_file, units, refused)
    excluded = Exclusions()
    for table in filter(None, (mine, rated, people)):
        excluded |= left_out(table, units)
    people = people or mine
    rated_in = rated or people
    if rated_in is None and sources.fazekas_column is not None:
        raise NoInputError(
            f"{own.parent}: has no {own.name} that could have the column "
            f"{sources.fazekas_column!r} (--fazekas-column); give a table with --participants-file "
            "or --fazekas-file."
        )
    return People(people, rated_in, _column(rated_in, sources), excluded)


def _given(
    path: Path | None, units: Collection[str], refused: Collection[str]
) -> PeopleTable | None:
    return None if path is None else read_people(path, units=units, refused=refused)


def _column(table: PeopleTable | None, sources: Sources) -> str | None:
    if table is None:
        return None
    if sources.fazekas_column is not None:
        return require_column(table, sources.fazekas_column)
    found = next((name for name in map(table.column, FAZEKAS_COLUMNS) if name), None)
    if found is None and sources.fazekas_file is not None:
        return require_column(table, FAZEKAS)
    return found
