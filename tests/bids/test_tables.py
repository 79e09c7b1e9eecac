"""The reader of tables that people write: what has one meaning is read, the rest is refused."""

from __future__ import annotations

import bz2
import gzip
import lzma

import pytest

from ctwml_bids.bids.exclusions import read_list
from ctwml_bids.bids.tables import is_missing, read_table, split_list, unquoted
from ctwml_bids.errors import BadDataError, NoInputError

ROWS = "participant_id\tnote\nsub-01\tMüller\nsub-02\tn/a\n"


def write(tmp_path, content):
    path = tmp_path / "participants.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def cells(table):
    return [list(row.values()) for _, row in table.rows]


@pytest.mark.parametrize(
    "content",
    [
        ROWS.encode(),
        ROWS.encode("utf-8-sig"),
        ROWS.replace("\n", "\r\n").encode(),
        ROWS.replace("\n", "\r").encode("utf-8-sig"),
        ROWS.rstrip("\n").encode(),
        ROWS.replace("\n", "\n\n").replace("\tMüller", " \t  Müller ").encode(),
        ROWS.replace("note", " note ").replace("Müller", "Müller\t\t").encode(),
        ROWS.replace("Müller", '"Müller"').replace("sub-01", '"sub-01"').encode(),
        ("\n" + ROWS + "\t\n \n").encode(),
    ],
)
def test_one_table_in_many_dresses_is_read_as_one(tmp_path, content):
    table = read_table(write(tmp_path, content))
    assert table.columns == ("participant_id", "note")
    assert cells(table) == [["sub-01", "Müller"], ["sub-02", "n/a"]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (ROWS.encode("latin-1"), r"line 2: .*not in UTF-8 \(byte 0xfc; perhaps it is in Latin-1"),
        (ROWS.encode("cp1252"), "line 2: .*Windows-1252"),
        (ROWS.encode("mac-roman"), "line 2: .*not in UTF-8"),
        (ROWS.encode("utf-16"), "text in UTF-16"),
        (ROWS.encode("utf-16-be"), "bytes of 0"),
        (ROWS.encode("utf-16-le"), "bytes of 0"),
        (ROWS.encode("utf-32"), "UTF-16"),
        (b"PK\x03\x04 and what a workbook has", "is a spreadsheet"),
        (b"\xd0\xcf\x11\xe0 and what an old workbook has", "is a spreadsheet"),
        (ROWS.replace("\n", "\r").encode("latin-1"), "line 2: "),
    ],
)
def test_other_encodings_are_refused_with_how_to_save(tmp_path, content, said):
    path = write(tmp_path, content)
    with pytest.raises(BadDataError, match=said) as caught:
        read_table(path)
    assert str(path) in str(caught.value)
    assert "LibreOffice" in str(caught.value)
    assert "Excel" in str(caught.value)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('"tumour, left"', "tumour, left"),
        ('"a ""small"" one"', 'a "small" one'),
        ('"', '"'),
        ('"tumour', '"tumour'),
        ('tumour"', 'tumour"'),
        ('5" screen', '5" screen'),
        ('"a" and "b"', '"a" and "b"'),
        ('""', ""),
        (' " spaced " ', "spaced"),
        ("'single'", "'single'"),
    ],
)
def test_quotes_of_a_whole_cell_are_read_and_others_are_text(tmp_path, cell, text):
    """A cell that begins with a quote took in all rows up to the next one."""
    assert unquoted(cell) == text
    table = read_table(write(tmp_path, f"participant_id\tnote\n01\t{cell}\n02\tfine\n03\t{cell}\n"))
    assert cells(table) == [["01", text], ["02", "fine"], ["03", text]]
    assert [line for line, _ in table.rows] == [2, 3, 4]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("participant_id\tage\nsub-01\n", "line 2: has 1 cell, and the table has 2 columns"),
        ("participant_id\tage\nsub-01\t70\tyes\n", "line 2: has 3 cells"),
        ('participant_id\tage\nsub-01\t"a\nb"\n', "line 3: has 1 cell"),
        ('participant_id\tage\nsub-01\t"a\tb"\n', "line 2: has 3 cells"),
        ("participant_id,age\nsub-01,70\n", "has commas between its columns, where tabs belong"),
        ("participant_id;age\nsub-01;70\n", "has semicolons between its columns"),
        ("participant_id|age\nsub-01|70\n", "has bars between its columns"),
        ("participant_id age\nsub-01 70\n", "has no column participant_id .*participant_id age"),
        ("sub-01\t70\n", "has no column participant_id .*its columns: sub-01, 70"),
        ("participant_id\tage\tage\nsub-01\t70\t71\n", "has two columns age"),
        ("participant_id\t\tage\nsub-01\tx\t71\n", "column 2 has no name"),
        ("", "its columns: none"),
        (" \n\t\n", "its columns: none"),
    ],
)
def test_what_cannot_be_one_table_is_refused_with_its_place(tmp_path, content, said):
    with pytest.raises(BadDataError, match=said):
        read_table(write(tmp_path, content), "Correct it there.", needs="participant_id")


