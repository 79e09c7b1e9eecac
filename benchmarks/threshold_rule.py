"""What lesion networks are worth: a rule without learning on the same heads.

    python -m benchmarks.threshold_rule fit HEADS [--heads 120]
    python -m benchmarks.threshold_rule measure COHORT --name NAME

The rule marks dark white matter on CT: HU smoothed in plane, within the template's white matter,
between a lower and an upper limit, in regions of a least size. ``fit`` chooses the limits by a
search over a grid on training heads with lesions of 1 mL and more, by mean Dice; lesion-free heads
are reported beside. ``measure`` applies what was chosen to a cohort of ``benchmarks.cohort``, as
that measures networks. Results: results/threshold_rule.json, results/threshold_rule_NAME.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from scipy import ndimage

from benchmarks.cohort_numbers import compare, grouped, judged
from benchmarks.record import RESULTS, write_result
from ctwml_bids.statistics import fazekas
from ctwml_bids.statistics.overlap import dice
from ctwml_bids.training.patches import TrainingVolume
from model_making import shipped_heads

LESIONS_ML = 1.0
# The grid of the search. Upper limits are HU, or HU above (below, where negative) the median of
# the head's white matter: scanners differ by several HU.
SMOOTHING_MM = (0.0, 1.0, 1.5, 2.0, 3.0)
WHITE_MATTER = (0.5, 0.7, 0.9)
LOWER_HU = (-100.0, 8.0, 12.0)
UPPER_HU = tuple(float(hu) for hu in range(16, 30, 2))
UPPER_BELOW_MEDIAN = tuple(float(hu) for hu in range(-12, 0, 1))
LEAST_ML = (0.0, 0.03, 0.1, 0.3, 1.0)  # searched last, with the best of the others


@dataclass(frozen=True)
class Rule:
    """Limits of the rule.

    Attributes
    ----------
    smoothing_mm
        SD of the Gaussian within slices.
    white_matter
        Least probability of white matter by the template.
    lower, upper
        HU; ``upper`` is added to the median of the white matter where ``relative``.
    relative
        Whether it is.
    least_ml
        Smaller regions (26 neighbours) are left out.
    """

    smoothing_mm: float
    white_matter: float
    lower: float
    upper: float
    relative: bool
    least_ml: float = 0.0


def hounsfield(volume: TrainingVolume) -> tuple[np.ndarray, np.ndarray]:
    """Return HU and the brain, (x, y, z), from what the networks see of a head's CT."""
    zscore, scaled = np.asarray(volume.channels, dtype=np.float32)
    return 10 * scaled + 30, zscore > -3


def smoothed(hu: np.ndarray, brain: np.ndarray, sigma_mm: float) -> np.ndarray:
    """Smooth HU within slices of 1 mm pixels and within the brain."""
    if sigma_mm == 0:
        return hu
    width = (sigma_mm, sigma_mm, 0)
    weight = ndimage.gaussian_filter(brain.astype(np.float32), width)
    return ndimage.gaussian_filter(np.where(brain, hu, 0), width) / np.maximum(weight, 1e-3)


def marked(rule: Rule, hu: np.ndarray, brain: np.ndarray, voxel_ml: float) -> np.ndarray:
    """Return what a rule marks in a head: bool, (x, y, z)."""
    white = (shipped_heads.white_matter() >= rule.white_matter) & brain
    values = smoothed(hu, brain, rule.smoothing_mm)
    upper = rule.upper + (float(np.median(hu[white])) if rule.relative else 0.0)
    found = white & (values > rule.lower) & (values < upper)
    if rule.least_ml > 0:
        regions, count = ndimage.label(found, np.ones((3, 3, 3)))
        large = np.bincount(regions.ravel(), minlength=count + 1) * voxel_ml >= rule.least_ml
        large[0] = False
        found = large[regions]
    return found


def rules() -> Iterator[Rule]:
    """Go through the grid of the search."""
    uppers = [(u, False) for u in UPPER_HU] + [(u, True) for u in UPPER_BELOW_MEDIAN]
    for smoothing, white, lower, (upper, relative) in product(
        SMOOTHING_MM, WHITE_MATTER, LOWER_HU, uppers
    ):
        yield Rule(smoothing, white, lower, upper, relative)


