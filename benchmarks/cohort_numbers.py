"""Volumes, Dice and Fazekas groups of a cohort (`cohort.py`, `cohort_compare.py`)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ctwml_bids.statistics import fazekas
from ctwml_bids.statistics.agreement import agreement
from ctwml_bids.statistics.overlap import dice

_SEED = 2020  # of the bootstrap
LARGE_INFARCT_ML = 5.0


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


def infarcts_told_apart(found: dict[str, dict]) -> dict:
    """How well infarcts are told from WML: in people who have infarcts, and false ones elsewhere.

    Volumes in mL are on the network's grid; shares are of the sums over people.
    """
    rows = [_infarct_row(head) for head in found.values()]
    people = [row for row in rows if row["infarct_ml"] > 0]
    large = [row for row in people if row["infarct_ml"] > LARGE_INFARCT_ML]
    without = [row["found_infarct_ml"] for row in rows if row["infarct_ml"] == 0]
    total = {name: sum(row[name] for row in people) for name in rows[0]} if people else {}
    result: dict = {"people": len(people), "false_infarct_ml_median": _middle(without)}
    if people:
        result |= {
            "wml_bias_ml": round((total["found_wml_ml"] - total["wml_ml"]) / len(people), 2),
            "dice_over_5_ml": _middle([row["infarct_dice"] for row in large], np.mean),
            "people_over_5_ml": len(large),
            "infarct_called_wml": round(total["infarct_called_wml_ml"] / total["infarct_ml"], 3),
            "wml_called_infarct": round(
                total["wml_called_infarct_ml"] / max(total["wml_ml"], 1e-6), 3
            ),
        }
    return result


def _infarct_row(head: dict) -> dict[str, float]:
    voxel = head["facts"]["grid_voxel_ml"]
    truth, wml = head["infarct_truth"], head["truth"]
    marked = np.zeros_like(truth) if head["infarct_mask"] is None else head["infarct_mask"]
    masks = {
        "infarct_ml": truth,
        "wml_ml": wml,
        "found_infarct_ml": marked,
        "found_wml_ml": head["mask"],
        "infarct_called_wml_ml": truth & head["mask"],
        "wml_called_infarct_ml": wml & marked,
    }
    return {name: float(mask.sum() * voxel) for name, mask in masks.items()} | {
        "infarct_dice": dice(marked, truth)
    }


def _middle(values: list[float], of: Callable = np.median) -> float | None:
    return round(float(of(values)), 3) if values else None


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
