"""Numbers and files of results as `page.py` writes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

import numpy as np

from benchmarks.record import RESULTS

Table = list[list[str]]


def result(name: str) -> dict:
    """Return what a benchmark wrote."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["result"]


def number(value: float, digits: int) -> str:
    """Round halves away from 0, as by hand; a minus is a minus sign, and nothing is −0.

    Results are rounded themselves, so that a 5 at their end stands for what was about one.
    """
    text = str(Decimal(str(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))
    if text.startswith("-"):
        return f"−{text[1:]}" if text.strip("-0.") else text[1:]
    return text


def percent(share: float) -> str:
    """Write a share with one decimal."""
    return f"{100 * share:.1f}%"


def between(values: Sequence[float], digits: int) -> str:
    """Write the range of values; one number where its ends are the same."""
    low, high = number(min(values), digits), number(max(values), digits)
    return low if low == high else f"{low}–{high}"


def mean_lowest(values: Sequence[float], digits: int) -> str:
    """Write mean and smallest of values."""
    return f"{number(float(np.mean(values)), digits)} ({number(min(values), digits)})"


def fisher_interval(r: float, count: int) -> str:
    """Write the 95% interval of a Pearson correlation by Fisher's z."""
    ends = np.tanh(np.arctanh(r) + np.array([-1, 1]) * 1.96 / np.sqrt(count - 3))
    return " to ".join(number(float(end), 2) for end in ends)