@pytest.mark.parametrize("name", ["exclude", "Exclude", "EXCLUDE", " exclude ", '"exclude"'])
def test_a_column_is_found_in_any_dress(tmp_path, name):
    table = read_table(write(tmp_path, f"participant_id\t{name}\nsub-01\tyes\n"))
    assert table.rows[0][1][table.column("exclude")] == "yes"
    assert table.column("excluded") is None


def test_two_columns_that_differ_in_capitals_are_refused_when_asked_for(tmp_path):
    table = read_table(write(tmp_path, "participant_id\tScore\tscore\nsub-01\t1\t2\n"))
    assert table.column("participant_id") == "participant_id"
    with pytest.raises(BadDataError, match="has the columns Score and score"):
        table.column("score")


@pytest.mark.parametrize(
    ("text", "missing"),
    [("", True), (" ", True), ("n/a", True), ("N/A ", True), ("NA", False), ("nan", False)],
)
def test_nothing_is_told_from_something(text, missing):
    assert is_missing(text) is missing


def test_a_table_that_is_not_there_is_told_from_a_link_to_nothing(tmp_path):
    path = tmp_path / "participants.tsv"
    with pytest.raises(NoInputError, match="there is no such table"):
        read_table(path)
    path.symlink_to(tmp_path / "annexed")
    with pytest.raises(BadDataError, match="is a link to nothing; fetch its content"):
        read_table(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(BadDataError, match="cannot be read"):
        read_table(path)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("sub-04\ttumour, large", ["sub-04", "tumour, large"]),
        ("sub-04,tumour", ["sub-04", "tumour"]),
        ("sub-04 ; tumour ", ["sub-04", "tumour"]),
        ('"sub-04","tumour, ""large"""', ["sub-04", 'tumour, "large"']),
        ('sub-04,"open, quote', ["sub-04", '"open', "quote"]),
        ("sub-04,,", ["sub-04", "", ""]),
        ("sub-04", ["sub-04"]),
    ],
)
def test_lines_of_a_list_are_split(line, found):
    assert split_list(line) == found


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(ROWS.encode(), mtime=0), r"compressed \(gzip\)"),
        (bz2.compress(ROWS.encode()), r"compressed \(bzip2\)"),
        (lzma.compress(ROWS.encode()), r"compressed \(xz\)"),
        (b"%PDF-1.7\n", "is a PDF"),
        (b"{\\rtf1\\ansi participant_id}", r"RTF"),
        (b"participant_id age\nsub-01 70\n", "spaces between its columns, where tabs belong"),
        (b"age  participant_id\n70  sub-01\n", "spaces between its columns, where tabs belong"),
        (b"# made by hand\n" + ROWS.encode(), "line 1: begins with #"),
        (b"\n#participant_id\tnote\nsub-01\tx\n", "line 2: begins with #"),
    ],
)
def test_what_is_no_table_is_called_what_it_is(tmp_path, content, said):
    with pytest.raises(BadDataError, match=said):
        read_table(write(tmp_path, content), needs="participant_id")


def test_two_byte_order_marks_do_not_count(tmp_path):
    table = read_table(write(tmp_path, "\ufeff\ufeff" + ROWS))
    assert table.columns == ("participant_id", "note")


@pytest.mark.parametrize(
    ("stand_in", "how"),
    [
        ("/annex/objects/MD5E-s12--0123.tsv\n", "datalad get"),
        ("../.git/annex/objects/x/MD5E-s12--0123.tsv", "datalad get"),
        ("../../.git/annex/objects/Xq/0z/SHA256E-s9--ab.tsv/SHA256E-s9--ab.tsv", "git annex get"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n", "git lfs pull"),
        (None, "datalad get"),
    ],
)
@pytest.mark.parametrize("reader", [read_table, read_list])
def test_a_table_that_was_not_fetched_says_how_to_fetch_it(tmp_path, stand_in, how, reader):
    path = tmp_path / "participants.tsv"
    if stand_in is None:
        path.symlink_to("../.git/annex/objects/MD5E-s12--0123.tsv")
    else:
        path.write_text(stand_in)
    with pytest.raises(BadDataError, match=rf"participants\.tsv: .*not fetched.*{how}"):
        reader(path)
