"""Readers of option values: from what was typed to a value, or a complaint that says why not."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from pathlib import Path

from ctwml_bids.bids.exclusions import names_file
from ctwml_bids.bids.labels import read_label, read_unit
from ctwml_bids.settings import Option
from ctwml_bids.unit.memory import LEAST_GB

Reader = Callable[[str], object]
# What one of each unit of memory is in GiB.
_GIB = {"K": 1024**-2, "M": 1 / 1024, "G": 1.0, "T": 1024.0}


def memory_in(unit: str) -> Callable[[str], float]:
    """Make a reader of an amount of memory, in GiB.

    Parameters
    ----------
    unit
        K, M, G or T: what a bare number is counted in. With a unit ("4G", "1.5GB", "512M") that
        one counts.
    """

    def memory(text: str) -> float:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
        asked = match[2].upper() or unit if match else unit
        amount = float(match[1]) * _GIB[asked] if match else 0.0
        if match is None or amount <= 0:
            raise argparse.ArgumentTypeError(f"{text!r} is no amount of memory (8000, 4G, 1.5G)")
        if amount < LEAST_GB:
            meant = "" if match[2] or unit == "G" else f"; did you mean {match[1]}G?"
            raise argparse.ArgumentTypeError(
                f"{text!r} is {match[1]} {asked}B, and no step fits into less than "
                f"{LEAST_GB * 1024:.0f} MB{meant}"
            )
        return amount

    return memory


def label_reader(prefix: str) -> Callable[[str], str]:
    """Make a reader of one label that may carry its prefix."""

    def label(text: str) -> str:
        try:
            return read_label(text, prefix).removeprefix(prefix)
        except ValueError as error:
            several = "; several labels stand one after the other: 01 02" if "," in text else ""
            raise argparse.ArgumentTypeError(f"{error}{several}") from error

    return label


def letters_and_digits(text: str) -> str:
    """Read a label that becomes part of a file name."""
    if not (text.isascii() and text.isalnum()):
        raise argparse.ArgumentTypeError(f"{text!r} may only have letters and digits")
    return text


def number(kind: type, declared: Option) -> Callable[[str], float]:
    """Make a reader of a number within the limits of its option.

    Parameters
    ----------
    kind
        ``int`` or ``float``.
    declared
        The option.
    """
    what = "a whole number" if kind is int else "a number"

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not declared.fits(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {what} {declared.allowed}".rstrip())
        return value

    return read


def keyed(keys: tuple[str, ...], read: Reader) -> Callable[[str], dict[str, object]]:
    """Make a reader of a value for one name (``ct=0.4``), or of one for all names.

    Parameters
    ----------
    keys
        The names.
    read
        Reader of the value.
    """

    def named(text: str) -> dict[str, object]:
        name, equals, value = text.rpartition("=")
        if equals and name not in keys:
            raise argparse.ArgumentTypeError(f"{text!r} is for none of {', '.join(keys)}")
        return dict.fromkeys((name,) if equals else keys, read(value))

    return named


def at_least_one(text: str) -> int:
    """Read a whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def named_path(text: str) -> dict[str, Path]:
    """Read PACKAGE=PATH."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not PACKAGE=PATH")
    return {name: Path(path)}


def absolute(path: Path | str) -> Path:
    """Make a path absolute without following links, so that messages show what was typed."""
    return Path(os.path.abspath(Path(path).expanduser()))


def unit_label(text: str) -> str:
    """Read the label of a unit, with or without sub-: X or X_ses-Y."""
    try:
        return read_unit(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def part(text: str) -> str:
    """Read a part of a training: heads, merge, REPEAT:FOLD or final:MEMBER."""
    if text in ("heads", "merge") or re.fullmatch(r"(final|[1-9]\d*):[1-9]\d*", text):
        return text
    raise argparse.ArgumentTypeError(
        f"{text!r} is none of heads, REPEAT:FOLD (such as 1:10), final:MEMBER and merge"
    )


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
    if why := names_file(text):
        raise argparse.ArgumentTypeError(why)
    return unit_label(text)


# Readers by the form that an option declares.
FORMS: dict[str, Reader] = {
    "subject": label_reader("sub-"),
    "session": label_reader("ses-"),
    "unit": unit_label,
    "unit or file": label_or_file,
    "named path": named_path,
    "label": letters_and_digits,
    "part": part,
    "memory": memory_in("M"),
}
