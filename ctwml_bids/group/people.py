"""Age, sex and visual Fazekas rating of every unit, from the tables that the group level has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ctwml_bids.bids.labels import first_of
from ctwml_bids.bids.people import SEXES, age_of, sex_of
from ctwml_bids.bids.people_tables import FAZEKAS, People
from ctwml_bids.bids.tables import MISSING, is_missing
from ctwml_bids.group.units import SHOWN, Row
from ctwml_bids.statistics.fazekas import GROUPS

COPIED = (
    "It is a copy: correct the input data set's and run the participant level again, or give a "
    "corrected one with --participants-file."
)


def add_people(units: Sequence[Row], tables: People) -> tuple[list[Row], str, list[str]]:
    """Add ``age``, ``sex``, ``fazekas_grade`` and ``fazekas_group`` to every unit.

    Parameters
    ----------
    units
        From `read_units`.
    tables
        Of people and ratings.

    Returns
    -------
    units, source, notes
        The units; file and column of the ratings, empty without any; what is missing, in
        sentences.

    Raises
    ------
    BadDataError
        An age or a rating cannot be understood.
    """
    notes = []
    if tables.people is None:
        notes.append(
            "There is no participants.tsv, so age and sex are not known; the participant level "
            "copies the input's, or give one with --participants-file."
        )
    if tables.column is None:
        notes.append(_no_ratings(tables))
    rows = [_with_person(row, tables) for row in units]
    notes += _strangers(rows, tables)
    notes += _unknown_sexes(rows, tables)
    unrated = [row["unit"] for row in rows if row["fazekas_group"] == MISSING]
    if tables.column is not None and unrated:
        notes.append(f"{len(unrated)} of {len(rows)} units have no Fazekas rating.")
    rated_in = tables.rated_in
    source = f"{rated_in.path.name}, column {tables.column}" if tables.column and rated_in else ""
    return rows, source, notes


def not_here(absent: Mapping[str, str]) -> list[str]:
    """Name those who were to be left out and are not there, in a sentence; none without any."""
    if not absent:
        return []
    told = first_of([f"{label} ({why})" for label, why in sorted(absent.items())], SHOWN)
    return [f"To be left out, but without results here: {told}."]


def _strangers(rows: Sequence[Row], tables: People) -> list[str]:
    """Count the people of each table who have no results; say who where all of them are."""
    notes = []
    for table in tables.tables:
        if not any(table.of(row["participant_id"], _session(row)) for row in rows):
            here = ", ".join(sorted(table.people)[:3]) or "nobody"
            notes.append(
                f"{table.path.name} lists none of the units' subjects ({rows[0]['participant_id']} "
                f"and others); it lists {here}."
            )
        else:
            notes += [f"{text}." for text in table.told_strangers("without results here")]
    return notes


def _unknown_sexes(rows: Sequence[Row], tables: People) -> list[str]:
    """Tell of sexes that are given in words which BIDS does not have."""
    people = tables.people
    if people is None or (name := people.column("sex")) is None:
        return []
    found = [people.of(row["participant_id"], _session(row)) for row in rows]
    cells = [listed[1][name] for listed in found if listed is not None]
    strange = [cell for cell in cells if not is_missing(cell) and cell.lower() not in SEXES]
    if not strange:
        return []
    words = ", ".join(repr(word) for word in sorted(set(strange))[:3])
    return [
        f"The {name} of {len(strange)} units counts as not known: {people.path.name} has {words} "
        "there, and BIDS has F, M and O."
    ]


def _no_ratings(tables: People) -> str:
    table = tables.rated_in
    where = "There is no participants.tsv" if table is None else f"{table.path.name} has none"
    return (
        f"No Fazekas ratings: {where} with a column {FAZEKAS}. Name another column with "
        "--fazekas-column, or a phenotype file with --fazekas-file."
    )


def _with_person(row: Row, tables: People) -> Row:
    participant, session, people = row["participant_id"], _session(row), tables.people
    found: dict[str, object] = {"age": MISSING, "sex": MISSING}
    if people is not None and (listed := people.of(participant, session)):
        age = age_of(people, *listed)
        found = {"age": MISSING if age is None else age, "sex": sex_of(people, listed[1])}
    rating = tables.rating(participant, session)
    found["fazekas_grade"] = MISSING if rating is None or rating.grade is None else rating.grade
    found["fazekas_group"] = MISSING if rating is None else GROUPS[rating.group]
    return {**row, **found}


def _session(row: Row) -> str | None:
    return None if row["session_id"] == MISSING else row["session_id"]
