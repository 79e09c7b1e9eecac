"""The one reader of tables that people write: bytes to rows with their lines, or a refusal.

Tables come from spreadsheets, and what a spreadsheet does to them differs: encodings, quotes, ends
of lines, spaces. What has one meaning only is read; everything else is refused with the file, the
line and how to save it. Nothing is guessed, and no row is ever lost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ctwml_bids.bids.fetched import not_fetched
from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.reading import read_bytes

MISSING = "n/a"
HOW_TO_SAVE = (
    "Save it as text in UTF-8 with tabs between the columns. LibreOffice: Save As, Text CSV, Edit "
    "filter settings, character set UTF-8, field delimiter Tab. Excel: Save As, Unicode Text, then "
    "open that file in Notepad and Save As with the encoding UTF-8."
)
# First bytes of what is no text, or of text that is not UTF-8.
_BEGINNINGS = {
    b"\xff\xfe": "is text in UTF-16, and not in UTF-8",
    b"\xfe\xff": "is text in UTF-16, and not in UTF-8",
    b"PK\x03\x04": "is a spreadsheet (as .xlsx and .ods are), and not a text file",
    b"\xd0\xcf\x11\xe0": "is a spreadsheet (as .xls is), and not a text file",
    b"\x1f\x8b": "is compressed (gzip), and not a text file",
    b"BZh": "is compressed (bzip2), and not a text file",
    b"\xfd7zXZ": "is compressed (xz), and not a text file",
    b"\x28\xb5\x2f\xfd": "is compressed (zstd), and not a text file",
    b"7z\xbc\xaf": "is compressed (7z), and not a text file",
    b"%PDF": "is a PDF, and not a text file",
    b"{\\rtf": "is a document (RTF), and not a plain text file",
}


@dataclass(frozen=True)
class Table:
    """A table as it is in its file.

    Attributes
    ----------
    path
        The file.
    columns
        Names as the file spells them, without spaces around them.
    rows
        Line in the file, counted from 1, and its cells by column: without spaces around them and
        without a spreadsheet's quotes.
    advice
        What to do where something in it is wrong, a sentence.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, Mapping[str, str]], ...]
    advice: str = ""

    def column(self, name: str) -> str | None:
        """Return a column's name as the file spells it; None where it has none of that name.

        Capitals do not count.

        Raises
        ------
        BadDataError
            Two columns have that name.
        """
        found = [given for given in self.columns if given.lower() == name.strip().lower()]
        if len(found) > 1:
            raise BadDataError(
                f"{self.path}: has the columns {' and '.join(found)}, and it cannot be told which "
                f"one counts; rename one. {self.advice}".rstrip()
            )
        return found[0] if found else None


def is_missing(text: str) -> bool:
    """Tell whether a cell says nothing: it is empty, or ``n/a`` (in capitals or not)."""
    return text.strip().lower() in ("", MISSING)


