"""What a training says of itself: loss, Dice and rate over every few steps, in a small table."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import SupportsFloat

import numpy as np

LOG_FILE = "log.tsv"


class Tally:
    """Sums over the steps between two rows of the log."""

    def __init__(self) -> None:
        self.steps: list[tuple[SupportsFloat, SupportsFloat, SupportsFloat]] = []
        self.start = time.perf_counter()

    def add(self, loss: SupportsFloat, both: SupportsFloat, either: SupportsFloat) -> None:
        """Take in one step; numbers, or what `float` makes one of."""
        self.steps.append((loss, both, either))

    def row(self, step: int, rate: float) -> dict[str, float]:
        """Summarise; Dice is that of all patches' voxels together."""
        losses, boths, eithers = (
            [float(value) for value in of] for of in zip(*self.steps, strict=True)
        )
        return {
            "step": step,
            "loss": float(np.mean(losses)),
            "dice": sum(boths) / sum(eithers) if sum(eithers) else float("nan"),
            "learning_rate": rate,
            "steps_per_second": len(losses) / (time.perf_counter() - self.start),
        }


def read_log(path: Path) -> list[dict[str, float]]:
    """Read the rows of a training's log; a line that a kill cut short is left out."""
    try:
        head, *lines = path.read_text(encoding="utf-8").split("\n")[:-1]
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
