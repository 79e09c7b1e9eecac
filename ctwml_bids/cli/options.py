"""Every option of the command line, with its aliases and its help."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ctwml_bids import __version__
from ctwml_bids.cli.cohort_options import add_cohort
from ctwml_bids.cli.train_options import add_training
from ctwml_bids.cli.values import (
    absolute_path,
    at_least_one,
    label_reader,
    letters_and_digits,
    memory_gb,
    named_path,
)
from ctwml_bids.errors import UsageError
from ctwml_bids.settings import DEVICES, KEEP_WORK, NORMALISATIONS

DESCRIPTION = """\
White matter lesions measured on head CT and FLAIR, after Pitkanen et al. 2020.

The three words come first, options after them:
  ctwml_bids /data/bids /data/derivatives participant --participant-label 01 02
  ctwml_bids /data/bids /data/derivatives train --folds 10 --repeats 10
  ctwml_bids /data/bids /data/derivatives group
"""
EPILOG = """\
Exit codes: 0 done, 1 some subject failed, 16 invalid input, 17 unknown analysis level,
18 labels or filters matched nothing, 64 wrong usage, 65 unusable data, 66 missing input,
73 output cannot be created, 74 reading or writing failed, 75 try again, 130 interrupted,
143 stopped by the system.
For research use; not a medical device.
"""


class Parser(argparse.ArgumentParser):
    """argparse whose complaints are a typed error instead of exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Raise argparse's complaint (UsageError)."""
        hint = ""
        if "arguments are required" in message:
            hint = " Put bids_dir, output_dir and analysis_level before all options."
        raise UsageError(f"{message}.{hint} See ctwml_bids --help.")


