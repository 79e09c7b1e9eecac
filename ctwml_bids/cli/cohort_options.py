"""Options of the group level, and of Fazekas groups."""

from __future__ import annotations

import argparse
from pathlib import Path

from ctwml_bids.cli.exclusions import label_or_file


def add_cohort(group: argparse._ArgumentGroup) -> None:
    """Add the options that say who takes part, and what is known of people."""
    group.add_argument(
        "--exclude",
        metavar="LABEL|FILE",
        nargs="+",
        action="extend",
        type=label_or_file,
        help="who is left out of group and train: subjects (X), units (X_ses-Y), or files with one "
        "of these in the first column of each line; a column exclude in participants.tsv does the "
        "same",
    )
    group.add_argument(
        "--include-failed-qc",
        action="store_true",
        help="keep subjects with a failed quality gate: in the agreement (group), in training "
        "(train)",
    )
    group.add_argument(
        "--participants-file",
        metavar="FILE",
        type=Path,
        help="table with participant_id, age, sex and the Fazekas rating for group and train "
        "(default: the data set's participants.tsv, which the participant level copies)",
    )
    group.add_argument(
        "--fazekas-file",
        metavar="FILE",
        type=Path,
        help="phenotype table with the visual Fazekas ratings, where they are in another one",
    )
    group.add_argument(
        "--fazekas-column",
        metavar="NAME",
        help="column of the visual rating, 0 to 3 or 0-1, 2, 3 (default: fazekas)",
    )
    group.add_argument(
        "--fazekas-thresholds",
        metavar="FILE",
        help="state each subject's Fazekas group from its lesion volume, with the "
        "group/fazekas_thresholds.json of a cohort, or with the round numbers 7 and 15 mL by the "
        "name literature; at the group level, judge these in place of fitting",
    )
