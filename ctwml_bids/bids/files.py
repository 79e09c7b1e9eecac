"""Atomic writers: a file is there whole or not at all, also when a job is killed midway.

Each writes to a temporary name in the same folder and renames it; the temporary file is removed
on any failure, Ctrl-C included. What a killed process leaves, `sweep` removes.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import nibabel as nib

from ctwml_bids.errors import BadDataError, CannotCreateError, CtwmlError, InputOutputError
from ctwml_bids.reading import read_text

# The system says in these ways that there is no room.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# What a spreadsheet takes for a formula, numbers and lone signs aside.
_FORMULA = re.compile(r"[=@].|[+-](?!(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$|inf$|nan$).", re.S)
# The last line of a unit's notes (`note`): all of its files are in place.
COMPLETE = "# complete"
# Columns up to which a list or an object of JSON stands in one line.
LINE = 160
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR}


def write_bytes(path: Path, content: bytes) -> Path:
    """Write bytes; the folder is made where it is missing.

    Raises
    ------
    CannotCreateError
        The folder or file cannot be made there (rights, read-only disk, a file in the way).
    InputOutputError
        Writing failed midway, for instance because the disk is full.
    """
    return _atomically(path, lambda temporary: temporary.write_bytes(content))


def write_text(path: Path, content: str) -> Path:
    """Write text as UTF-8 (raises as `write_bytes`).

    What is not text in the name of a file stands as its code, which JSON reads back as it was.
    """
    return write_bytes(path, _encoded(content))


def write_json(path: Path, content: object) -> Path:
    """Write JSON, as `json_bytes` has it (raises as `write_bytes`)."""
    return write_bytes(path, json_bytes(content))


def json_bytes(content: object) -> bytes:
    """Return JSON, indented, in the order given; NaN and infinity become null, as JSON has none.

    What is short stands in one line, as does each record of a list of them.
    """
    return _encoded(_laid_out(_without_nan(content)) + "\n")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def write_tsv(
    path: Path, rows: Iterable[Mapping[str, object]], columns: Sequence[str] | None = None
) -> Path:
    """Write a BIDS table: tab-separated, ``n/a`` for what is missing or not a number.

    Parameters
    ----------
    path
        The file.
    rows
        One mapping a row; floats are written with six significant digits.
    columns
        Order of the columns; by default that in which the rows name them.
    """
    rows = list(rows)
    if columns is None:
        columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["\t".join(columns)]
    lines += ["\t".join(_cell(row.get(column)) for column in columns) for row in rows]
    return write_text(path, "\n".join(lines) + "\n")


def read_tsv(path: Path) -> list[dict[str, str]]:
    """Read back a table that `write_tsv` wrote: one dict a row, all cells as text.

    Tables that people write have a reader of their own (`ctwml_bids.bids.tables`).

    Raises
    ------
    OSError, ValueError
        It is not there, or not as it was written.
    """
    head, *lines = read_text(path).rstrip("\n").split("\n")
    columns = head.split("\t")
    return [dict(zip(columns, line.split("\t"), strict=True)) for line in lines]


def write_nifti(path: Path, image: nib.Nifti1Image) -> Path:
    """Write an image; the name's ending says whether it is compressed."""
    return _atomically(path, lambda temporary: nib.save(image, temporary))


def copy_into(source: Path, path: Path) -> Path:
    """Copy a file's content to `path` (raises as `write_bytes`, BadDataError without a source)."""
    if not source.is_file():
        raise BadDataError(f"{source}: the file to copy to {path} is not there")
    return _atomically(path, lambda temporary: shutil.copyfile(source, temporary))


def note(path: Path, line: str) -> None:
    """Add a line to a text file, made where it is missing (raises as `write_bytes`)."""
    make_folder(path.parent)
    try:
        with path.open("a", encoding="utf-8") as opened:
            opened.write(f"{line}\n")
    except OSError as error:
        raise explain_os_error(error, path) from error


def sweep(folder: Path, stem: str) -> None:
    """Remove what a killed process left half-written: no handler of its own could.

    Parameters
    ----------
    folder
        Where it wrote; may be missing.
    stem
        Beginning of the names that were meant, such as ``sub-X``.
    """
    for left in folder.glob(f".*.tmp_{stem}[._]*"):
        left.unlink(missing_ok=True)


def explain_os_error(error: OSError, path: Path) -> CtwmlError:
    """Turn a failure of the system into an error that says what to do."""
    if error.errno in FULL:
        return InputOutputError(
            f"{path}: cannot write, the disk (or the quota) is full; make room and run again: "
            "what is done is kept"
        )
    if error.errno in _FORBIDDEN:
        return CannotCreateError(
            f"{path}: cannot be created ({error.strerror}); choose an output folder that this "
            "user may write to"
        )
    return InputOutputError(f"{path}: cannot write: {error.strerror or error}")


def make_folder(path: Path) -> Path:
    """Make a folder and those above it (raises as `write_bytes`)."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in FULL:
            raise explain_os_error(error, path) from error
        for above in (path, *path.parents):
            if above.exists() and not above.is_dir():
                raise CannotCreateError(
                    f"{above}: is a file, and a folder is needed there; choose another folder"
                ) from error
        raise CannotCreateError(
            f"{path}: the folder cannot be created ({error.strerror}); choose another folder that "
            "this user may write to"
        ) from error
    return path


def _atomically(path: Path, write: Callable[[Path], object]) -> Path:
    path = Path(path)
    make_folder(path.parent)
    # The ending stays last: nibabel reads the format from it.
    temporary = path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}.tmp_{path.name}")
    try:
        write(temporary)
        _flush(temporary)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise explain_os_error(error, path) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


def _flush(path: Path) -> None:
    """Bring the content to the disk, so that a full network disk is noticed before the rename."""
    with path.open("rb+") as opened:
        os.fsync(opened.fileno())


def _laid_out(content: object, indent: str = "", *, is_record: bool = False) -> str:
    line = json.dumps(content, ensure_ascii=False, allow_nan=False)
    if not content or not isinstance(content, dict | list):
        return line
    values = content.values() if isinstance(content, dict) else content
    is_flat = not any(isinstance(value, dict | list) for value in values)
    if is_flat and (is_record or len(indent) + len(line) <= LINE):
        return line
    inner = f"{indent}  "
    if isinstance(content, dict):
        parts = [
            f"{json.dumps(key, ensure_ascii=False)}: {_laid_out(value, inner)}"
            for key, value in content.items()
        ]
        opened, closed = "{}"
    else:
        parts = [_laid_out(v, inner, is_record=isinstance(v, dict)) for v in content]
        opened, closed = "[]"
    return f"{opened}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{closed}"


def _cell(value: object) -> str:
    value = _plain(value)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "n/a"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    return as_text(str(value)) or "n/a"


def as_text(text: str) -> str:
    """Return a text as a cell of a table: in one line, and none that a spreadsheet would run.

    Spreadsheets run what begins as a formula does, also where a stranger wrote it into a sidecar or
    a table. An apostrophe before it makes it text.
    """
    text = " ".join(text.split())
    return f"'{text}" if _FORMULA.match(text) else text


def _without_nan(content: object) -> object:
    if isinstance(content, Mapping):
        return {str(key): _without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(value) for value in content]
    if isinstance(content, Path):
        return str(content)
    content = _plain(content)
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content


def _plain(value: object) -> object:
    """Turn a numpy scalar into a number of Python; leave anything else as it is."""
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "ndim", None) == 0 else value