def build_parser(optional: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Build the argument parser; what a configuration file gives may be left out.

    Parameters
    ----------
    optional
        Names of settings that are known already.
    """
    parser = Parser(
        prog="ctwml_bids",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        usage="ctwml_bids bids_dir output_dir {participant,train,group} [options]",
    )
    one, several = {"nargs": "?"}, {"nargs": "*"}
    parser.add_argument(
        "bids_dir",
        type=Path,
        help="the BIDS data set with CT and FLAIR images (not read at the group level)",
        **(one if "bids_dir" in optional else {}),
    )
    parser.add_argument(
        "output_dir",
        type=Path,
        help="where the results go, a BIDS derivative data set",
        **(one if "output_dir" in optional else {}),
    )
    parser.add_argument(
        "analysis_levels",
        metavar="analysis_level",
        help="one or more of: participant (segment and measure each subject), train (networks on "
        "these subjects, cross-validated), group (tables and figures over all subjects)",
        **(several if "analysis_levels" in optional else {"nargs": "+"}),
    )
    parser.add_argument("--version", action="version", version=f"ctwml_bids {__version__}")
    _add_input(parser.add_argument_group("which data"))
    _add_method(parser.add_argument_group("how it is measured"))
    add_cohort(parser.add_argument_group("the group level, and Fazekas groups"))
    add_training(parser.add_argument_group("how networks are trained (train)"))
    _add_running(parser.add_argument_group("how it runs"))
    _add_output(parser.add_argument_group("what is written and kept"))
    return parser


def _add_input(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--participant-label",
        "--participant_label",
        dest="participant_labels",
        metavar="LABEL",
        nargs="+",
        action="extend",
        type=label_reader("sub-"),
        help="subjects to process, with or without sub- (default: all)",
    )
    group.add_argument(
        "--session-label",
        "--session_label",
        "--session-id",
        "--session_id",
        dest="session_labels",
        metavar="LABEL",
        nargs="+",
        action="extend",
        type=label_reader("ses-"),
        help="sessions to process, with or without ses- (default: all)",
    )
    group.add_argument(
        "--bids-filter-file",
        metavar="FILE",
        type=Path,
        help='JSON that narrows down the images: {"ct": {entity: value}, "flair": {...}}; null is '
        '"without this entity", "*" is "any"',
    )
    group.add_argument(
        "--skip-bids-validation",
        "--skip_bids_validation",
        action="store_true",
        help="do not ask for a valid dataset_description.json",
    )
    group.add_argument(
        "-d",
        "--derivatives",
        dest="derivatives",
        metavar="PACKAGE=PATH",
        nargs="+",
        action="extend",
        type=named_path,
        help="other derivative data sets; train reads masks=PATH (--labels manual)",
    )
    group.add_argument(
        "--config-file",
        metavar="FILE",
        type=Path,
        help="TOML with settings, as each run writes it to logs/; the command line wins. What "
        "belongs to the machine (--nprocs, --omp-nthreads, --mem, --device, -w, --use-plugin) is "
        "not taken from it: give it on the command line, or leave it to the defaults",
    )


def _add_method(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--model",
        dest="models",
        metavar="DIR",
        nargs="+",
        action="extend",
        type=absolute_path,
        help="model folders to use instead of the shipped ones, one for CT, one for FLAIR or "
        "both; the card in a folder says which it is",
    )
    group.add_argument(
        "--template",
        metavar="NAME",
        help="TemplateFlow template to normalise to (default: MNI152NLin2009aSym, in the package)",
    )
    group.add_argument(
        "--normalisation",
        "--normalization",
        choices=NORMALISATIONS,
        help="nine: nine parameters (default); syn: a deformable registration besides, for maps "
        "in the template's space; the networks see the nine-parameter frame either way",
    )
    group.add_argument(
        "--output-spaces",
        metavar="SPACE",
        nargs="+",
        action="extend",
        help="spaces for maps besides the native CT and FLAIR, such as the template's name",
    )
    group.add_argument(
        "--random-seed",
        metavar="N",
        type=at_least_one,
        help="seed of everything random (default: 1; the same seed and one thread give the same "
        "masks bit by bit)",
    )


def _add_running(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--nprocs",
        "--n-cpus",
        "--n_cpus",
        "--nthreads",
        metavar="N",
        type=at_least_one,
        help="CPUs in all (default: those that this process may use)",
    )
    group.add_argument(
        "--omp-nthreads",
        metavar="N",
        type=at_least_one,
        help="threads of one step (default: 1 for registration, whose result depends on it, and "
        "all of --nprocs for the networks)",
    )
    group.add_argument(
        "--mem",
        "--mem-mb",
        "--mem_mb",
        dest="mem_gb",
        metavar="SIZE",
        type=memory_gb,
        help="memory in all: 8000 (MB), 4G, 1.5G (default: 90%% of the machine or container)",
    )
    group.add_argument(
        "--device", choices=DEVICES, help="where the networks run (default: auto, a GPU if any)"
    )
    group.add_argument(
        "--use-plugin",
        metavar="FILE",
        type=Path,
        help='YAML, JSON or TOML with a Nipype plugin: {"plugin": "SLURM", "plugin_args": {...}}',
    )
    group.add_argument(
        "--stop-on-first-crash", action="store_true", help="stop everything once a step fails"
    )
    group.add_argument(
        "--dry-run",
        action="store_true",
        help="print what would be processed, from which files, and why others are skipped",
    )
    group.add_argument(
        "--notrack", action="store_true", help="accepted, does nothing: there is no telemetry"
    )
    group.add_argument("-v", "--verbose", action="count", help="say more; -vv says all")


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-w",
        "--work-dir",
        metavar="DIR",
        type=Path,
        help="scratch folder (default: ctwml_work-... in the temporary folder)",
    )
    group.add_argument(
        "--keep-work", choices=KEEP_WORK, help="scratch of a finished subject (default: on-failure)"
    )
    group.add_argument(
        "--clean-workdir",
        action="store_true",
        help="empty the scratch folder before starting, except for what another run is working on",
    )
    group.add_argument(
        "--desc",
        metavar="LABEL",
        type=letters_and_digits,
        help="label for the results of another model, kept beside those that exist",
    )
    group.add_argument(
        "--reports-only", action="store_true", help="write the reports again from what exists"
    )
    group.add_argument(
        "--boilerplate-only", action="store_true", help="print the methods paragraph and stop"
    )
