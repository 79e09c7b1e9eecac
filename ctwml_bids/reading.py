"""Small text files that others wrote, read with limits: JSON and TOML in one way everywhere.

Whatever is wrong with such a file is an OSError or a ValueError: also where it has no end, is
larger than any of its kind, or is nested so deeply that Python's own readers give up in other ways.

It imports nothing of the package, so any folder may import it, as it may import `errors`.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Bytes of the largest file that is read as a whole: sidecars have some kB, and a table of a million
# people tens of MB. Python's objects take up to thirty times as much.
LARGEST = 64 * 1024**2
# Bytes of the largest file of settings; the reader of TOML is slow.
LARGEST_SETTINGS = 1024**2
# Lists and objects in each other; sidecars have three or four.
DEEPEST = 64
# A key of TOML with more parts than that: a.a.a...
_KEY = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED = re.compile(rf"(?<![\w-]){_KEY}(?:[ \t]*\.[ \t]*{_KEY}){{{DEEPEST}}}")
# Bytes of the longest name of a file, and of one part of it, that a system takes.
_NAME, _PART = 4000, 255


def read_bytes(path: Path, most: int = LARGEST) -> bytes:
    """Read a file as a whole.

    Parameters
    ----------
    path
        A file. A device is none, nor is a pipe that lies in a folder: both may have no end. One
        that a shell made (``<(...)``) is read.
    most
        Bytes that it may have.

    Raises
    ------
    OSError
        It cannot be read.
    ValueError
        It is no file, or too large.
    """
    mode = path.stat().st_mode
    of_shell = stat.S_ISFIFO(mode) and str(path).startswith(("/dev/fd/", "/proc/"))
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or of_shell):
        raise ValueError("it is a device or a pipe, and no file")
    with path.open("rb") as opened:
        content = opened.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {most // 1024**2} MB, which no file of its kind has")
    return content


def read_text(path: Path, most: int = LARGEST) -> str:
    """Read a text file in UTF-8, with a byte order mark or without (raises as `read_bytes`)."""
    return read_bytes(path, most).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file (raises as `read_bytes`, and ValueError for what is no JSON)."""
    return parse_json(read_text(path))


def parse_json(text: str, pairs: Callable[[list[tuple[str, object]]], object] | None = None) -> Any:
    """Read JSON.

    Parameters
    ----------
    text
        The text.
    pairs
        Makes an object of its keys and values; a dict by default.

    Raises
    ------
    ValueError
        It is no JSON (a `json.JSONDecodeError`), has a number of thousands of digits, or is nested
        too deeply.
    """
    try:
        content = json.loads(text, object_pairs_hook=pairs)
    except RecursionError as error:
        raise _too_deep() from error
    _check_depth(content)
    return content


def parse_toml(text: str) -> dict[str, Any]:
    """Read TOML (raises ValueError, as `parse_json`)."""
    # Python's reader takes minutes for a key of a hundred thousand parts.
    if _DOTTED.search(text):
        raise _too_deep()
    try:
        content = tomllib.loads(text)
    except RecursionError as error:
        raise _too_deep() from error
    _check_depth(content)
    return content


def is_name(text: object) -> bool:
    """Tell whether a text that was read may be the name of a file below a folder.

    It is relative, stays in the folder, and is none that the system refuses to look up.
    """
    if not isinstance(text, str) or "\0" in text or os.path.isabs(text):
        return False
    try:
        parts = os.fsencode(text).split(b"/")
    except UnicodeEncodeError:
        return False
    too_long = len(text) > _NAME or any(len(part) > _PART for part in parts)
    return bool(text) and b".." not in parts and not too_long


def _check_depth(content: object) -> None:
    level, depth = [content], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise _too_deep()
        inside: list[object] = []
        for one in level:
            if isinstance(one, dict):
                inside += one.values()
            elif isinstance(one, list):
                inside += one
        level = [one for one in inside if isinstance(one, dict | list)]


def _too_deep() -> ValueError:
    return ValueError(f"it has more than {DEEPEST} lists or objects in each other")
