"""What a training says of itself: loss, Dice and rate over every few steps, in a small table."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

LOG_FILE = "log.tsv"


class Tally:
    """Sums over the steps between two rows of the log."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.both = self.either = 0.0
        self.start = time.perf_counter()

    def add(self, loss: float, both: float, either: float) -> None:
        """Take in one step."""
        self.losses.append(loss)
        self.both += both
        self.either += either

    def row(self, step: int, rate: float) -> dict[str, float]:
        """Summarise; Dice is that of all patches' voxels together."""
        return {
            "step": step,
            "loss": float(np.mean(self.losses)),
            "dice": self.both / self.either if self.either else float("nan"),
            "learning_rate": rate,
            "steps_per_second": len(self.losses) / (time.perf_counter() - self.start),
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
    rows = read_log(path)
    path.unlink(missing_ok=True)
    for row in rows:
        if row["step"] <= step:
            append_row(path, row)


def append_row(path: Path, row: dict[str, float]) -> None:
    """Add a row to a log, made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a") as file:
        if is_new:
            file.write("\t".join(row) + "\n")
        file.write("\t".join(f"{value:.6g}" for value in row.values()) + "\n")