def fit(folder: Path, most: int) -> dict:
    """Search the grid on training heads, and say what the best rule does there."""
    heads = shipped_heads.load_heads(folder, "ct")[:most]
    grid = list(rules())
    scores = np.zeros(len(grid))
    with_lesions = 0
    for volume, facts in heads:
        truth = np.asarray(volume.labels) == 1
        if truth.sum() * facts["grid_voxel_ml"] < LESIONS_ML:
            continue
        with_lesions += 1
        scores += _dice_of_each(grid, *hounsfield(volume), truth)
    first = grid[int(np.argmax(scores))]
    sized = {least: np.zeros(2) for least in LEAST_ML}
    for least in LEAST_ML:
        rows = _rows(replace(first, least_ml=least), heads)
        sized[least] = np.array(
            [
                np.mean([row["dice"] for row in rows if row["true_ml"] >= LESIONS_ML]),
                np.median([row["found_ml"] for row in rows if row["true_ml"] == 0] or [np.nan]),
            ]
        )
    best = replace(first, least_ml=max(LEAST_ML, key=lambda least: sized[least][0]))
    return {
        "heads": len(heads),
        "heads with lesions": with_lesions,
        "rules": len(grid),
        "rule": asdict(best),
        "dice": round(float(sized[best.least_ml][0]), 3),
        "ml in lesion-free heads, median": round(float(sized[best.least_ml][1]), 2),
    }


def _dice_of_each(
    grid: list[Rule], hu: np.ndarray, brain: np.ndarray, truth: np.ndarray
) -> np.ndarray:
    """Return the Dice of every rule of the grid in one head, without a least size."""
    scores, total = [], int(truth.sum())
    kept: tuple[float, float] | None = None
    for rule in grid:
        if kept != (rule.smoothing_mm, rule.white_matter):
            kept = (rule.smoothing_mm, rule.white_matter)
            white = (shipped_heads.white_matter() >= rule.white_matter) & brain
            values = smoothed(hu, brain, rule.smoothing_mm)[white]
            lesion, median = truth[white], float(np.median(hu[white]))
        upper = rule.upper + (median if rule.relative else 0.0)
        found = (values > rule.lower) & (values < upper)
        scores.append(2 * np.count_nonzero(found & lesion) / (np.count_nonzero(found) + total))
    return np.array(scores)


def _rows(rule: Rule, heads: list[tuple[TrainingVolume, dict]]) -> list[dict]:
    """One row a head: Dice and volumes of what the rule marks."""
    rows = []
    for volume, facts in heads:
        voxel_ml = facts["grid_voxel_ml"]
        found = marked(rule, *hounsfield(volume), voxel_ml)
        truth = np.asarray(volume.labels) == 1
        rows.append(
            {
                "person": volume.name,
                "fazekas": facts["fazekas"],
                "true_ml": float(truth.sum() * voxel_ml),
                "found_ml": float(found.sum() * voxel_ml),
                "dice": dice(found, truth),
            }
        )
    return rows


def measure(folder: Path, rule: Rule) -> dict:
    """Volumes, Dice and Fazekas groups of a rule on a cohort, as `benchmarks.cohort` has them."""
    rows = _rows(rule, shipped_heads.load_heads(folder, "ct"))
    groups = fazekas.group_of_grade([row["fazekas"] for row in rows])
    found, true = (np.array([row[name] for row in rows]) for name in ("found_ml", "true_ml"))
    return {
        "people": len(rows),
        "rule": asdict(rule),
        "volumes": compare(found, true, groups),
        "dice": grouped(np.array([row["dice"] for row in rows]), groups),
        "fazekas": judged(found, groups),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    steps = parser.add_subparsers(dest="step", required=True)
    fitting, measuring = steps.add_parser("fit"), steps.add_parser("measure")
    fitting.add_argument("folder", type=Path)
    fitting.add_argument("--heads", type=int, default=120, help="at most")
    measuring.add_argument("folder", type=Path)
    measuring.add_argument("--name", required=True)
    args = parser.parse_args()
    if args.step == "fit":
        result = fit(args.folder, args.heads)
        print(result)
        print(f"Written to {write_result('threshold_rule', result)}")
        return
    chosen = json.loads((RESULTS / "threshold_rule.json").read_text())["result"]["rule"]
    result = measure(args.folder, Rule(**chosen))
    for name in ("volumes", "dice", "fazekas"):
        print(name, result[name])
    print(f"Written to {write_result(f'threshold_rule_{args.name}', result)}")


if __name__ == "__main__":
    main()
