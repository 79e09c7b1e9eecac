"""Whether a file's content is here: git-annex and Git LFS leave a stand-in until it is fetched."""

from __future__ import annotations

import errno
import os
from pathlib import Path

# git-annex takes no file over 32 KiB for a pointer (git-annex-smudge); one of Git LFS has under
# 1 KiB (its specification, v1).
_LARGEST_POINTER = 32 * 1024
_ANNEX = "/annex/objects/"
_LFS = "version https://git-lfs.github.com/"
_GET = "datalad get, git annex get"


def not_fetched(path: Path) -> str | None:
    """Say why a file's content cannot be read yet, and what to do; None where it is there.

    A stand-in is a link to nothing, the text of a link into the annex (where a disk has no links),
    an unlocked pointer of git-annex, or one of Git LFS. Of a file that is there only a small one
    is read.

    Parameters
    ----------
    path
        A file of any kind: an image, a sidecar, a table.

    Returns
    -------
    str or None
        A sentence without the file's name, to stand after it and a colon. None also for a file
        that is not there at all, or cannot be opened: whoever reads it says so.
    """
    try:
        facts = path.stat()
    except OSError as error:
        return _dead_link(path, error)
    if facts.st_size > _LARGEST_POINTER or not path.is_file():
        return None
    try:
        with path.open("rb") as opened:
            text = opened.read(_LARGEST_POINTER).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    first = text.partition("\n")[0]
    if text.startswith(_LFS):
        return "its content was not fetched (Git LFS); fetch it with git lfs pull"
    # A link that a disk without links holds as text begins with dots; a pointer with a slash.
    if _ANNEX in first and first.startswith((_ANNEX, ".", "/")):
        return f"its content was not fetched (git-annex); fetch it ({_GET})"
    return None


def _dead_link(path: Path, error: OSError) -> str | None:
    if not path.is_symlink():
        return None
    if error.errno == errno.ELOOP:
        return "is a link that leads in a circle; remove it, or put the file in its place"
    if error.errno not in (errno.ENOENT, errno.ENOTDIR):
        return None
    if _ANNEX in os.path.realpath(path):
        return f"is a link to nothing, its content was not fetched (git-annex); fetch it ({_GET})"
    return f"is a link to nothing; fetch its content ({_GET}), or mend the link"
