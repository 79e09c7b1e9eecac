"""Fazekas groups from the volumes of a cohort: fitted, and judged out of fold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ctwml_bids.statistics import fazekas
from ctwml_bids.statistics.agreement import UNDEFINED, Estimate
from ctwml_bids.statistics.resampling import SEED

FOLDS = 10


@dataclass(frozen=True)
class Classification:
    """How well volumes of one image tell the Fazekas group.

    Attributes
    ----------
    rated
        Number of units with a volume and a rating.
    thresholds
        Fitted on all of them; None where they cannot be.
    estimated
        Index in `fazekas.GROUPS` of each unit, in order: of rated ones by thresholds fitted without
        them, of others by `thresholds`; −1 where there is no volume or no threshold.
    folds
        Of the cross-validation; 0 where the thresholds came from elsewhere.
    note
        What a reader must know, in a sentence; empty where there is nothing.
    """

    rated: int
    thresholds: fazekas.Thresholds | None
    estimated: tuple[int, ...]
    folds: int = 0
    note: str = ""


def classify(
    volumes_ml: ArrayLike,
    groups: ArrayLike,
    subjects: ArrayLike,
    *,
    thresholds: fazekas.Thresholds | None = None,
    seed: int = SEED,
) -> Classification:
    """Fit thresholds on a cohort and judge them by 10-fold cross-validation over subjects.

    Parameters
    ----------
    volumes_ml
        Lesion volumes in mL; NaN where a unit has none.
    groups
        Index in `fazekas.GROUPS` of each unit's visual rating; −1 where there is none.
    subjects
        Whose each unit is: all units of a subject are in one fold.
    thresholds
        From another cohort: judged as they are, nothing is fitted.
    seed
        Of the folds.
    """
    volumes, rating = np.asarray(volumes_ml, float), np.asarray(groups, int)
    owner = np.asarray(subjects)
    known = np.isfinite(volumes)
    rated = known & (rating >= 0)
    people = len(set(owner[rated].tolist()))
    estimated = np.full(volumes.size, -1)
    note, folds, fitted = "", 0, thresholds
    if fitted is None and not (note := _why_none(rating[rated], people)):
        fitted, folds = fazekas.fit_thresholds(volumes[rated], rating[rated]), FOLDS
        note = _missing_group(rating[rated])
    if fitted is not None:
        estimated[known] = fitted.group(volumes[known])
    if folds:
        estimated[rated] = fazekas.cross_validated(
            volumes[rated], rating[rated], folds=folds, seed=seed, subjects=owner[rated]
        )
    return Classification(int(rated.sum()), fitted, tuple(estimated.tolist()), folds, note)


def _why_none(rating: np.ndarray, people: int) -> str:
    """Say why no thresholds can be fitted; empty where they can."""
    if rating.size == 0:
        return "No unit has both a volume and a Fazekas rating, so no thresholds were fitted."
    present = np.unique(rating)
    if present.size == 1:
        only = fazekas.GROUPS[present[0]]
        return (
            f"All {rating.size} rated units are in Fazekas group {only}: thresholds between groups "
            "need at least two of them."
        )
    if people < FOLDS:
        return (
            f"{people} subject{'s have' if people != 1 else ' has'} a volume and a Fazekas rating; "
            f"thresholds and their {FOLDS}-fold cross-validation need at least {FOLDS}."
        )
    return ""


def _missing_group(rating: np.ndarray) -> str:
    absent = sorted(set(range(3)) - set(rating.tolist()))
    if not absent:
        return ""
    return (
        f"No unit is rated Fazekas {fazekas.GROUPS[absent[0]]}: the thresholds leave that group no "
        "room, and should not be used for others."
    )


def cells(rated: np.ndarray, estimated: np.ndarray) -> np.ndarray:
    """Mark the cell of the confusion matrix that each unit is in, (n, 9); none with a −1."""
    known = (rated >= 0) & (estimated >= 0)
    return np.where(known[:, None], np.eye(9)[np.where(known, rated * 3 + estimated, 0)], 0.0)


def judged(sums: np.ndarray) -> np.ndarray:
    """Return share right and kappa, (m, 2), from the sums of cohorts over `cells`, (m, 9)."""
    tables = sums.reshape(-1, 3, 3)
    return np.stack([fazekas.share_right(tables), fazekas.weighted_kappa(tables)], axis=1)


def with_ends(counts: np.ndarray, ends: np.ndarray) -> tuple[Estimate, Estimate]:
    """Return share right and kappa of a confusion matrix with intervals, (2, 2)."""
    values = (float(fazekas.share_right(counts)), float(fazekas.weighted_kappa(counts)))
    share, kappa = (
        UNDEFINED
        if math.isnan(value)
        else Estimate(value, boot_low=float(ends[0, k]), boot_high=float(ends[1, k]))
        for k, value in enumerate(values)
    )
    return share, kappa
