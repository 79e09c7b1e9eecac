"""Spearman's correlation of volumes with a rating, for many cohorts at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctwml_bids.statistics.concordance import NORMAL_95


@dataclass(frozen=True)
class Order:
    """What the ranks of volumes and ratings follow from, whichever units are drawn.

    Attributes
    ----------
    units
        Those with a volume and a rating, in the order of their volumes, (n,).
    first
        Where each different volume begins in it; None where all volumes differ.
    volume
        Which of them each place has, (n,).
    rated
        Which of the different ratings each place has, (n, ratings), 0 or 1.
    """

    units: np.ndarray
    first: np.ndarray | None
    volume: np.ndarray
    rated: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> Order:
        """Order volumes x with the ratings y; memory grows with how many ratings differ.

        A unit with a NaN in either does not count.
        """
        units = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        units = units[np.argsort(x[units], kind="stable")]
        values, first, volume = np.unique(x[units], return_index=True, return_inverse=True)
        levels, level = np.unique(y[units], return_inverse=True)
        ties = None if values.size == units.size else first
        return cls(units, ties, volume, np.eye(levels.size)[level])


def spearman(weights: np.ndarray, order: Order) -> np.ndarray:
    """Return Spearman's rank correlation of each cohort, ties at their mean rank.

    Parameters
    ----------
    weights
        How often each unit is in each cohort, whole numbers, (m, n).
    order
        Of the volumes and ratings of the n units.

    Returns
    -------
    numpy.ndarray
        (m,); NaN where all values of one are equal.
    """
    # Indexing would leave a slower order in memory.
    held = np.take(weights, order.units, axis=1)
    ties = held if order.first is None else np.add.reduceat(held, order.first, axis=1)
    rank = _ranks(ties)
    if order.first is not None:
        rank = np.take(rank, order.volume, axis=1)
    rated = held @ order.rated
    total = held.sum(axis=1)
    rank *= held
    # Sum of the products of both ranks: of units with one rating the second rank is the same.
    product = ((rank @ order.rated) * _ranks(rated)).sum(axis=1)
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
    spread: np.ndarray = (total**3 - cubes) / 12
    return spread
