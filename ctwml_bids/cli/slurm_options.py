"""The options of ctwml-slurm."""

from __future__ import annotations

import argparse
from pathlib import Path

from ctwml_bids import __version__
from ctwml_bids.cli.values import absolute, at_least_one, label_reader, memory_in
from ctwml_bids.cli.words import Parser

DESCRIPTION = """\
Job arrays for SLURM: one task for each subject (and session) that is not done yet, then the group
level; or, with --train, one task for each network, then the merge. It writes the scripts and says
how to submit them; with --submit it does so. Run it again to submit what is missing.

  ctwml-slurm /data/bids /data/derivatives --image ctwml_bids.sif --sbatch "--account=abc" --submit
  ctwml-slurm /data/bids /data/derivatives --image ctwml_bids.sif --train -- --repeats 5

What follows two dashes goes to every task's ctwml_bids as it is; paths in it need a dot or a slash.
"""


def build_parser() -> Parser:
    """Return the command line's parser."""
    parser = Parser(
        prog="ctwml-slurm",
        description=DESCRIPTION,
        usage="ctwml-slurm bids_dir output_dir [options] [-- options of ctwml_bids]",
    )
    parser.add_argument("bids_dir", type=absolute, help="as for ctwml_bids")
    parser.add_argument(
        "output_dir", type=absolute, help="as for ctwml_bids; all machines need to see it"
    )
    parser.add_argument("--version", action="version", version=f"ctwml-slurm {__version__}")
    parser.add_argument(
        "--image",
        metavar="X",
        help="the Apptainer image: a file or a sandbox that all machines see, or an address "
        "(default: none, the tasks run the ctwml_bids that is installed beside this program)",
    )
    for name, prefix in (("participant", "sub-"), ("session", "ses-")):
        parser.add_argument(
            f"--{name}s",
            f"--{name}-label",
            f"--{name}-labels",
            dest=f"{name}_labels",
            metavar="LABEL",
            nargs="+",
            action="extend",
            default=[],
            type=label_reader(prefix),
            help=f"{name}s to run (default: all)",
        )
    parser.add_argument(
        "--train", action="store_true", help="train networks: heads, then networks, then the merge"
    )
    parser.add_argument("--submit", action="store_true", help="submit the jobs, too")
    _add_site(parser.add_argument_group("the cluster"))
    return parser


def _add_site(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--sbatch",
        metavar="OPTIONS",
        action="append",
        default=[],
        help='options for every sbatch, as they are: --sbatch "--partition=short --account=abc"; '
        "they win over what is asked for by default",
    )
    group.add_argument(
        "--apptainer",
        metavar="OPTIONS",
        action="append",
        default=[],
        help='options for every apptainer run, as they are: --apptainer "--nv"',
    )
    group.add_argument(
        "--setup",
        metavar="LINE",
        default="",
        help='shell line at the start of every job: --setup "module load apptainer"',
    )
    group.add_argument(
        "--max-array",
        metavar="N",
        type=at_least_one,
        help="tasks of one array, at most (default: what the site says, else 1000)",
    )
    group.add_argument(
        "--at-once", metavar="N", type=at_least_one, help="tasks of an array that run at a time"
    )
    group.add_argument(
        "--cpus", metavar="N", type=at_least_one, default=2, help="CPUs of a task (default 2)"
    )
    group.add_argument(
        "--mem",
        metavar="SIZE",
        type=memory_in("M"),
        help="memory of a task (default: by the images)",
    )
    group.add_argument(
        "--minutes", metavar="N", type=at_least_one, help="time of a task (default: by the images)"
    )
    group.add_argument(
        "-w",
        "--work-dir",
        metavar="DIR",
        type=absolute,
        help="with --train: the scratch folder that all machines see (default: logs/slurm-work in "
        "the output folder)",
    )
    group.add_argument(
        "--jobs-dir",
        metavar="DIR",
        type=Path,
        help="new folder for scripts and logs (default: logs/slurm-... in the output folder)",
    )
