"""How simulated lesions are rated and outlined again: volumes by grade, agreement of two raters.

    python -m benchmarks.ratings [--participants 60] [--seed 606]

Heads of a cohort's plan, with the template's anatomy and before any scanner. The seed is not one of
those on which limits between grades and the spread of volumes were adjusted. Writes
results/ratings.json.
"""

from __future__ import annotations

import argparse
from itertools import pairwise

import numpy as np

from benchmarks.record import write_result
from ctwml_bids.simulation.anatomy import make_head
from ctwml_bids.simulation.plan import Participant, plan_cohort
from ctwml_bids.simulation.rated import OUTLINE_STREAM, draw_rated_lesions
from ctwml_bids.simulation.rating import draw_rating, scores
from ctwml_bids.simulation.second_rater import outline_again
from ctwml_bids.statistics.fazekas import confusion, group_of_grade, share_right
from ctwml_bids.statistics.overlap import dice

DRAWS = 150  # of two independent raters on the same patterns
VOLUMES_ML = (0.0, 1.0, 5.0, 15.0, 40.0, np.inf)


def rate(person: Participant) -> dict:
    """Draw one head's lesions and say how they were rated and outlined again."""
    head = make_head(np.random.default_rng([person.seed, 1]), person.age, person.sex)
    rated = draw_rated_lesions(person.seed, head, person.grades)
    again = outline_again(np.random.default_rng([person.seed, OUTLINE_STREAM]), head, rated.lesions)
    mask = rated.lesions.lesion > 0.5
    return {
        "grade": rated.rated.grade,
        "ml": float(mask.sum()) * head.voxel_ml,
        "dice": dice(mask, again > 0.5) if mask.any() else None,
        "measures": rated.measures,
        "as_planned": rated.as_planned,
        "tries": rated.tries,
    }


def kappa(first: np.ndarray, second: np.ndarray) -> float:
    """Cohen's kappa of two ratings with quadratic weights."""
    expected = ((first[:, None] - second[None, :]) ** 2).mean()
    return 1 - float(((first - second) ** 2).mean() / expected)


def two_raters(rows: list[dict]) -> dict:
    """Agreement of two raters who see the same patterns, mean over many draws."""
    patterns = [scores(**row["measures"]) for row in rows]
    grades, groups, right = [], [], []
    for draw in range(DRAWS):
        rng = np.random.default_rng([draw, 606])
        a, b = (np.array([draw_rating(rng, p).grade for p in patterns]) for _ in range(2))
        grades.append(kappa(a, b))
        groups.append(kappa(group_of_grade(a), group_of_grade(b)))
        right.append(share_right(confusion(group_of_grade(a), group_of_grade(b))))
    return {
        "weighted kappa, grades 0-3": round(float(np.mean(grades)), 3),
        "weighted kappa, groups": round(float(np.mean(groups)), 3),
        "same group": round(float(np.mean(right)), 3),
    }


def summarise(rows: list[dict]) -> dict:
    grade = np.array([row["grade"] for row in rows])
    ml = np.array([row["ml"] for row in rows])
    score = np.array([np.nan if row["dice"] is None else row["dice"] for row in rows])
    by_grade = {
        str(g): {
            "heads": int((grade == g).sum()),
            "ml_mean": round(float(ml[grade == g].mean()), 2),
            "ml_sd": round(float(ml[grade == g].std(ddof=1)), 2),
            "dice": round(float(np.nanmean(score[grade == g])), 3),
        }
        for g in range(4)
        if (grade == g).sum() > 1
    }
    by_volume = {
        f"{low:g}-{high:g} mL": round(float(np.nanmean(score[(ml > low) & (ml <= high)])), 3)
        for low, high in pairwise(VOLUMES_ML)
        if ((ml > low) & (ml <= high)).any()
    }
    return {
        "heads": len(rows),
        "as_planned": sum(row["as_planned"] for row in rows),
        "mean_tries": round(float(np.mean([row["tries"] for row in rows])), 1),
        "by_grade": by_grade,
        "dice_by_volume": by_volume,
        "dice_all_with_lesions": round(float(np.nanmean(score)), 3),
        "two_raters": two_raters(rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--participants", type=int, default=60)
    parser.add_argument("--seed", type=int, default=606)
    args = parser.parse_args()
    rows = [rate(person) for person in plan_cohort(args.participants, args.seed)]
    summary = summarise(rows)
    for name, value in summary.items():
        print(f"{name}: {value}")
    print(f"Written to {write_result('ratings', {'summary': summary, 'heads': rows})}")


if __name__ == "__main__":
    main()
