"""A training that is killed, or runs out of disk, loses nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tests.small_disk import run_on_small_disk
from tests.training.training import ROOT, SMALL, maps, train, units


def test_a_training_that_is_killed_goes_on_to_the_same_result(untrained, tmp_path_factory):
    """Kill -9 in mid-epoch, twice, against a run that nobody killed."""
    other = tmp_path_factory.mktemp("killed") / "root"
    shutil.copytree(untrained, other)
    options = ("--repeats", "1", "--steps", "105", "--batch", "1", "--only", "1:1")
    assert train(untrained, *options) == 0
    folder = other / "out/train/ct/units/repeat-01_fold-01"
    # In the first 100 steps there is no checkpoint yet; after them there is.
    for sign in ("log.tsv", "checkpoint.safetensors"):
        running = start(other, *options)
        wait_for(folder / sign, running)
        running.kill()
        running.wait()
        assert not (folder / "unit.json").exists()
    assert train(other, *options) == 0
    expected, found = maps(untrained), maps(other)
    assert len(expected) == len(found) >= 2
    for name in expected:
        np.testing.assert_array_equal(expected[name], found[name])
    logs = [units(root)["repeat-01_fold-01"]["log"] for root in (untrained, other)]
    assert [(r["step"], r["loss"]) for r in logs[0]] == [(r["step"], r["loss"]) for r in logs[1]]


def start(root: Path, *options: str) -> subprocess.Popen:
    where = (root / "bids", root / "out", "train", "-w", root / "work", "--device", "cpu")
    command = [sys.executable, "run.py", *map(str, where), *SMALL, *options]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)


def wait_for(path: Path, running: subprocess.Popen) -> None:
    while not path.is_file():
        assert running.poll() is None
        time.sleep(0.02)


def test_a_full_disk_stops_with_a_message_and_loses_nothing(untrained, tmp_path):
    heads = tmp_path / "small"
    arguments = (
        untrained / "bids",
        untrained / "out",
        "train",
        "-w",
        heads,
        *SMALL,
        "--device",
        "cpu",
    )
    # Room for the first heads of six.
    code, said, left = run_on_small_disk(heads, "12m", *arguments, "--only", "heads")
    assert code == 74, said
    assert "make room" in said.lower()
    assert "Traceback" not in said
    assert not list(left.rglob("*.part*"))
    assert (untrained / "out/train/ct/plan.json").is_file()
    assert train(untrained, "--only", "heads") == 0
