"""Volumes, Dice and Fazekas groups of a cohort (`cohort.py`, `cohort_compare.py`)."""

from __future__ import annotations

import numpy as np

from ctwml_bids.statistics import fazekas
from ctwml_bids.statistics.agreement import agreement
from ctwml_bids.statistics.overlap import dice

_SEED = 2020  # of the bootstrap


def compare(y: np.ndarray, x: np.ndarray, groups: np.ndarray) -> dict:
    """Volumes y against x (mL): r, slope, bias, and r within each group."""
    numbers = agreement(y, x)
    within = {
        fazekas.GROUPS[g]: round(float(np.corrcoef(y[groups == g], x[groups == g])[0, 1]), 3)
        for g in range(3)
        if (groups == g).sum() > 2
    }
    return {
        "r": round(numbers.pearson.value, 3),
        "slope": round(numbers.slope.value, 3),
        "bias_ml": round(numbers.bias.value, 2),
        "limits_ml": [round(numbers.lower_limit.value, 1), round(numbers.upper_limit.value, 1)],
        "r_within_groups": within,
    }


def grouped(values: np.ndarray, groups: np.ndarray) -> dict:
    """Mean over all heads and over each Fazekas group."""
    rows = {"all": values} | {fazekas.GROUPS[g]: values[groups == g] for g in range(3)}
    return {name: round(float(np.mean(part)), 3) for name, part in rows.items() if len(part)}


def estimated(
    volumes: np.ndarray, groups: np.ndarray, bandwidth: float | None = None
) -> np.ndarray:
    """Fazekas groups from volumes by 10-fold cross-validation in 20 splits, (20, n)."""
    return np.stack(
        [
            fazekas.cross_validated(volumes, groups, seed=seed, bandwidth=bandwidth)
            for seed in range(20)
        ]
    )


def shortfall(
    volumes: np.ndarray, best: np.ndarray, groups: np.ndarray, bandwidth: float | None = None
) -> dict:
    """Return how many points fewer are right by ``volumes`` than by ``best``, 95% interval too."""
    right = [(estimated(v, groups, bandwidth) == groups).mean(axis=0) for v in (best, volumes)]
    missed = 100 * (right[0] - right[1])
    rng = np.random.default_rng(_SEED)
    drawn = missed[rng.integers(len(missed), size=(10_000, len(missed)))].mean(axis=1)
    interval = [round(float(end), 1) for end in np.percentile(drawn, (2.5, 97.5))]
    return {"points": round(float(missed.mean()), 1), "ci95": interval}


def judged(volumes: np.ndarray, groups: np.ndarray) -> dict:
    """How right the groups from volumes are, mean of 20 splits."""
    counts = [fazekas.confusion(groups, found) for found in estimated(volumes, groups)]
    return {
        "share_right": round(float(np.mean([fazekas.share_right(c) for c in counts])), 3),
        "weighted_kappa": round(float(np.mean([fazekas.weighted_kappa(c) for c in counts])), 3),
        "confusion_first_split": counts[0].tolist(),
    }


def curve(found: dict[str, dict], groups: np.ndarray) -> list[dict]:
    """Dice and volume slope over thresholds around the paper's 0.25."""
    rows = []
    truth = np.array([f["truth"].sum() * f["facts"]["grid_voxel_ml"] for f in found.values()])
    for threshold in (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6):
        masks = [f["probability"] > threshold for f in found.values()]
        ml = [
            m.sum() * f["facts"]["grid_voxel_ml"]
            for m, f in zip(masks, found.values(), strict=True)
        ]
        scores = [dice(m, f["truth"]) for m, f in zip(masks, found.values(), strict=True)]
        line = compare(np.array(ml), truth, groups)
        rows.append(
            {"threshold": threshold, "dice": grouped(np.array(scores), groups)}
            | {key: line[key] for key in ("r", "slope", "bias_ml")}
            | {"fazekas_right": judged(np.array(ml), groups)["share_right"]}
        )
    return rows
