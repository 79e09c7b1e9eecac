"""When images were acquired, by the scans.tsv files of a subject."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import date, datetime
from pathlib import Path

from ctwml_bids.bids.filenames import index_of, read_name
from ctwml_bids.bids.labels import first_of
from ctwml_bids.bids.tables import Table, is_missing, read_table
from ctwml_bids.errors import BadDataError

FILE, TIME = "filename", "acq_time"
SHOWN = 3
# A time of BIDS, or its date alone, in the extended or the basic form of ISO 8601.
_FORM = re.compile(r"(\d{4}-\d\d-\d\d|\d{8})([T ]\d.*)?", re.IGNORECASE)
# A date without a time is one. Text is what a row says of an image's time that is no time.
Times = Mapping[Path, date | str]


def read_times(
    subject_dir: Path,
    tables: Iterable[Path],
    files: Iterable[Path],
    others: Iterable[Path] = (),
) -> tuple[dict[Path, date | str], list[str]]:
    """Read the acquisition times of a subject's CT and FLAIR images.

    A row's image is found by the entities of its name, so that a path that is written in another
    way (backslashes, a leading slash, from another folder, with the other ending) means it too.
    What a name does not say, the table's own place does.

    Parameters
    ----------
    subject_dir
        Folder of the subject in the data set.
    tables
        Its scans.tsv files, and those of its sessions.
    files
        Its images, of whatever kind.
    others
        Images that are not read: a row may name one of them, or can be of none of `files`.

    Returns
    -------
    times, notes
        Path of each image that is given a time → a datetime (with a zone where the table has one);
        a date where there is no time of day; or, where what stands there is no time, a clause with
        the row and what it says. And sentences on rows of which no use can be made.

    Raises
    ------
    BadDataError
        A table cannot be read (`read_table`), has two times for one image, a row that may mean
        several images, or no acq_time but a column that may have been meant for it.
    """
    read = set(files)
    images = _images(subject_dir, {*read, *others})
    times: dict[Path, date | str] = {}
    notes: list[str] = []
    for path in sorted(tables):
        table = read_table(path, "Correct or remove it.", needs=FILE)
        _check_time_column(table)
        unmatched = []
        for line, row in table.rows:
            name, text = row[table.column(FILE) or FILE], _time_of(table, row)
            entities = _entities(name, path, subject_dir)
            if entities is None:
                continue
            place = f"{path}, line {line}"
            image = _image_of(name, images.get(entities, ()), read, subject_dir, place)
            if image is None:
                unmatched.append(name)
                continue
            if is_missing(text):
                continue
            try:
                moment = read_time(text)
            except ValueError:
                clause = (
                    f"{path.name}, line {line}: {TIME} {text!r} of {name} is not a time of BIDS "
                    "(as 2020-02-29T13:45:00 is)"
                )
                notes.append(f"warning: {clause}")
                times[image] = clause
                continue
            before = times.get(image, moment)
            if isinstance(before, str):
                continue
            if not _agree(before, moment):
                raise BadDataError(
                    f"{path}, line {line}: gives {image.name} the time {text}, and another row "
                    f"gives it {before.isoformat()}; only one can be right. {table.advice}"
                )
            times[image] = before if isinstance(before, datetime) else moment
        if unmatched:
            notes.append(_told(path, unmatched))
    return times, notes


def read_time(text: str) -> date:
    """Read an acq_time: a datetime, or a date where there is no time of day.

    Raises
    ------
    ValueError
        It is neither, as ISO 8601 writes them.
    """
    text = text.strip()
    if not _FORM.fullmatch(text):
        raise ValueError(f"Invalid isoformat string: {text!r}")
    try:
        return date.fromisoformat(text)
    except ValueError:
        return datetime.fromisoformat(text)


def without_times(subject_dir: Path, tables: Iterable[Path]) -> list[str]:
    """Say why a subject's times may not be known: which of its tables have none, or are not read.

    Parameters
    ----------
    subject_dir
        Folder of the subject in the data set.
    tables
        Its scans.tsv files, and those of its sessions, which `read_times` has read.
    """
    found = []
    for path in sorted(tables):
        table = read_table(path, needs=FILE)
        if table.column(TIME) is None:
            found.append(
                f"{path.name} has no column {TIME} (its columns: {', '.join(table.columns)})"
            )
    folders = [subject_dir, *sorted(subject_dir.glob("ses-*"))]
    read = set(tables)
    for path in (path for folder in folders for path in sorted(folder.glob("*.tsv"))):
        if path not in read and re.search("scans?$", path.stem, re.IGNORECASE):
            parts = path.relative_to(subject_dir.parent).parts[:-1]
            found.append(
                f"{'/'.join(parts)}/{path.name} is not read: name it {'_'.join(parts)}_scans.tsv"
            )
    return found


def days_between(one: date, other: date) -> float:
    """Return the days between two times, in either order.

    Whole days where one is a date without a time of day. Zones count where both have one; else
    both are local times, as BIDS has them.
    """
    if not (isinstance(one, datetime) and isinstance(other, datetime)):
        return float(abs((_day(one) - _day(other)).days))
    if one.tzinfo is None or other.tzinfo is None:
        one, other = one.replace(tzinfo=None), other.replace(tzinfo=None)
    return abs((one - other).total_seconds()) / 86400.0


def _day(moment: date) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def _agree(one: date, other: date) -> bool:
    """Tell whether two times of one image are one; a date without a time of day is of its day."""
    if isinstance(one, datetime) and isinstance(other, datetime):
        return one == other
    return _day(one) == _day(other)


def _check_time_column(table: Table) -> None:
    """Refuse a column ``acq time`` or ``AcqTime``: its times would not count."""
    if table.column(TIME) is not None:
        return
    for name in table.columns:
        if re.sub("[^a-z]", "", name.lower()).startswith("acqtime"):
            raise BadDataError(
                f"{table.path}: has a column {name}, and none of the name {TIME}, which has the "
                f"times; rename it. {table.advice}"
            )


def _time_of(table: Table, row: Mapping[str, str]) -> str:
    column = table.column(TIME)
    return row[column] if column else ""


def _images(
    subject_dir: Path, files: Iterable[Path]
) -> dict[frozenset[tuple[str, str]], list[Path]]:
    """Return the CT and FLAIR images among a subject's by their entities."""
    images: dict[frozenset[tuple[str, str]], list[Path]] = {}
    for path in sorted(files):
        entities = _entities(path.name, path, subject_dir)
        if entities is not None:
            images.setdefault(entities, []).append(path)
    return images


