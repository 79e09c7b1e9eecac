"""Who is left out by ``--exclude``: labels, and files that list them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ctwml_bids.bids.exclusions import Exclusions, read_list
from ctwml_bids.bids.labels import read_unit
from ctwml_bids.cli.values import unit_label
from ctwml_bids.errors import InvalidInputError


def label_or_file(text: str) -> str:
    """Read the label of a unit, or the path of a file; a path has a dot or a slash.

    Returns
    -------
    str
        ``sub-X``, ``sub-X_ses-Y``, or an absolute path.
    """
    return str(Path(text).resolve()) if re.search(r"[./]", text) else unit_label(text)


def excluded(exclude: Sequence[str]) -> Exclusions:
    """Return who is left out, and why.

    Parameters
    ----------
    exclude
        From `label_or_file`, or as a configuration file has them. Files are read by `read_list`.

    Raises
    ------
    NoInputError, BadDataError
        A file is not there, or cannot be read.
    InvalidInputError
        A label, or a line of a file, is none.
    """
    found = Exclusions()
    for one in exclude:
        found |= read_list(Path(one)) if "/" in one else _named(one)
    return found


def _named(text: str) -> Exclusions:
    try:
        return Exclusions({read_unit(text): "excluded by --exclude"})
    except ValueError as error:
        raise InvalidInputError(f"--exclude: {error}") from error
