"""The tables of the pages, made of ``results``, of the declared options and the described columns.

    python -m benchmarks.page [--check]

A table stands between ``<!-- table NAME -->`` and ``<!-- end -->``; what is between is replaced.
With ``--check`` nothing is written, and the exit status is 1 if a table is not what it is made of.
What stands outside tables is written by hand.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import tables_answers as answers
from benchmarks import tables_cohort as cohort
from benchmarks import tables_faults as faults
from benchmarks import tables_models as models
from benchmarks import tables_options as options
from benchmarks import tables_outputs as outputs
from benchmarks import tables_steps as steps
from benchmarks.page_words import Table

DOCS = Path(__file__).resolve().parents[1] / "docs"
# Page, and its tables.
PAGES: dict[str, dict[str, Callable[[], Table]]] = {
    "validation.md": {
        "answers, simulated": answers.simulated,
        "answers, real with reference": answers.real_with_reference,
        "answers, real without reference": answers.real_without_reference,
        "answers, program": answers.program,
        "cohort, volumes": cohort.volumes,
        "cohort, errors by group": cohort.errors_by_group,
        "cohort, Dice": cohort.dice,
        "cohort, Fazekas groups": cohort.fazekas_groups,
        "robustness": cohort.robustness,
        "brain masks": steps.brain_masks,
        "left out": models.left_out,
    },
    "experiments.md": {
        "both cohorts": cohort.both_cohorts,
        "normalisation": steps.normalisation,
        "FLAIR brain masks": steps.flair_brain,
        "Fazekas thresholds": cohort.fazekas_cuts,
        "cohort, thresholds": cohort.thresholds,
        "cohort, former model": cohort.former_model,
        "held-out heads": models.held_out,
        "experiments": models.experiments,
        "experiments, shipped": models.experiments_shipped,
        "out of bag, CT": models.out_of_bag_ct,
        "out of bag, FLAIR": models.out_of_bag_flair,
        "islands, CT": models.islands_ct,
        "islands, FLAIR": models.islands_flair,
        "realism": steps.realism,
        "contrast of FLAIR": steps.contrast,
        "registration gate": steps.registration_gate,
        "registration ROC": steps.registration_roc,
        "memory of steps": steps.node_memory,
        "precision": steps.precision,
        "training rate": steps.training_rate,
    },
    "situations.md": {
        "wide ventricles, CT": faults.wide_ventricles_ct,
        "wide ventricles, FLAIR": faults.wide_ventricles_flair,
        "large hypodensity": faults.hypodensity,
    },
    "reliability.md": {
        "fuzzed inputs": faults.fuzzed_inputs,
        "fuzzed readers": faults.fuzzed_readers,
    },
    "options.md": options.sections(),
    "outputs.md": outputs.sections(),
}
_BLOCK = re.compile(r"<!-- table (?P<name>[^\n]+?) -->\n.*?<!-- end -->", re.DOTALL)


def made(text: str, tables: Mapping[str, Callable[[], Table]]) -> str:
    """Return a page with its tables made anew.

    Raises
    ------
    SystemExit
        If a table is named that is not the page's, or one that is the page's is not on it.
    """
    named = [match["name"] for match in _BLOCK.finditer(text)]
    if sorted(named) != sorted(tables):
        raise SystemExit(f"The page's tables are {named}; made can be {list(tables)}.")
    return _BLOCK.sub(lambda match: _block(match["name"], tables[match["name"]]()), text)


def _block(name: str, table: Table) -> str:
    head, *rows = table
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    lines.insert(1, "|" + "---|" * len(head))
    return "\n".join([f"<!-- table {name} -->", "", *lines, "", "<!-- end -->"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args()
    before = {name: (DOCS / name).read_text(encoding="utf-8") for name in PAGES}
    after = {name: made(text, PAGES[name]) for name, text in before.items()}
    if args.check:
        differ = [name for name in PAGES if after[name] != before[name]]
        advice = f"{', '.join(differ)}: tables differ; python -m benchmarks.page writes them anew."
        sys.exit(advice if differ else 0)
    for name, text in after.items():
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
