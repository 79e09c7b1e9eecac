"""Fazekas groups (0–1, 2, 3) from lesion volumes: two thresholds, found, cross-validated, judged.

Pitkänen et al. 2020 searched for the thresholds that put most patients into the group of their
visual rating, under 10-fold cross-validation (their Table 2 and Fig. 4). Here patients near a
threshold are counted smoothly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

GROUPS = ("0-1", "2", "3")
# Where groups lie far apart (many heads without lesions), the rule of thumb is wider than each.
_WIDEST = 0.7
# Bounds the memory of a search among many heads.
_MOST_CUTS = 500


@dataclass(frozen=True)
class Thresholds:
    """Lesion volumes in mL at and above which a head is in group 2 (``low``) and 3 (``high``)."""

    low: float
    high: float

    def group(self, volumes_ml: ArrayLike) -> np.ndarray:
        """Return the index in `GROUPS` of each volume (int)."""
        return np.searchsorted((self.low, self.high), np.asarray(volumes_ml, float), side="right")


def group_of_grade(grades: ArrayLike) -> np.ndarray:
    """Return the index in `GROUPS` of Fazekas grades 0–3.

    Raises
    ------
    ValueError
        If a grade is none of 0, 1, 2, 3.
    """
    given = np.asarray(grades)
    if not np.isin(given, (0, 1, 2, 3)).all():
        raise ValueError("Fazekas grades are 0, 1, 2 or 3")
    return np.clip(given.astype(int) - 1, 0, None)


def fit_thresholds(
    volumes_ml: ArrayLike, groups: ArrayLike, bandwidth: float | None = None
) -> Thresholds:
    """Find the two thresholds with which most heads fall into their group, smoothly counted.

    All pairs of cuts between neighbouring volumes are compared (of more than 500, as many evenly
    spread ones). A head counts as below a cut by the normal distribution around its volume's
    logarithm: by plain counting a few heads decide where the maximum lies, and the thresholds are
    right less often in others (Manski 1975 and Horowitz 1992, Econometrica 60:505;
    ``benchmarks/fazekas_cuts.py``).

    Parameters
    ----------
    volumes_ml
        Lesion volumes, (n,), at least one, none of them NaN or negative.
    groups
        Index in `GROUPS` of each head's visual rating.
    bandwidth
        SD of that distribution, in natural logarithms of mL + 0.1. None: Silverman's rule of thumb
        (1986, eq. 3.31) on all volumes, at most 0.7. 0: plain counting, as in the paper.

    Raises
    ------
    ValueError
        If there is no head, a volume is no volume, or lengths differ.
    """
    volumes, group = _checked(volumes_ml, groups)
    cuts = _cuts(np.unique(volumes))
    log, log_cuts = (np.log(values + 0.1) for values in (volumes, cuts))
    width = _silverman(log) if bandwidth is None else bandwidth
    below = np.stack([_count_below(log[group == g], log_cuts, width) for g in range(3)])
    # Right with cuts i ≤ j: group 0 below i, group 1 between, group 2 from j on.
    gain_low, gain_high = below[0] - below[1], below[1] - below[2]
    best = np.maximum.accumulate(gain_low)
    high = int(np.argmax(best + gain_high))
    low = int(np.argmax(gain_low[: high + 1]))
    return Thresholds(float(cuts[low]), float(cuts[high]))


def _cuts(volumes: np.ndarray) -> np.ndarray:
    """Return where sorted volumes can be cut: below all, half-way between neighbours, above all."""
    between = (volumes[:-1] + volumes[1:]) / 2
    if len(between) > _MOST_CUTS:
        between = between[np.linspace(0, len(between) - 1, _MOST_CUTS).round().astype(int)]
    return np.concatenate([[0.0], between, [np.inf]])


def _count_below(log: np.ndarray, log_cuts: np.ndarray, width: float) -> np.ndarray:
    """Count the heads below each cut, each spread by a normal distribution."""
    # The width vanishes where all volumes are equal or plain counting is asked for.
    below = ndtr((log_cuts - log[:, None]) / max(width, 1e-9))
    count: np.ndarray = below.sum(axis=0)
    count[0] = 0  # Nothing is below a cut at 0, a head without lesions neither by half.
    return count


def _silverman(values: np.ndarray) -> float:
    """Return Silverman's bandwidth, at most `_WIDEST`; 0 for a single value."""
    if len(values) < 2:
        return 0.0
    spreads = (np.std(values, ddof=1), np.subtract(*np.percentile(values, (75, 25))) / 1.34)
    # Half of the values being equal says nothing of how wide the others lie.
    spread = min(spreads) or max(spreads)
    return min(float(0.9 * spread * len(values) ** -0.2), _WIDEST)


