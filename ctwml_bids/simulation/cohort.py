"""Cohorts of simulated pairs as BIDS data sets, the truth under their derivatives."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from ctwml_bids.errors import CannotCreateError, InputOutputError
from ctwml_bids.simulation.dataset import write_participant, write_root
from ctwml_bids.simulation.plan import Participant, plan_cohort


def write_cohort(
    out: Path,
    participants: int,
    seed: int,
    *,
    size: str = "full",
    nprocs: int = 1,
    anatomies: Sequence[Path] = (),
    ventricles_ml: tuple[float, float] | None = None,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Simulate a cohort and write it as a BIDS data set, completely or not at all.

    Parameters
    ----------
    out
        Folder to create; it may exist if it is empty.
    participants
        How many pairs, at least 1.
    seed
        The same seed gives the same images, whatever ``nprocs`` is.
    size
        "small" or "full", see ``simulate_pair``.
    nprocs
        Processes to use.
    anatomies
        Files of individual anatomies, see ``simulate_pair``.
    ventricles_ml
        See `dataset.write_participant`.
    progress
        Called with one line for each participant that is done.

    Raises
    ------
    CannotCreateError
        If the folder exists and holds something, or cannot be created.
    InputOutputError
        If writing fails midway, such as on a full disk; nothing is left behind.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CannotCreateError(
            f"{out} exists and is not an empty folder; name a new folder for the simulated data set"
        )
    partial_folder = out.with_name(f".{out.name}.partial-{os.getpid()}")
    try:
        partial_folder.mkdir(parents=True)
    except OSError as error:
        raise CannotCreateError(f"cannot create {out}: {error.strerror or error}") from error
    try:
        work = partial(
            write_participant,
            partial_folder,
            size=size,
            anatomies=tuple(anatomies),
            ventricles_ml=ventricles_ml,
        )
        rows = _simulate_all(work, plan_cohort(participants, seed), nprocs, progress)
        write_root(partial_folder, rows, seed, size, anatomies)
        os.replace(partial_folder, out)
    except OSError as error:
        raise InputOutputError(f"writing {out} failed: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial_folder, ignore_errors=True)


def _simulate_all(
    work: Callable[[Participant], dict],
    people: Sequence[Participant],
    nprocs: int,
    progress: Callable[[str], None] | None,
) -> list[dict]:
    """Simulate all participants, in this process or in several."""
    rows: list[dict] = []

    def collect(results) -> None:
        for row in results:
            rows.append(row)
            if progress:
                progress(
                    f"{row['participant_id']}: Fazekas {row['fazekas']}, {row['lesion_ml']} mL"
                )

    if nprocs <= 1:
        collect(map(work, people))
    else:
        with ProcessPoolExecutor(nprocs, mp_context=get_context("forkserver")) as pool:
            collect(pool.map(work, people))
    return rows
