"""Strategies for odd text, odd JSON, and bytes of real files that were changed."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Sequence

from hypothesis import strategies as st

# No page may hold these as they are.
MARKS = ("<script>fuzz()</script>", "<img src=x onerror=fuzz()>", "</script><b fuzz>")
TEXTS = (
    *MARKS,
    "",
    " ",
    "n/a",
    "../../../../etc/passwd",
    "/etc/passwd",
    "C:\\Windows\\win.ini",
    "sub-01/../../x",
    "\\..\\..",
    '"',
    '""',
    '"a ""b"" c"',
    "'",
    "`",
    "$(touch fuzz)",
    "; rm -rf fuzz",
    "{{7*7}}",
    "{% raw %}",
    "%s%n",
    "{0}",
    '=HYPERLINK("http://x")',
    "=cmd|' /C calc'!A0",
    "+SUM(1,2)",
    "-1+cmd",
    "@SUM(1)",
    "\u202esub-01",
    "sub-\uff10\uff11",
    "\u0661\u0662",
    "\u00b2",
    "\u017fub-01",
    "\u2460",
    "e\u0301",
    "\ufeff",
    "\u2028",
    "\x85",
    "\x0b\x0c\x1c",
    "\x00",
    "\x1b[31mred",
    "\ud800",
    "NaN",
    "nan",
    "inf",
    "-Infinity",
    "1e999",
    "1_000",
    "-0",
    "0x10",
    "9" * 30,
    "9" * 5000,
    "1e99",
    "1E5",
    "True",
    "null",
    "None",
    "sub-01",
    "sub-01_ses-1",
    "01",
    "1",
    "yes",
    "0-1",
    "2-3",
    "89+",
    "2020-02-29T13:45:00",
    "2020-02-30",
    "0000-00-00T00:00:00",
    "9999-12-31T23:59:59.999999+14:00",
    "0001-01-01T00:00:00+23:59",
    "20200101T25",
    "a" * 70_000,
    "," * 3000,
    ',"' * 3000,
    "sub-" * 500,
    "_" * 300,
    "-" * 300,
    "_ct" * 300,
    "_eq" * 300 + "x",
)
texts = st.one_of(st.sampled_from(TEXTS), st.text(max_size=12))
numbers = st.one_of(
    st.sampled_from(
        (0, 1, -1, 2, 0.5, 1e308, -1e308, 1e-320, float("nan"), float("inf"), -float("inf"))
    ),
    st.sampled_from((2**31, 2**63, -(2**63), 2**64, 10**30, 10**400)),
    st.integers(-5, 400),
    st.floats(),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
# JSON that is valid, or nearly, and costs its reader much.
BOMBS = (
    b"",
    b"{",
    b"null",
    b"[]",
    b"0",
    b'"x"',
    b"[" * 200_000,
    b"[" * 50_000 + b"]" * 50_000,
    b'{"a":' * 100_000,
    b'{"a":' * 30_000 + b"1" + b"}" * 30_000,
    b'{"Name": ' + b"9" * 6000 + b"}",
    b'{"Name": 1e400}',
    b'{"Name": NaN}',
    b'{"Name": "\\ud800"}',
    b'{"a": 1, "a": 2}',
    b'{"a": "' + b"x" * 300_000 + b'"}',
    b"{" + b",".join(b'"%d": %d' % (n, n) for n in range(20_000)) + b"}",
    b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}",
    b"\xef\xbb\xbf\xef\xbb\xbf{}",
    b"\x00" * 1000,
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    b"../../.git/annex/objects/aa/bb/SHA256E-s1--0/SHA256E-s1--0",
    b"\x80\x04\x95cos\nsystem\n(S'touch fuzz'\ntR.",
)


@st.composite
def changed_bytes(draw: st.DrawFn, sources: Sequence[bytes]) -> bytes:
    """Draw one of some contents, with some bytes changed, lost, doubled or put in."""
    content = bytearray(draw(st.sampled_from(sources)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        # Headers are what matters most.
        if draw(st.booleans()):
            at = min(at % 400, len(content))
        how = draw(st.integers(0, 5))
        if how == 0:
            content[at : at + 1] = bytes([draw(st.integers(0, 255))])
        elif how == 1:
            extreme = st.sampled_from(
                (b"\0\0", b"\xff\xff", b"\xff\x7f", b"\0\x80", b"\0\0\xc0\x7f")
            )
            put = draw(extreme)
            content[at : at + len(put)] = put
        elif how == 2:
            del content[at : at + draw(st.integers(1, 50))]
        elif how == 3:
            content[at:at] = draw(st.binary(min_size=1, max_size=20))
        elif how == 4:
            content[at:at] = content[at : at + draw(st.integers(1, 300))]
        else:
            del content[at:]
    return bytes(content)


@st.composite
def changed_json(draw: st.DrawFn, record: object) -> bytes:
    """Draw a JSON record with some values changed, lost or added; or none at all."""
    if draw(st.integers(0, 5)) == 0:
        return draw(st.sampled_from(BOMBS))
    if draw(st.integers(0, 7)) == 0:
        return draw(changed_bytes([json.dumps(record).encode()]))
    if draw(st.integers(0, 11)) == 0:
        return as_json(draw(values))
    record = copy.deepcopy(record)
    for _ in range(draw(st.integers(1, 3))):
        record = _with_change(draw, record)
    return as_json(record)


def as_json(record: object) -> bytes:
    """Write JSON; what is no text stands as its code."""
    return json.dumps(record).encode("utf-8", "backslashreplace")


def _with_change(draw: st.DrawFn, record: object) -> object:
    if isinstance(record, dict) and record and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(sorted(record)))
        how = draw(st.integers(0, 5))
        if how == 0:
            del record[key]
        elif how == 1:
            record[draw(texts)] = draw(values)
        else:
            record[key] = _with_change(draw, record[key])
        return record
    if isinstance(record, list) and record and draw(st.booleans()):
        at = draw(st.integers(0, len(record) - 1))
        record[at] = _with_change(draw, record[at])
        return record
    return draw(values)


@st.composite
def tables(
    draw: st.DrawFn,
    columns: Sequence[str],
    cells: st.SearchStrategy[str] = texts,
    rows: Sequence[Sequence[str]] = (),
) -> bytes:
    """Draw a table of people or files as programs of all kinds might save it.

    Parameters
    ----------
    columns, rows
        A right table, of which a few names and cells are changed.
    cells
        What comes in their place.
    """
    names, lines = list(columns), [list(row) for row in rows]
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2)))):
        how = draw(st.integers(0, 4))
        if how == 0 and names:
            at = draw(st.integers(0, len(names) - 1))
            for line in (names, *lines):
                del line[at : at + 1]
        elif how == 1:
            names.append(draw(texts))
            for line in lines:
                line.append(draw(texts))
        elif how == 2 and names:
            names.append(draw(st.sampled_from(names)).upper())
        elif how == 3:
            for line in (names, *lines):
                line.reverse()
    for _ in range(draw(st.integers(0, 3))):
        if lines and (line := draw(st.sampled_from(lines))):
            line[draw(st.integers(0, len(line) - 1))] = draw(cells)
    if not lines or draw(st.integers(0, 3)) == 0:
        width = len(names) + draw(st.sampled_from((0, 0, 0, -1, 1)))
        lines += [[draw(cells) for _ in range(max(0, width))]]
    lines = [names, *lines]
    tab = draw(st.sampled_from((*["\t"] * 30, ",", ";", " ", "|")))
    end = draw(st.sampled_from(("\n", "\n", "\n", "\r\n", "\r", "\n\n")))
    text = end.join(tab.join(line) for line in lines) + draw(st.sampled_from(("", end)))
    coding = draw(st.sampled_from((*["utf-8"] * 20, "utf-8-sig", "utf-16", "cp1252")))
    content = text.encode(coding, "replace" if coding == "cp1252" else "surrogatepass")
    how = draw(st.integers(0, 19))
    if how == 0:
        return draw(changed_bytes([content]))
    if how == 1:
        return gzip.compress(content, mtime=0)
    return content