def _entities(name: str, where: Path, subject_dir: Path) -> frozenset[tuple[str, str]] | None:
    """Return the entities and the suffix of a file's name; None where it is no CT nor FLAIR.

    Parameters
    ----------
    name
        A path, or a name.
    where
        The file that it stands in, whose folder has the session where the name has none.
    subject_dir
        Folder of the subject, whose name has the label where the name has none.
    """
    parts = [part.strip() for part in re.split(r"[\\/]+", name) if part.strip()]
    if not parts:
        return None
    # Whatever the ending; of images of other kinds no time is needed.
    pieces = (piece.strip() for piece in parts[-1].split(".")[0].split("_"))
    read = read_name(f"{'_'.join(pieces)}.nii", {})
    if read is None or read.rest:
        return None
    folders = [*where.relative_to(subject_dir.parent).parts[:-1], *parts[:-1]]
    around = (folder.partition("-") for folder in folders if folder.startswith(("sub-", "ses-")))
    found = {"suffix": read.kind, **{key: label for key, _, label in around}}
    found |= {key: index_of(key, label) for key, label in read.entities.items() if label}
    return frozenset(found.items())


def _image_of(
    name: str,
    found: Sequence[Path],
    read: Set[Path],
    subject_dir: Path,
    place: str,
) -> Path | None:
    """Return the image that a row means, of those with its entities; None without any.

    One that it names by its path, else one that is read, else one of the name of its file.
    """
    parts = tuple(part.strip() for part in re.split(r"[\\/]+", name) if part.strip())
    *folders, own = parts
    if folders:
        found = [path for path in found if path.parts[-len(parts) :] == parts] or found
    found = [path for path in found if path in read] or found
    found = [path for path in found if path.name == own] or found
    found = [path for path in found if path.parent.name in folders[-1:]] or found
    if len(found) > 1:
        paths = (path.relative_to(subject_dir).as_posix() for path in found)
        raise BadDataError(f"{place}: {name} may be {' or '.join(paths)}; give its path in full.")
    return found[0] if found else None


def _told(table: Path, unmatched: Sequence[str]) -> str:
    rows = "a row" if len(unmatched) == 1 else f"{len(unmatched)} rows"
    return (
        f"{table.name} has {rows} of images that are not there: "
        f"{first_of(unmatched, SHOWN)}; a time in such a row is not used"
    )
