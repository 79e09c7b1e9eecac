"""What a training says of itself: loss, Dice and rate over every few steps, in a small table."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import SupportsFloat

import numpy as np

from ctwml_bids.reading import read_text

LOG_FILE = "log.tsv"

# The two sums of which Dice is the quotient; numbers, or what `float` makes one of.
Overlap = tuple[SupportsFloat, SupportsFloat]


class Tally:
    """Sums over the steps between two rows of the log."""

    def __init__(self) -> None:
        self.steps: list[tuple[SupportsFloat, Mapping[str, Overlap]]] = []
        self.start = time.perf_counter()

    def add(self, loss: SupportsFloat, overlaps: Mapping[str, Overlap]) -> None:
        """Take in one step: its loss, and the overlap for each column of Dice."""
        self.steps.append((loss, overlaps))

    def row(self, step: int, rate: float) -> dict[str, float]:
        """Summarise; Dice is that of all patches' voxels together."""
        losses = [float(loss) for loss, _ in self.steps]
        columns = self.steps[0][1]
        return {
            "step": step,
            "loss": float(np.mean(losses)),
            **{name: _dice([overlaps[name] for _, overlaps in self.steps]) for name in columns},
            "learning_rate": rate,
            "steps_per_second": len(losses) / (time.perf_counter() - self.start),
        }


def _dice(overlaps: Sequence[Overlap]) -> float:
    boths, eithers = ([float(value) for value in of] for of in zip(*overlaps, strict=True))
    return sum(boths) / sum(eithers) if sum(eithers) else float("nan")


def read_log(path: Path) -> list[dict[str, float]]:
    """Read the rows of a training's log; a line that a kill cut short is left out."""
    try:
        head, *lines = read_text(path).split("\n")[:-1]
    except (OSError, ValueError):
        return []
    names = head.split("\t")
    cells = [line.split("\t") for line in lines]
    return [
        dict(zip(names, map(float, row), strict=True)) for row in cells if len(row) == len(names)
    ]


def cut_log(path: Path, step: int) -> None:
    """Take out of a log what a training that goes on from a step will do again."""
    if not path.exists():
        return
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    for row in read_log(path):
        if row["step"] <= step:
            append_row(part, row)
    # Rows of former runs are nowhere else: whoever kills this now leaves the whole log.
    if part.exists():
        os.replace(part, path)
    else:
        path.unlink()


def append_row(path: Path, row: dict[str, float]) -> None:
    """Add a row to a log, made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a") as file:
        if is_new:
            file.write("\t".join(row) + "\n")
        file.write("\t".join(f"{value:.6g}" for value in row.values()) + "\n")
