"""Batches made ahead by other processes, so that the network never waits for its patches.

Every draw of a step comes from (seed, step): which process makes a batch, and when, changes
nothing. The processes need no torch.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctwml_bids.errors import TemporaryError
from ctwml_bids.training.mapped_heads import OPEN_AT_MOST, MappedHeads
from ctwml_bids.training.patches import Augmentation, PatchSampler
from ctwml_bids.training.recipe import TrainingConfig

# Batches under way for each process: one that is made, one that waits.
_AHEAD = 2

Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class BatchSource:
    """Where batches come from and how they are drawn.

    Attributes
    ----------
    folder, names
        Heads, as `MappedHeads` takes them.
    config, augment
        As in `loop.train`; the augmentation is a function of a module, so that it can be sent to
        another process.
    """

    folder: Path
    names: Sequence[str]
    config: TrainingConfig
    augment: Augmentation | None = None


def ahead(source: BatchSource, workers: int, first: int) -> Generator[Batch]:
    """Yield the batches of a training's steps in order, from step ``first`` on.

    Parameters
    ----------
    source
        Where from.
    workers
        Processes.
    first
        Step, counted from 0.

    Raises
    ------
    TemporaryError
        If a process was killed, as it is where memory runs out.
    """
    # Not forked: this process may hold threads of torch and a GPU.
    context = multiprocessing.get_context("spawn")
    # Each has its own heads open; together as many as one process would have.
    open_at_most = max(8, OPEN_AT_MOST // workers)
    pool = ProcessPoolExecutor(workers, context, _begin, (source, open_at_most))
    steps = source.config.steps
    waiting: deque[Future[Batch]] = deque()
    try:
        for step in range(first, steps):
            while len(waiting) < _AHEAD * workers and step + len(waiting) < steps:
                waiting.append(pool.submit(_batch, step + len(waiting)))
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise TemporaryError(
            "a process that prepares patches was killed, perhaps for want of memory; run the same "
            "command again to go on, with fewer --nprocs if it happens again."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


# Of a process of the pool, from `_begin` on.
_sampler: PatchSampler
_source: BatchSource


def _begin(source: BatchSource, open_at_most: int) -> None:
    """Open the heads in a process of the pool, which ends when the training does."""
    # Ctrl-C reaches the whole group; only the process that trains decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    global _sampler, _source
    heads = MappedHeads(source.folder, source.names, open_at_most)
    _sampler, _source = PatchSampler(heads, source.config.patches, source.config.classes), source


def _end_with_parent() -> None:
    """Wait for the end of the process that trains: killed outright, it ends no others."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _batch(step: int) -> Batch:
    rng = np.random.default_rng([_source.config.seed, step])
    return _sampler.batch(rng, _source.config.batch, _source.augment)
