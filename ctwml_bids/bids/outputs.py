"""The files that a unit's runs wrote, so that a later run can take away what it does not write.

While a unit is written, each name is noted in a text file before its file is made, one a line; the
last line says that all are in place. So they are known also when the writer is killed midway.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from ctwml_bids.bids import names
from ctwml_bids.bids.files import COMPLETE
from ctwml_bids.bids.status import read_status
from ctwml_bids.reading import is_name, read_json, read_text

# Field of an out-of-fold table's sidecar by which images that were measured anew are noticed.
IMAGES_SHA256 = "ImagesSHA256"


def read_notes(notes: Path) -> tuple[list[str], bool]:
    """Read the names that were noted.

    Parameters
    ----------
    notes
        Text file of the unit; may be missing.

    Returns
    -------
    names, complete
        Relative to the output folder, sorted; and whether the writer came to its end.
    """
    try:
        text = read_text(notes)
    except (OSError, ValueError):
        return [], False
    # What follows the last line's end was cut off by a kill.
    lines = text.split("\n")[:-1]
    return sorted({line for line in lines if line and line != COMPLETE}), COMPLETE in lines[-1:]


def written_before(output_dir: Path, status: Path, notes: Path) -> list[str]:
    """List the files that former runs of a unit left, those of a killed one included.

    Parameters
    ----------
    output_dir
        The derivative data set.
    status, notes
        Of the unit; may be missing.
    """
    before = read_status(status)
    names = {*(before.outputs if before else ()), *read_notes(notes)[0]}
    return sorted(name for name in names if _is_ours(output_dir, name))


def remove_old(output_dir: Path, old: Iterable[str], keep: Collection[str]) -> list[str]:
    """Remove files of a unit's former run that are not to be kept.

    Only regular files below the output folder are touched, whatever the names say.

    Parameters
    ----------
    output_dir
        The derivative data set.
    old, keep
        Names relative to it.

    Returns
    -------
    list of str
        What was removed.
    """
    gone = [name for name in sorted(set(old) - set(keep)) if _is_ours(output_dir, name)]
    for name in gone:
        (output_dir / name).unlink(missing_ok=True)
    return gone


def listed_by_others(status: Path, notes: Path) -> set[str]:
    """List the files of the unit's runs with other models (``--desc``): they share masks.

    Parameters
    ----------
    status, notes
        Of the run that asks; those beside them are the others'.
    """
    statuses = [read_status(path) for path in status.parent.glob("status*.json") if path != status]
    names = {name for other in statuses if other is not None for name in other.outputs}
    for path in notes.parent.glob("written*.txt"):
        if path != notes:
            names.update(read_notes(path)[0])
    return names


def _is_ours(output_dir: Path, name: str) -> bool:
    """Tell whether a name is that of a file in the output folder."""
    if not is_name(name):
        return False
    path = output_dir / name
    inside = path.parent.resolve().is_relative_to(output_dir.resolve())
    # A link, as DataLad makes of a file that it keeps, is removed as one.
    return inside and (path.is_file() or path.is_symlink())


def is_current(table: Path, images: Mapping[str, object]) -> bool:
    """Tell whether an out-of-fold table is there and was made from images as they are now.

    Parameters
    ----------
    table
        The table.
    images
        Name of each image in the data set → its SHA-256.
    """
    try:
        about = read_json(names.sidecar(table))
        return table.is_file() and about.get(IMAGES_SHA256) == dict(images)
    except (OSError, ValueError, AttributeError):
        return False
