"""Thresholds between Fazekas groups, by a smooth count of who is right and by plain counting.

    python -m benchmarks.fazekas_cuts [--cohorts 300]

Lesion volumes are drawn from log-normal distributions, one a group; thresholds are fitted to them
in several ways, and the share of heads of the same distributions that they put right follows from
the normal distribution itself. No image takes part, and none of the cohort's people. Writes
results/fazekas_cuts.json.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from benchmarks.record import write_result
from ctwml_bids.statistics.fazekas import Thresholds, fit_thresholds

# SD of the smooth count; None: the rule of thumb that the program has.
WAYS = {"plain": 0.0, "0.1": 0.1, "0.3": 0.3, "rule": None, "1": 1.0}


@dataclass(frozen=True)
class Draw:
    """Medians (mL) and SDs of the logarithm in groups 0–1, 2 and 3, and heads in each."""

    medians_ml: tuple[float, float, float]
    spreads: tuple[float, float, float]
    heads: int


DRAWS = (
    Draw((2, 8, 25), (0.7, 0.7, 0.7), 44),
    Draw((2, 8, 25), (0.9, 0.9, 0.9), 44),
    Draw((3, 7, 20), (1.0, 0.7, 0.6), 44),
    Draw((2, 9, 25), (1.2, 0.8, 0.6), 44),
    Draw((2, 8, 25), (0.7, 0.7, 0.7), 18),
    Draw((2, 8, 25), (0.9, 0.9, 0.9), 8),
    Draw((2, 8, 25), (0.7, 0.7, 0.7), 150),
    Draw((1, 10, 50), (0.3, 0.3, 0.3), 18),
)


def right_in_others(found: Thresholds, draw: Draw) -> float:
    """Share of heads of a distribution, as many of each group, that thresholds put right."""
    with np.errstate(divide="ignore"):
        cuts = np.log([found.low, found.high])
    low, high = ndtr((cuts[:, None] - np.log(draw.medians_ml)) / np.array(draw.spreads))
    return float(np.mean([low[0], high[1] - low[1], 1 - high[2]]))


def best(draw: Draw) -> float:
    """Share that the best thresholds of all put right: they lie on a fine grid."""
    cuts = np.exp(np.linspace(np.log(0.2), np.log(100), 300))
    pairs = ((low, high) for low in cuts for high in cuts if low <= high)
    return max(right_in_others(Thresholds(*pair), draw) for pair in pairs)


def measure(draw: Draw, cohorts: int) -> dict[str, float]:
    """Mean share right in others, by way of fitting."""
    groups = np.repeat([0, 1, 2], draw.heads)
    shares: dict[str, list[float]] = {name: [] for name in WAYS}
    for seed in range(cohorts):
        rng = np.random.default_rng(seed)
        logs = rng.normal(np.log(draw.medians_ml)[groups], np.array(draw.spreads)[groups])
        for name, bandwidth in WAYS.items():
            found = fit_thresholds(np.exp(logs), groups, bandwidth)
            shares[name].append(right_in_others(found, draw))
    return {name: round(float(np.mean(values)), 4) for name, values in shares.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=300, help="of each distribution")
    args = parser.parse_args()
    rows = []
    for draw in DRAWS:
        row = {
            "medians_ml": draw.medians_ml,
            "spreads": draw.spreads,
            "heads": 3 * draw.heads,
            "best": round(best(draw), 4),
            **measure(draw, args.cohorts),
        }
        rows.append(row)
        print(row, flush=True)
    print(f"Written to {write_result('fazekas_cuts', {'cohorts': args.cohorts, 'rows': rows})}")


if __name__ == "__main__":
    main()
