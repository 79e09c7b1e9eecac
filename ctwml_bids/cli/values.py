"""Readers of option values: from what was typed to a value, or a complaint that says why not."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from pathlib import Path


def memory_gb(text: str) -> float:
    """Read an amount of memory: a bare number is MB, else with a unit (K, M, G or T).

    Parameters
    ----------
    text
        Such as "8000", "4G", "1.5GB" or "512M".

    Returns
    -------
    float
        The amount in GiB.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    factor = {"K": 1024**-2, "": 1 / 1024, "M": 1 / 1024, "G": 1.0, "T": 1024.0}
    amount = float(match[1]) * factor[match[2].upper()] if match else 0.0
    if amount <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of memory (8000, 4G, 1.5G)")
    return amount


def label_reader(prefix: str) -> Callable[[str], str]:
    """Make a reader of one label that may carry its prefix."""

    def label(text: str) -> str:
        bare = text.removeprefix(prefix)
        if not re.fullmatch(r"[A-Za-z0-9+]+", bare):
            raise argparse.ArgumentTypeError(f"{text!r} is no label; labels are letters and digits")
        return bare

    return label


def letters_and_digits(text: str) -> str:
    """Read a label that becomes part of a file name."""
    if not (text.isascii() and text.isalnum()):
        raise argparse.ArgumentTypeError(f"{text!r} may only have letters and digits")
    return text


def at_least_one(text: str) -> int:
    """Read a whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def named_path(text: str) -> tuple[str, Path]:
    """Read PACKAGE=PATH."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not PACKAGE=PATH")
    return name, absolute_path(path)


def absolute_path(text: str) -> Path:
    """Read a path; see `absolute`."""
    return absolute(Path(text))


def absolute(path: Path) -> Path:
    """Make a path absolute without following links, so that messages show what was typed."""
    return Path(os.path.abspath(path.expanduser()))


def file_or_name(text: str, name: str) -> str:
    """Make a path absolute, unless it is the one name that stands for something else."""
    return text if text == name else str(absolute(Path(text)))


def unit_label(text: str) -> str:
    """Read the label of a unit, with or without sub-: X or X_ses-Y."""
    label = text if text.startswith("sub-") else f"sub-{text}"
    if not re.fullmatch(r"sub-[A-Za-z0-9+]+(_ses-[A-Za-z0-9+]+)?", label):
        raise argparse.ArgumentTypeError(f"{text!r} is no subject (X) or unit (X_ses-Y)")
    return label
