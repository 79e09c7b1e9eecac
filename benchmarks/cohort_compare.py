"""Two models on the simulated cohort: people who are alike in the results of both.

    python -m benchmarks.cohort_compare ct-sim6 whole

Reads results/cohort_NAME.json of ``benchmarks/cohort.py``. Anatomies are made anew on each machine
and differ a little each time; then some people get other lesions, and are left out here. Writes
results/cohort_compare.json: of both CT models Dice, volumes against the true ones of
the second result, and how far Fazekas groups from volumes are short of those from true volumes.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from benchmarks.cohort_numbers import compare, grouped, judged, shortfall
from benchmarks.record import RESULTS, write_result
from ctwml_bids.statistics import fazekas

# True volumes of one person in both results differ by no more than this, or this share.
ALIKE_ML, ALIKE_SHARE = 0.3, 0.03


def result_of(name: str) -> dict[str, dict]:
    """Return a result of `benchmarks/cohort.py`."""
    return json.loads((RESULTS / f"cohort_{name}.json").read_text())["result"]


def alike(one: dict, other: dict) -> bool:
    """Whether a person has the same grade and nearly the same lesion volume in both."""
    limit = max(ALIKE_ML, ALIKE_SHARE * one["true_ml"])
    return one["fazekas"] == other["fazekas"] and abs(one["true_ml"] - other["true_ml"]) <= limit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs=2, help="of the results: cohort_NAME.json")
    args = parser.parse_args()
    results = [result_of(name) for name in args.names]
    rows = [{row["person"]: row for row in result["heads"]} for result in results]
    same = [p for p in rows[0] if p in rows[1] and alike(rows[0][p], rows[1][p])]
    groups = fazekas.group_of_grade([rows[1][p]["fazekas"] for p in same])
    true = np.array([rows[1][p]["true_ml"] for p in same])
    table = {"from true volumes": {"fazekas_right": judged(true, groups)["share_right"]}}
    for name, found, by_person in zip(args.names, results, rows, strict=True):
        ml = np.array([by_person[p]["ct_ml"] for p in same])
        table[f"{found['models']['ct'][0]} ({name})"] = {
            "dice": grouped(np.array([by_person[p]["ct_dice"] for p in same]), groups),
            "volumes": compare(ml, true, groups),
            "fazekas_right": judged(ml, groups)["share_right"],
            "short_of_true_volumes": shortfall(ml, true, groups),
        }
    for key, numbers in table.items():
        print(key, numbers)
    write_result("cohort_compare", {"people": len(same), "table": table})
    print(f"{len(same)} people")


if __name__ == "__main__":
    main()
