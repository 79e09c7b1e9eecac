"""Every typed error has its entry in docs/faq.md, and what is quoted there is what is said."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

from ctwml_bids import errors
from ctwml_bids.cli import main, simulate, slurm
from ctwml_bids.cli.parser import UnknownLevelError
from ctwml_bids.errors import CtwmlError, entry
from tests.docs.test_documentation import DOCS, ROOT, anchors

FAQ = DOCS / "faq.md"
KINDS = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, CtwmlError)
] + [UnknownLevelError]


def section(code: int) -> str:
    """Return the entry of an exit code."""
    text = FAQ.read_text(encoding="utf-8")
    return text.split(f"\n## Exit code {code}\n")[1].split("\n## ")[0]


def said() -> list[str]:
    """All text that stands in the package's code, f-strings without what they are filled with."""
    found = []
    for path in (ROOT / "ctwml_bids").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(" ".join(node.value.split()))
    return found


SAID = said()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_class_of_errors_has_its_entry(kind):
    page, anchor = entry(kind.exit_code).split("#")
    assert ROOT / page == FAQ
    assert anchor in anchors(FAQ)
    assert f"`{kind.__name__}`" in section(kind.exit_code)


def quoted_messages() -> list[tuple[int, str]]:
    codes = [int(code) for code in re.findall(r"^## Exit code (\d+)$", FAQ.read_text(), flags=re.M)]
    return [
        (code, part)
        for code in codes
        for row in re.findall(r"^\| (`.+?`) \|", section(code), flags=re.M)
        for part in re.findall(r"`([^`]+)`", row)
    ]


@pytest.mark.parametrize(("code", "part"), quoted_messages())
def test_a_quoted_message_is_one_of_the_programs(code, part):
    assert any(part in text for text in SAID)


def test_every_code_but_those_of_a_stop_from_outside_has_an_entry():
    assert {code for code, _ in quoted_messages()} == {kind.exit_code for kind in KINDS}


@pytest.mark.parametrize(
    ("program", "words", "kind"),
    [
        (main.main, ["nowhere", "out", "participant"], errors.NoInputError),
        (main.main, ["nowhere", "out", "nonsense"], UnknownLevelError),
        (main.main, ["nowhere"], errors.UsageError),
        (simulate.main, ["out", "--participants", "0"], errors.UsageError),
        (slurm.main, ["nowhere", "out", "--image", "none.sif"], errors.NoInputError),
    ],
    ids=["no folder", "no level", "words missing", "simulate", "slurm"],
)
def test_the_last_line_of_an_error_names_its_entry(
    program, words, kind, tmp_path: Path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert program(words) == kind.exit_code
    *before, last = capsys.readouterr().err.splitlines()
    assert "error: " in "".join(before)
    assert last == f"See {entry(kind.exit_code)}"
