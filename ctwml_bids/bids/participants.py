"""The input's participants.tsv, and its copy in the output folder, which `group` reads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ctwml_bids.bids.files import write_text, write_tsv
from ctwml_bids.bids.labels import subjects_of
from ctwml_bids.bids.people import PERSON, SESSION, PeopleTable, read_people
from ctwml_bids.bids.unit_folders import refused_in, units_in
from ctwml_bids.reading import read_json, read_text

TABLE = "participants.tsv"


def input_people(bids_dir: Path, output_dir: Path) -> PeopleTable | None:
    """Read participants.tsv of a data set, for its subjects and those with results.

    Returns
    -------
    PeopleTable or None
        None where the data set has none.

    Raises
    ------
    BadDataError
        As `read_people`.
    """
    table = bids_dir / TABLE
    if not os.path.lexists(table):
        return None
    units = units_in(bids_dir) | units_in(output_dir)
    return read_people(table, units=units, refused=refused_in(bids_dir, output_dir))


def refresh_participants(output_dir: Path, bids_dir: Path) -> None:
    """Carry over the rows of participants.tsv whose subjects have results (and its JSON).

    A subject with results that the table does not list gets a row of its own, as BIDS asks: all
    subjects or no table. The table is made from the folders that are there, so that jobs that end
    at the same time mend each other's. Without a table in the input, what is there stays.

    Raises
    ------
    BadDataError
        The input's table cannot be understood (`read_people`): an old copy would be taken for it.
    """
    people = input_people(bids_dir, output_dir)
    folders = sorted(subjects_of(units_in(output_dir)))
    if people is None or not folders:
        return
    person, session = people.column(PERSON) or PERSON, people.column(SESSION)
    kept: list[Mapping[str, str | None]] = []
    for (who, when), (_, row) in people.rows.items():
        if who in folders:
            labels = {person: who} if session is None else {person: who, session: when}
            kept.append({**row, **labels})
    kept += [{person: who} for who in folders if who not in people.people]
    spelt = {name: name.lower() if name in (person, session) else name for name in people.columns}
    rows = [{spelt[name]: cell for name, cell in row.items()} for row in kept]
    write_tsv(output_dir / TABLE, rows, list(spelt.values()))
    described = people.path.with_suffix(".json")
    if described.is_file() and not _why_no_json(described):
        # Without a byte order mark, which readers of JSON refuse.
        write_text(output_dir / described.name, read_text(described))


def _why_no_json(path: Path) -> str:
    """Say why a file is no JSON object; empty where it is."""
    try:
        return "" if isinstance(read_json(path), dict) else "it is no object {...}"
    except (OSError, ValueError) as error:
        return str(error)


def what_to_know(bids_dir: Path, output_dir: Path) -> str:
    """Say what is to be known of a data set's table of people, empty if nothing.

    How many it lists who are not in the data set; or that there is none, but an old copy.

    Raises
    ------
    BadDataError
        As `read_people`.
    """
    people, copy = input_people(bids_dir, output_dir), output_dir / TABLE
    if people is not None:
        told = people.told_strangers("not in the data set")
        described = people.path.with_suffix(".json")
        if described.is_file() and (why := _why_no_json(described)):
            told.append(f"{described}: is not copied, as it cannot be read as JSON ({why})")
        return "; ".join(told)
    if copy.is_file():
        return (
            f"{copy}: the data set has no {TABLE}, so this copy stays as it is and the group level "
            "reads it; remove it if it is not right any more"
        )
    return ""
