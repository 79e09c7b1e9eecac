"""The tables of docs/validation.md, made of the files in ``results``.

    python -m benchmarks.page [--check]

A table stands between ``<!-- table NAME -->`` and ``<!-- end -->``; what is between is replaced.
With ``--check`` nothing is written, and the exit status is 1 if a table is not that of its results.
What stands outside tables is written by hand.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import tables_cohort as cohort
from benchmarks import tables_faults as faults
from benchmarks import tables_models as models
from benchmarks import tables_steps as steps
from benchmarks.page_words import Table

PAGE = Path(__file__).resolve().parents[1] / "docs/validation.md"
TABLES: dict[str, Callable[[], Table]] = {
    "brain masks": steps.brain_masks,
    "normalisation": steps.normalisation,
    "cohort, volumes": cohort.volumes,
    "cohort, errors by group": cohort.errors_by_group,
    "cohort, Dice": cohort.dice,
    "cohort, Fazekas groups": cohort.fazekas_groups,
    "both cohorts": cohort.both_cohorts,
    "Fazekas thresholds": cohort.fazekas_cuts,
    "cohort, thresholds": cohort.thresholds,
    "cohort, former model": cohort.former_model,
    "robustness": cohort.robustness,
    "held-out heads": models.held_out,
    "experiments": models.experiments,
    "experiments, shipped": models.experiments_shipped,
    "out of bag, CT": models.out_of_bag_ct,
    "out of bag, FLAIR": models.out_of_bag_flair,
    "islands, CT": models.islands_ct,
    "islands, FLAIR": models.islands_flair,
    "left out": models.left_out,
    "FLAIR brain masks": steps.flair_brain,
    "realism": steps.realism,
    "contrast of FLAIR": steps.contrast,
    "large hypodensity": faults.hypodensity,
    "wide ventricles, CT": faults.wide_ventricles_ct,
    "wide ventricles, FLAIR": faults.wide_ventricles_flair,
    "registration gate": steps.registration_gate,
    "registration ROC": steps.registration_roc,
    "memory of steps": steps.node_memory,
    "precision": steps.precision,
    "training rate": steps.training_rate,
}
_BLOCK = re.compile(r"<!-- table (?P<name>[^\n]+?) -->\n.*?<!-- end -->", re.DOTALL)


def made(text: str) -> str:
    """Return the page with its tables made anew.

    Raises
    ------
    SystemExit
        If a table is named that is not known, or one that is known is not on the page.
    """
    named = [match["name"] for match in _BLOCK.finditer(text)]
    if sorted(named) != sorted(TABLES):
        raise SystemExit(f"The page's tables are {named}; made can be {list(TABLES)}.")
    return _BLOCK.sub(lambda match: _block(match["name"]), text)


def _block(name: str) -> str:
    head, *rows = TABLES[name]()
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    lines.insert(1, "|" + "---|" * len(head))
    return "\n".join([f"<!-- table {name} -->", "", *lines, "", "<!-- end -->"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args()
    before = PAGE.read_text(encoding="utf-8")
    after = made(before)
    if args.check:
        sys.exit(f"{PAGE}: tables are not those of the results." if after != before else 0)
    PAGE.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
