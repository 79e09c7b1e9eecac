"""Heads on disk give the same batches as in memory, whoever draws them, and few are open."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from ctwml_bids.errors import NoInputError
from ctwml_bids.training.loop import drawn, train
from ctwml_bids.training.mapped_heads import MappedHeads, facts_of, save_mapped
from ctwml_bids.training.patches import PatchConfig, PatchSampler, jitter_intensities
from ctwml_bids.training.prefetch import BatchSource, ahead
from ctwml_bids.training.recipe import TrainingConfig
from tests.segmentation.toy import toy_head

HEADS = [toy_head(i, lesions=i) for i in range(5)]
NAMES = [head.name for head in HEADS]
PATCHES = PatchConfig(size=32, shift=12, context=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    for head in HEADS:
        save_mapped(folder, head.name, head.channels, head.labels, {"of": head.name})
    return folder


def test_batches_from_disk_are_those_from_memory(folder):
    kept = PatchSampler(HEADS, PATCHES)
    mapped = PatchSampler(MappedHeads(folder, NAMES, open_at_most=2), PATCHES)
    for step in range(3):
        one, other = (
            sampler.batch(np.random.default_rng(step), 16, jitter_intensities)
            for sampler in (kept, mapped)
        )
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_infarcts_come_from_disk_as_from_memory(tmp_path):
    heads = [toy_head(i, lesions=i, infarcts=2 - i) for i in range(3)]
    for head in heads:
        save_mapped(tmp_path, head.name, head.channels, head.labels, {})
    mapped = MappedHeads(tmp_path, [head.name for head in heads])
    one, other = (
        PatchSampler(of, PATCHES, 3).batch(np.random.default_rng(5), 40) for of in (heads, mapped)
    )
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])
    assert (one[1] == 2).any()


def test_only_a_few_heads_are_open_at_a_time(folder):
    heads = MappedHeads(folder, NAMES, open_at_most=2)
    before = len(os.listdir("/proc/self/fd"))
    PatchSampler(heads, PATCHES).batch(np.random.default_rng(0), 64)
    assert len(os.listdir("/proc/self/fd")) - before <= 2
    assert isinstance(heads[0].channels, np.memmap)


def test_some_of_the_heads_are_heads_too(folder):
    some = MappedHeads(folder, NAMES)[1:3]
    assert [head.name for head in some] == NAMES[1:3]


def test_a_head_is_there_once_it_is_whole(folder, tmp_path):
    assert facts_of(folder, NAMES[0]) == {"of": NAMES[0]}
    assert facts_of(folder, "toy99") is None
    with pytest.raises(NoInputError, match="--only heads"):
        MappedHeads(folder, ["toy99"])[0]


def test_processes_make_the_same_batches_and_the_same_network(folder):
    config = TrainingConfig(steps=4, batch=4, patches=PATCHES, precision="float32", seed=7)
    source = BatchSource(folder, NAMES, config, jitter_intensities)
    for (a, b), (c, d) in zip(
        ahead(source, 2, 1), drawn(HEADS, config, jitter_intensities, 1), strict=False
    ):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)
    here = train(HEADS, config, augment=jitter_intensities).weights
    there = train(HEADS, config, batches=partial(ahead, source, 2)).weights
    assert all(torch.equal(here[name], there[name]) for name in here)


TRAINING = """
import sys
from ctwml_bids.training.patches import PatchConfig
from ctwml_bids.training.prefetch import BatchSource, ahead
from ctwml_bids.training.recipe import TrainingConfig

if __name__ == "__main__":
    import multiprocessing, time
    config = TrainingConfig(steps=100, batch=4, seed=7, patches=PatchConfig(size=32, shift=12))
    batches = ahead(BatchSource(sys.argv[1], sys.argv[2:], config), 2, 0)
    next(batches)
    for process in multiprocessing.active_children():
        print(process.pid, flush=True)
    print("", flush=True)
    time.sleep(600)
"""


def is_alive(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def test_processes_end_with_a_training_that_is_killed(folder, tmp_path):
    script = tmp_path / "training.py"
    script.write_text(TRAINING)
    command = [sys.executable, str(script), str(folder), *NAMES]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    workers = [int(line) for line in iter(running.stdout.readline, "\n")]
    assert len(workers) == 2
    running.kill()
    running.wait()
    deadline = time.monotonic() + 60
    while any(is_alive(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
