"""Who is left out by ``--exclude``: labels, and files that list them."""

from __future__ import annotations

import argparse
import os
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

    Raises
    ------
    argparse.ArgumentTypeError
        It is neither; or a label that is the name of a file, too.
    """
    if re.search(r"[./]", text):
        return str(Path(text).resolve())
    if why := _names_file(text):
        raise argparse.ArgumentTypeError(why)
    return unit_label(text)


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
        A label, or a line of a file, is none; or a label is the name of a file, too.
    """
    found = Exclusions()
    for one in exclude:
        found |= read_list(Path(one)) if "/" in one else _named(one)
    return found


def _names_file(text: str) -> str:
    """Say how to tell a label from a file of that name in the working folder; empty without one.

    Taken for a label, a list of people would leave out nobody.
    """
    path = Path(text)
    if not os.path.lexists(path) or path.is_dir():
        return ""
    return (
        f"{text!r} is read as a label, and there is a file of that name in {Path.cwd()}; write "
        f"./{text} for the list, or rename the file if the label is meant"
    )


def _named(text: str) -> Exclusions:
    if why := _names_file(text):
        raise InvalidInputError(f"--exclude: {why}.")
    try:
        return Exclusions({read_unit(text): "excluded by --exclude"})
    except ValueError as error:
        raise InvalidInputError(f"--exclude: {error}") from error
