"""Who is left out by ``--exclude``: labels, and files that list them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from ctwml_bids.cli.values import unit_label
from ctwml_bids.errors import InvalidInputError, NoInputError


def label_or_file(text: str) -> str:
    """Read the label of a unit, or the path of a file; a path has a dot or a slash.

    Returns
    -------
    str
        ``sub-X``, ``sub-X_ses-Y``, or an absolute path.
    """
    return str(Path(text).resolve()) if re.search(r"[./]", text) else unit_label(text)


def excluded(exclude: Sequence[str]) -> dict[str, str]:
    """Return who is left out, and why.

    Parameters
    ----------
    exclude
        From `label_or_file`. Files have a label in the first column of each line, and perhaps a
        reason in the second; tabs, commas or semicolons are between them.

    Returns
    -------
    dict
        ``sub-X`` or ``sub-X_ses-Y`` → why.

    Raises
    ------
    NoInputError
        A file cannot be read.
    InvalidInputError
        A line of a file has no label.
    """
    reasons = {}
    for one in exclude:
        if "/" in one:
            reasons |= _listed(Path(one))
        else:
            reasons[one] = "excluded by --exclude"
    return reasons


def _listed(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise NoInputError(f"{path}: cannot be read (--exclude): {why}.") from error
    reasons = {}
    for line in lines:
        first, *rest = (cell.strip() for cell in re.split(r"[\t,;]", line))
        if not first or first.startswith("#") or first == "participant_id":
            continue
        try:
            label = unit_label(first)
        except argparse.ArgumentTypeError as error:
            raise InvalidInputError(f"{path}: {error} (--exclude); correct the line") from error
        said = f": {rest[0]}" if rest and rest[0] else ""
        reasons[label] = f"excluded by {path.name}{said}"
    return reasons