def cross_validated(
    volumes_ml: ArrayLike,
    groups: ArrayLike,
    folds: int = 10,
    seed: int = 0,
    subjects: ArrayLike | None = None,
    bandwidth: float | None = None,
) -> np.ndarray:
    """Estimate each head's group with thresholds fitted on the other folds.

    Parameters
    ----------
    volumes_ml, groups
        As for `fit_thresholds`.
    folds
        Number of folds; heads of each group are spread evenly over them.
    seed
        Of the split.
    subjects
        Whose each head is: all heads of one subject are in one fold. None: each has its own.
    bandwidth
        As for `fit_thresholds`.

    Returns
    -------
    numpy.ndarray
        Index in `GROUPS`, int, (n,).

    Raises
    ------
    ValueError
        As `fit_thresholds`, and if there are fewer subjects than folds or fewer than two folds.
    """
    volumes, group = _checked(volumes_ml, groups)
    owner = np.arange(len(volumes)) if subjects is None else np.asarray(subjects)
    _, first, member = np.unique(owner, return_index=True, return_inverse=True)
    if not 2 <= folds <= len(first):
        raise ValueError(f"{len(first)} heads cannot be split into {folds} folds")
    # A subject counts as of the group of its first head.
    shuffled = np.random.default_rng(seed).permutation(len(first))
    by_group = shuffled[np.argsort(group[first][shuffled], kind="stable")]
    fold_of_subject = np.empty(len(first), dtype=int)
    fold_of_subject[by_group] = np.arange(len(first)) % folds
    fold = fold_of_subject[member]
    estimated = np.empty(len(volumes), dtype=int)
    for k in range(folds):
        out = fold == k
        fitted = fit_thresholds(volumes[~out], group[~out], bandwidth)
        estimated[out] = fitted.group(volumes[out])
    return estimated


def confusion(rated: ArrayLike, estimated: ArrayLike) -> np.ndarray:
    """Count heads by rated group (rows) and estimated group (columns), int, (3, 3)."""
    counts = np.zeros((3, 3), dtype=int)
    np.add.at(counts, (np.asarray(rated, dtype=int), np.asarray(estimated, dtype=int)), 1)
    return counts


def share_right(counts: np.ndarray) -> np.ndarray:
    """Return the share of heads on the diagonals of confusion matrices, (..., 3, 3) → (...).

    NaN without heads.
    """
    with np.errstate(invalid="ignore"):
        share: np.ndarray = np.trace(counts, axis1=-2, axis2=-1) / counts.sum(axis=(-2, -1))
    return share


def weighted_kappa(counts: np.ndarray) -> np.ndarray:
    """Return Cohen's kappa with quadratic weights (Cohen 1968), (..., 3, 3) → (...).

    NaN where agreement by chance is already perfect: all heads in one group, twice.
    """
    index = np.arange(counts.shape[-1])
    weights = (index[:, None] - index[None, :]) ** 2
    rows, columns = counts.sum(axis=-1, keepdims=True), counts.sum(axis=-2, keepdims=True)
    observed = (weights * counts).sum(axis=(-2, -1))
    with np.errstate(invalid="ignore"):
        expected = rows * columns / counts.sum(axis=(-2, -1), keepdims=True)
        kappa: np.ndarray = 1 - observed / (weights * expected).sum(axis=(-2, -1))
    return kappa


def _checked(volumes_ml: ArrayLike, groups: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    volumes, group = np.asarray(volumes_ml, dtype=float), np.asarray(groups, dtype=int)
    if volumes.ndim != 1 or volumes.shape != group.shape or volumes.size == 0:
        raise ValueError(f"{volumes.size} volumes and {group.size} groups")
    if not (np.isfinite(volumes) & (volumes >= 0)).all():
        raise ValueError("a volume is negative or not a number")
    if not np.isin(group, (0, 1, 2)).all():
        raise ValueError("a group is none of 0, 1, 2")
    return volumes, group
