"""Spearman's correlation of volumes with a rating, for many cohorts at once."""

from __future__ import annotations

import numpy as np

from ctwml_bids.statistics.concordance import NORMAL_95


def spearman(weights: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation of each cohort, ties at their mean rank.

    Parameters
    ----------
    weights
        How often each unit is in each cohort, (m, n).
    x, y
        Values of the n units.

    Returns
    -------
    numpy.ndarray
        (m,); NaN where all values of one are equal.
    """
    first, second = _ranks(weights, x), _ranks(weights, y)
    total = weights.sum(axis=1, keepdims=True)
    # The mean of all ranks, however many ties there are.
    first, second = first - (total + 1) / 2, second - (total + 1) / 2
    product = (weights * first * second).sum(axis=1)
    size = (weights * first**2).sum(axis=1) * (weights * second**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(size > 0, np.clip(product / np.sqrt(size), -1, 1), np.nan)


def fisher_interval(r: float, count: int) -> tuple[float, float]:
    """Return the 95% interval of a rank correlation after Bonett & Wright 2000.

    Fisher's z with the standard error √((1 + r²/2) / (n − 3)) (Psychometrika 65:23); NaN for
    fewer than four units.
    """
    if count < 4 or not abs(r) < 1:
        return (r, r) if abs(r) == 1 else (float("nan"), float("nan"))
    half = NORMAL_95 * np.sqrt((1 + r * r / 2) / (count - 3))
    return float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half))


def _ranks(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Rank the units within each cohort: those below, and half of those that are equal."""
    levels, level = np.unique(values, return_inverse=True)
    if levels.size == values.size:
        order = np.argsort(values)
        inverse = np.empty_like(order)
        inverse[order] = np.arange(order.size)
        held = weights[:, order]
        return (np.cumsum(held, axis=1) - held + (held + 1) / 2)[:, inverse]
    order = np.argsort(level, kind="stable")
    starts = np.searchsorted(level[order], np.arange(levels.size))
    held = np.add.reduceat(weights[:, order], starts, axis=1)
    return (np.cumsum(held, axis=1) - held + (held + 1) / 2)[:, level]
