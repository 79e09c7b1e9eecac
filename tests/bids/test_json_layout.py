"""How JSON files are laid out: short for machines and people, and the same content."""

from __future__ import annotations

import json

import numpy as np

from ctwml_bids.bids.files import json_bytes


def random_content(rng, depth=0):
    kind = rng.integers(0, 8 if depth < 4 else 6)
    if kind >= 6:
        values = [random_content(rng, depth + 1) for _ in range(rng.integers(0, 5))]
        return values if kind == 6 else {f"ä {k}": v for k, v in enumerate(values)}
    text = "ö\n\"'\\" * int(rng.integers(0, 40))
    return (None, bool(rng.integers(2)), int(rng.integers(99)), float(rng.normal()), text, "")[kind]


def test_the_layout_changes_no_content():
    rng = np.random.default_rng(0)
    for _ in range(500):
        content = random_content(rng)
        assert json.loads(json_bytes(content)) == content


def test_short_lists_and_records_stand_in_one_line_and_long_lists_do_not():
    record = {"name": "gate", "message": "x" * 300}
    content = {"shape": [512, 512, 33], "gates": [record, record], "sources": ["y" * 60] * 4}
    lines = json_bytes(content).decode().splitlines()
    assert lines[1] == '  "shape": [512, 512, 33],'
    assert [json.loads(line.strip().rstrip(",")) for line in lines[3:5]] == [record, record]
    assert sum("yyy" in line for line in lines) == 4
