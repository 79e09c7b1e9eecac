"""How a training goes and how long it will take, in a few lines."""

from __future__ import annotations

import logging
import time

LOG = logging.getLogger("ctwml_bids")
# Seconds between two lines of one network.
EVERY_S = 20.0


class Pace:
    """Tells of the networks of a training, one after another.

    Parameters
    ----------
    networks
        How many are to be trained.
    steps
        Of each.
    """

    def __init__(self, networks: int, steps: int) -> None:
        self.networks, self.steps = networks, steps
        self.finished = 0
        self._spent: list[float] = []
        self._name, self._began, self._told = "", 0.0, 0.0

    def begin(self, name: str) -> None:
        """Take note of a network that is begun."""
        self._name, self._began, self._told = name, time.monotonic(), 0.0

    def row(self, row: dict[str, float]) -> None:
        """Tell a row of its log, unless one was told just before."""
        now, is_last = time.monotonic(), row["step"] >= self.steps
        if is_last or now - self._told >= EVERY_S:
            self._told = now
            LOG.info("%s", self.line(row))

    def line(self, row: dict[str, float]) -> str:
        """Say how a network goes: step, loss, Dice, rate, time left of it and of all."""
        left = (self.steps - row["step"]) / row["steps_per_second"]
        whole = self.steps / row["steps_per_second"]
        if self._spent:
            whole = sum(self._spent) / len(self._spent)
        others = self.networks - self.finished - 1
        return (
            f"{self._name}  step {row['step']:.0f}/{self.steps}, loss {row['loss']:.4f}, Dice "
            f"{row['dice']:.2f}, {row['steps_per_second']:.2g} steps/s, {duration(left)} left"
            f" ({duration(left + others * whole)} for {others + 1} networks)"
        )

    def end(self) -> None:
        """Take note that the network is done."""
        self.finished += 1
        self._spent.append(time.monotonic() - self._began)


def duration(seconds: float) -> str:
    """Write a time for people: ``45 s``, ``12 min``, ``3.4 h``, ``2.1 days``."""
    for limit, unit, size in ((90, "s", 1), (5400, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}" if size < 3600 else f"{seconds / size:.1f} {unit}"
    return f"{seconds / 86_400:.1f} days"
