"""How well the networks of a training did, and how they learned, in a few numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ctwml_bids.statistics.agreement import agreement
from ctwml_bids.statistics.fazekas import GROUPS, group_of_grade
from ctwml_bids.training.maps import THRESHOLDS
from ctwml_bids.training.recipe import Recipe, TrainingUnit
from ctwml_bids.training.units import Noted

# A unit's row of the accuracy table, as `write_case` returns it.
Row = Mapping[str, Any]


def summarise(rows: Sequence[Row], recipe: Recipe) -> dict[str, object]:
    """Return the cross-validated accuracy, JSON-able.

    Parameters
    ----------
    rows
        From `write_case`.
    recipe
        Of the training.
    """
    with_lesions = [row for row in rows if not row["both_empty"]]
    found = agreement([row["cv_ml"] for row in rows], [row["truth_ml"] for row in rows])
    sweeps = np.array([row["sweep"] for row in with_lesions])
    means = sweeps.mean(axis=0).tolist() if len(sweeps) else []
    return {
        "what": f"{recipe.folds}-fold cross-validation repeated {recipe.repeats} times, "
        "mean of the out-of-fold probabilities above the threshold, against the lesions that the "
        "networks learn from",
        "units": len(rows),
        "both_empty": len(rows) - len(with_lesions),
        "dice": _mean(with_lesions, "dice"),
        "dice_by_fazekas_group": _by_group(with_lesions),
        "lesion_recall": _mean(with_lesions, "lesion_recall"),
        "lesion_f1": _mean(with_lesions, "lesion_f1"),
        "pearson_r": _finite(found.pearson.value),
        "slope": _finite(found.slope.value),
        "intercept_ml": _finite(found.intercept.value),
        "bias_ml": _finite(found.bias.value),
        "limits_of_agreement_ml": [
            _finite(found.lower_limit.value),
            _finite(found.upper_limit.value),
        ],
        "dice_by_threshold": {
            f"{threshold:g}": round(mean, 4)
            for threshold, mean in zip(THRESHOLDS, means, strict=False)
        },
        **_of_infarcts(rows),
    }


def _of_infarcts(rows: Sequence[Row]) -> dict[str, object]:
    """Return how well infarcts were told apart; nothing of networks of two classes."""
    told = [row for row in rows if row.get("infarct_truth_ml") is not None]
    if not told:
        return {}
    with_infarct = [row for row in told if row["infarct_truth_ml"] > 0]
    without = [row for row in told if row["infarct_truth_ml"] == 0]
    return {
        "with_infarct": len(with_infarct),
        "infarct_dice": _mean(with_infarct, "infarct_dice"),
        "infarct_ml_without_any": _mean(without, "infarct_cv_ml"),
    }


def _by_group(rows: Sequence[Row]) -> dict[str, float | None]:
    rated = [row for row in rows if row["fazekas"] is not None]
    groups: list[int] = group_of_grade([row["fazekas"] for row in rated]).tolist() if rated else []
    return {
        name: _mean([row for row, of in zip(rated, groups, strict=True) if of == group], "dice")
        for group, name in enumerate(GROUPS)
        if any(of == group for of in groups)
    }


def _mean(rows: Sequence[Row], name: str) -> float | None:
    values = [row[name] for row in rows if math.isfinite(row[name])]
    return round(sum(values) / len(values), 4) if values else None


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def mean_curves(
    units: Sequence[TrainingUnit], done: Mapping[TrainingUnit, Noted]
) -> list[dict[str, float | None]]:
    """Return loss and Dice by step, means over networks (of those whose patches had lesions).

    The Dice of infarcts is there only where these are a class.
    """
    rows: dict[int, list[Mapping[str, float]]] = {}
    for unit in units:
        for row in done[unit]["log"]:
            rows.setdefault(int(row["step"]), []).append(row)
    curve = []
    for step, found in sorted(rows.items()):
        dices = {
            name: [row[name] for row in found if row[name] is not None]
            for name in ("dice", "dice_infarct")
            if all(name in row for row in found)
        }
        curve.append(
            {
                "step": step,
                "loss": round(sum(row["loss"] for row in found) / len(found), 5),
                **{
                    name: round(sum(values) / len(values), 4) if values else None
                    for name, values in dices.items()
                },
            }
        )
    return curve