def read_lines(path: Path, advice: str = "") -> list[tuple[int, str]]:
    """Read the lines of a text file that have anything in them.

    Lines may end as on any system. A byte order mark does not count.

    Parameters
    ----------
    path
        The file.
    advice
        What to do where it is wrong, a sentence.

    Returns
    -------
    list of (int, str)
        The line's number, counted from 1, and its text.

    Raises
    ------
    NoInputError
        The file is not there.
    BadDataError
        It was not fetched, is a link to nothing, cannot be read, or is not text in UTF-8.
    """
    if absent := not_fetched(path):
        raise BadDataError(f"{path}: {absent}.")
    try:
        content = read_bytes(path)
    except FileNotFoundError as error:
        raise NoInputError(f"{path}: there is no such table.") from error
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise BadDataError(f"{path}: cannot be read ({why}). {advice}".rstrip()) from error
    except ValueError as error:
        raise BadDataError(f"{path}: cannot be read ({error}). {advice}".rstrip()) from error
    lines = re.split("\r\n|\r|\n", _decoded(path, content, advice))
    return [(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def read_table(path: Path, advice: str = "", needs: str = "") -> Table:
    """Read a table: tabs between the columns, their names in the first line.

    A tab always parts two cells, and the end of a line two rows, in quotes or not: BIDS tables
    know no quotes. A whole cell in quotes, as spreadsheets write it, is read without them.

    Parameters
    ----------
    path
        The file.
    advice
        What to do where it is wrong, a sentence.
    needs
        Name of a column that it has to have.

    Raises
    ------
    NoInputError
        The file is not there.
    BadDataError
        It cannot be read, is not text in UTF-8, has other separators, two columns of one name, a
        row with too many or too few cells, or lacks the column.
    """
    lines = read_lines(path, advice)
    columns: list[str] = []
    if lines:
        columns = [unquoted(cell) for cell in lines[0][1].split("\t")]
        while columns and not columns[-1]:
            columns.pop()
        if columns and columns[0].startswith("#"):
            raise BadDataError(
                f"{path}, line {lines[0][0]}: begins with #, and a table has no remarks: its first "
                f"line names its columns; remove the line, or the sign. {advice}".rstrip()
            )
    _check_columns(path, columns, needs, advice)
    rows = [
        (number, dict(zip(columns, _cells(path, number, line, columns, advice), strict=True)))
        for number, line in lines[1:]
    ]
    table = Table(path, tuple(columns), tuple(rows), advice)
    if needs and table.column(needs) is None:
        how = "a table has it, and tabs between its columns"
        if len(columns) == 1 and needs.lower() in columns[0].lower().split():
            how = f"it has spaces between its columns, where tabs belong. {HOW_TO_SAVE}"
        raise BadDataError(
            f"{path}: has no column {needs} (its columns: {', '.join(columns) or 'none'}); "
            f"{how.removesuffix('.')}. {advice}".rstrip()
        )
    return table


def unquoted(cell: str) -> str:
    """Return a cell without spaces around it, and without quotes around the whole of it.

    ``"a ""b"" c"`` is ``a "b" c``, as spreadsheets mean it. Any other quote is text.
    """
    cell = cell.strip()
    if re.fullmatch(r'"(?:[^"]|"")*"', cell) and cell != '"':
        return cell[1:-1].replace('""', '"').strip()
    return cell


def split_list(line: str) -> list[str]:
    """Split a line of a list, which may have tabs, or commas or semicolons between its cells.

    Separators within a cell in quotes are text, as in a CSV file.
    """
    if "\t" in line:
        return [unquoted(cell) for cell in line.split("\t")]
    pieces = re.findall(r'(?:^|[,;])\s*((?:"(?:[^"]|"")*"\s*(?=[,;]|$))|[^,;]*)', line)
    return [unquoted(piece) for piece in pieces]


def _decoded(path: Path, content: bytes, advice: str) -> str:
    what = next((said for start, said in _BEGINNINGS.items() if content.startswith(start)), "")
    if not what and b"\0" in content:
        what = "has bytes of 0, as text in UTF-16 has and text in UTF-8 has not"
    if what:
        raise BadDataError(
            f"{path}: cannot be read as a table: it {what}. {HOW_TO_SAVE} {advice}".rstrip()
        )
    try:
        # A program that adds a byte order mark to one that is there leaves two.
        return content.decode("utf-8").lstrip("\ufeff")
    except UnicodeDecodeError as error:
        before = content[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        raise BadDataError(
            f"{path}, line {before.count(10) + 1}: cannot be read as a table: it is not in UTF-8 "
            f"(byte 0x{content[error.start]:02x}; perhaps it is in Latin-1 or Windows-1252). "
            f"{HOW_TO_SAVE} {advice}".rstrip()
        ) from error


def _check_columns(path: Path, columns: Sequence[str], needs: str, advice: str) -> None:
    """Refuse other separators, columns without a name, and two of one name."""
    if len(columns) == 1 and columns[0].lower() != needs.lower():
        for sign, name in ((",", "commas"), (";", "semicolons"), ("|", "bars")):
            if sign in columns[0]:
                raise BadDataError(
                    f"{path}: has {name} between its columns, where tabs belong. {HOW_TO_SAVE} "
                    f"{advice}".rstrip()
                )
    for at, name in enumerate(columns, 1):
        if not name:
            raise BadDataError(
                f"{path}: column {at} has no name; give it one, or remove it. {advice}".rstrip()
            )
        if name in columns[: at - 1]:
            raise BadDataError(
                f"{path}: has two columns {name}, of which only one can be right; rename or remove "
                f"one. {advice}".rstrip()
            )


def _cells(path: Path, number: int, line: str, columns: Sequence[str], advice: str) -> list[str]:
    cells = [unquoted(cell) for cell in line.split("\t")]
    # Spreadsheets write empty cells beyond the last column.
    while len(cells) > len(columns) and not cells[-1]:
        cells.pop()
    if len(cells) != len(columns):
        some = f"{len(cells)} cell" + ("s" if len(cells) > 1 else "")
        raise BadDataError(
            f"{path}, line {number}: has {some}, and the table has {len(columns)} columns. A tab "
            f"parts two cells, and {MISSING} stands for an empty one; a cell cannot have a tab or "
            f"the end of a line in it. {advice}".rstrip()
        )
    return cells
