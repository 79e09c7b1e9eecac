"""Spearman's correlation of volumes with a rating, for many cohorts at once."""

from __future__ import annotations

import numpy as np

from ctwml_bids.statistics.concordance import NORMAL_95


def spearman(weights: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation of each cohort, ties at their mean rank.

    Parameters
    ----------
    weights
        How often each unit is in each cohort, whole numbers, (m, n).
    x
        Volumes of the n units.
    y
        Ratings: time and memory grow with how many different ones there are.

    Returns
    -------
    numpy.ndarray
        (m,); NaN where all values of one are equal.
    """
    order = np.argsort(x, kind="stable")
    held = np.take(weights, order, axis=1)  # indexing would leave a slower order in memory
    values, start, value = np.unique(x[order], return_index=True, return_inverse=True)
    ties = held if values.size == x.size else np.add.reduceat(held, start, axis=1)
    rank = _ranks(ties)
    if values.size < x.size:
        rank = rank[:, value]
    levels, level = np.unique(y[order], return_inverse=True)
    indicator = np.eye(levels.size)[level]
    rated = held @ indicator
    total = held.sum(axis=1)
    rank *= held
    # Sum of the products of both ranks: of units with one rating the second rank is the same.
    product = ((rank @ indicator) * _ranks(rated)).sum(axis=1)
    product -= total * ((total + 1) / 2) ** 2
    size = _spread(ties, total) * _spread(rated, total)
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


def _ranks(ties: np.ndarray) -> np.ndarray:
    """Return the mean rank of each group of equal values, from how many are in it, (m, groups)."""
    ranks = np.cumsum(ties, axis=1)
    ranks -= (ties - 1) / 2
    return ranks


def _spread(ties: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return the sum of squared ranks about their mean, (N³ − N − Σ(t³ − t)) / 12, (m,)."""
    cubes = np.einsum("ij,ij,ij->i", ties, ties, ties)
    return (total**3 - cubes) / 12
