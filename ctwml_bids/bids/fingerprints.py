"""Files described so that a changed one is noticed, mostly without reading it."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ctwml_bids.reading import is_name


def fingerprint(path: Path) -> list[int | str]:
    """Describe a file so that a changed one is noticed, mostly without reading it.

    Returns
    -------
    list
        Size in bytes, time of change in ns, and SHA-256, by which `is_same_file` knows a copy.
    """
    facts = path.stat()
    return [facts.st_size, facts.st_mtime_ns, _digest(path, facts.st_size, facts.st_mtime_ns)]


def fingerprints(paths: Iterable[Path], bids_dir: Path) -> dict[str, list[int | str]]:
    """Describe input images (`fingerprint`) by their names in the data set."""
    return {os.path.relpath(path, bids_dir): fingerprint(path) for path in paths}


def is_known(name: object, facts: object) -> bool:
    """Tell whether what was read is the name of an image and its `fingerprint`.

    Those of former versions have no checksum.
    """
    return (
        is_name(name)
        and isinstance(facts, list)
        and len(facts) in (2, 3)
        and all(isinstance(fact, int) for fact in facts[:2])
        and all(isinstance(fact, str) for fact in facts[2:])
    )


def is_same_file(path: Path, before: Sequence[int | str], *, by_content: bool = False) -> bool:
    """Tell whether a file has the content that a `fingerprint` described.

    Parameters
    ----------
    path
        The file; may be missing.
    before
        The fingerprint.
    by_content
        Whether to read the file also where size and time of change are the same. It is always read
        where the time alone is another one: a copy of a data set has other times.
    """
    try:
        facts = path.stat()
        size, changed, *digest = before
    except (OSError, ValueError):
        return False
    if facts.st_size != size:
        return False
    if facts.st_mtime_ns == changed and not (by_content and digest):
        return True
    now = _digest(path, facts.st_size, facts.st_mtime_ns)
    return bool(now) and digest == [now]


@functools.lru_cache(maxsize=4096)
def _digest(path: Path, size: int, changed: int) -> str:
    """Hash a file; once a process as long as size and time of change are the same.

    Of a file that cannot be read the hash is that of no file, so that its unit runs and says so.
    """
    try:
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return ""
