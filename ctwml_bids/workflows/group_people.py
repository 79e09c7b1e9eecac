"""Age, sex and visual Fazekas rating of every unit, from the tables that the group level has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctwml_bids.bids.people import (
    MISSING,
    PeopleTable,
    age_of,
    read_people,
    require_column,
    sex_of,
)
from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.statistics import ratings

FAZEKAS = "fazekas"
COPIED = (
    "It is a copy: correct the input data set's and run the participant level again, or give a "
    "corrected one with --participants-file."
)


@dataclass(frozen=True)
class Sources:
    """Where people and ratings are read from.

    Attributes
    ----------
    participants_file, fazekas_file
        Tables in place of the output folder's participants.tsv, and a phenotype file with the
        ratings alone; None where they were not given.
    fazekas_column
        Column of the rating; None is `FAZEKAS`, if there is one.
    """

    participants_file: Path | None = None
    fazekas_file: Path | None = None
    fazekas_column: str | None = None


def add_people(
    units: Sequence[dict[str, Any]], output_dir: Path, sources: Sources
) -> tuple[list[dict[str, Any]], str, list[str]]:
    """Add ``age``, ``sex``, ``fazekas_grade`` and ``fazekas_group`` to every unit.

    Parameters
    ----------
    units
        From `read_units`.
    output_dir
        Has the participants.tsv that the participant level copied.
    sources
        What was given instead.

    Returns
    -------
    units, source, notes
        The units; file and column of the ratings, empty without any; what is missing, in
        sentences.

    Raises
    ------
    NoInputError, BadDataError, InvalidInputError
        A table that was given is not there, cannot be understood, or lacks the column.
    """
    people = _people(output_dir, sources)
    rated_in = people
    if sources.fazekas_file is not None:
        rated_in = read_people(sources.fazekas_file)
    if rated_in is None and sources.fazekas_column is not None:
        raise NoInputError(
            f"{output_dir}: has no participants.tsv that could have the column "
            f"{sources.fazekas_column!r} (--fazekas-column); give a table with --participants-file "
            "or --fazekas-file."
        )
    column = _column(rated_in, sources)
    notes = []
    if people is None:
        notes.append(
            "There is no participants.tsv, so age and sex are not known; the participant level "
            "copies the input's, or give one with --participants-file."
        )
    if column is None:
        notes.append(_no_ratings(rated_in))
    rows = [_with_person(row, people, rated_in, column) for row in units]
    unrated = [row["unit"] for row in rows if row["fazekas_group"] == MISSING]
    for table in [people] if rated_in is people else [people, rated_in]:
        if table is not None and not any(
            table.of(row["participant_id"], _session(row)) for row in rows
        ):
            here = ", ".join(sorted({who for who, _ in table.rows})[:3]) or "nobody"
            notes.append(
                f"{table.path.name} lists none of the units' subjects ({rows[0]['participant_id']} "
                f"and others); it lists {here}."
            )
    if column is not None and unrated:
        notes.append(f"{len(unrated)} of {len(rows)} units have no Fazekas rating.")
    source = f"{rated_in.path.name}, column {column}" if column and rated_in else ""
    return rows, source, notes


def _people(output_dir: Path, sources: Sources) -> PeopleTable | None:
    if sources.participants_file is not None:
        return read_people(sources.participants_file)
    copied = output_dir / "participants.tsv"
    return read_people(copied, COPIED) if copied.is_file() else None


def _column(table: PeopleTable | None, sources: Sources) -> str | None:
    if sources.fazekas_column is not None and table is not None:
        return require_column(table, sources.fazekas_column)
    if sources.fazekas_file is not None and table is not None:
        return require_column(table, FAZEKAS)
    return table.column(FAZEKAS) if table is not None else None


def _no_ratings(table: PeopleTable | None) -> str:
    where = "There is no participants.tsv" if table is None else f"{table.path.name} has none"
    return (
        f"No Fazekas ratings: {where} with a column {FAZEKAS}. Name another column with "
        "--fazekas-column, or a phenotype file with --fazekas-file."
    )


def _with_person(
    row: dict[str, Any],
    people: PeopleTable | None,
    rated_in: PeopleTable | None,
    column: str | None,
) -> dict[str, Any]:
    session = _session(row)
    found: dict[str, Any] = {"age": MISSING, "sex": MISSING}
    if people is not None and (listed := people.of(row["participant_id"], session)):
        age = age_of(people, *listed)
        found = {"age": MISSING if age is None else age, "sex": sex_of(people, listed[1])}
    rating = None
    if rated_in is not None and column and (listed := rated_in.of(row["participant_id"], session)):
        rating = _rating(rated_in, column, *listed)
    found["fazekas_grade"] = MISSING if rating is None or rating.grade is None else rating.grade
    found["fazekas_group"] = MISSING if rating is None else ratings.group_name(rating.group)
    return {**row, **found}


def _session(row: dict[str, Any]) -> str | None:
    return None if row["session_id"] == MISSING else row["session_id"]


def _rating(table: PeopleTable, column: str, line: int, row: Any) -> ratings.Rating | None:
    try:
        return ratings.parse(row.get(column) or "")
    except ValueError as error:
        raise BadDataError(
            f"{table.path}, line {line}: the {column} of {row['participant_id']}: {error}; "
            f"{MISSING} stands for no rating. {table.advice}"
        ) from error
