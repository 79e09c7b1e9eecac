"""How little is imported before a command line is read: these programs answer at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"numpy", "scipy", "nibabel", "torch", "nipype", "bids", "pandas", "ants", "matplotlib"}
# In a process of its own, as this one has imported everything.
ASK = """
import importlib, sys
code = importlib.import_module("ctwml_bids.cli." + sys.argv[1]).main(sys.argv[2:])
print("loaded:", *sorted({name.partition(".")[0] for name in sys.modules}))
sys.exit(code)
"""


@pytest.mark.parametrize(
    "words",
    [
        ("main", "--version"),
        ("main", "--help"),
        ("main", "bids", "out", "nonsense"),
        ("slurm", "--version"),
        ("slurm", "--help"),
        ("simulate", "--help"),
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported_before_a_run(words):
    answer = subprocess.run([sys.executable, "-c", ASK, *words], capture_output=True, text=True)
    assert answer.returncode == (17 if "nonsense" in words else 0), answer.stderr
    loaded = set(answer.stdout.splitlines()[-1].split()[1:])
    assert "ctwml_bids" in loaded
    assert not loaded & HEAVY
