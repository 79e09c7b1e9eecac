"""Inputs that once found a fault: each has its right exit code now."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.case import Case
from tests.fuzz.kinds import KINDS

KEPT = sorted((Path(__file__).parent / "corpus").glob("*.json"))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_an_input_that_found_a_fault_is_refused_with_its_code_or_right(worker, path):
    case = Case.from_json(path.read_text(encoding="utf-8"))
    assert case.kind in KINDS
    assert case.code is not None
    assert worker.run(case).faults == []


def test_inputs_are_kept_small():
    assert KEPT
    assert max(path.stat().st_size for path in KEPT) < 30_000
