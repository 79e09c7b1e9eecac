"""The console script ctwml-simulate: a BIDS data set of simulated CT and FLAIR pairs."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ctwml_bids.cli.terminal import complain, on_screen
from ctwml_bids.cli.values import at_least_one
from ctwml_bids.cli.words import Parser
from ctwml_bids.errors import CtwmlError


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 0 or more")
    return int(text)


def _ventricles(text: str) -> float:
    from ctwml_bids.simulation.wide_ventricles import RANGE_ML

    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not RANGE_ML[0] <= value <= RANGE_ML[1]:
        raise argparse.ArgumentTypeError(f"must be {RANGE_ML[0]:g} to {RANGE_ML[1]:g} mL")
    return value


def build_parser() -> Parser:
    """Return the command line's parser."""
    parser = Parser(
        prog="ctwml-simulate",
        formatter_class=argparse.HelpFormatter,
        description=(
            "Make a BIDS data set of simulated head CT and FLAIR pairs with known white matter "
            "lesions. The truth lies under derivatives/simulation-truth."
        ),
    )
    parser.add_argument("out", type=Path, help="folder to create")
    parser.add_argument("--participants", type=at_least_one, required=True, help="how many pairs")
    parser.add_argument("--seed", type=_seed, default=0, help="same seed, same images (default 0)")
    parser.add_argument(
        "--size",
        choices=("small", "full"),
        default="full",
        help="full: clinical matrices; small: 1.1-1.6 mm in plane, 4-5 mm slices (default full)",
    )
    parser.add_argument(
        "--nprocs", type=at_least_one, default=1, help="processes to use (default 1)"
    )
    parser.add_argument(
        "--anatomies",
        type=Path,
        metavar="DIR",
        help="folder of individual anatomies (made by model_making.make_anatomies): most heads get "
        "their folds, the others the template's (default: the template alone)",
    )
    parser.add_argument(
        "--ventricles-ml",
        type=_ventricles,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="lateral ventricles of these volumes in mL, as in hydrocephalus, such as 130 250: "
        "tissue is pushed towards the skull, sulci narrow (default: as age makes them)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv
        Arguments without the program's name; those of the process if None.

    Returns
    -------
    int
        0; 64 wrong usage; 65 a bad anatomy file; 66 no anatomies; 73 the folder cannot be created;
        74 writing failed; 130 interrupted.
    """
    return on_screen("ctwml-simulate", lambda: _whole_run(argv))


def _whole_run(argv: Sequence[str] | None) -> int:
    """Run the program; an error meant for the user becomes a message and an exit code."""
    start = time.monotonic()
    try:
        parser = build_parser()
        options = parser.parse_args(argv)
        wide = options.ventricles_ml and tuple(options.ventricles_ml)
        if wide and wide[0] > wide[1]:
            parser.error(f"argument --ventricles-ml: {wide[0]:g} is above {wide[1]:g}")
        # SciPy, which these need, is slow to import; --help needs none of it.
        from ctwml_bids.simulation.cohort import write_cohort
        from ctwml_bids.simulation.individual import anatomy_files

        write_cohort(
            options.out,
            options.participants,
            options.seed,
            size=options.size,
            nprocs=options.nprocs,
            anatomies=anatomy_files(options.anatomies) if options.anatomies else (),
            ventricles_ml=wide,
            progress=lambda line: print(f"[{time.monotonic() - start:6.1f} s] {line}", flush=True),
        )
    except CtwmlError as error:
        return complain("ctwml-simulate", str(error), error.exit_code)
    except KeyboardInterrupt:
        print("ctwml-simulate: interrupted; nothing was kept", file=sys.stderr)
        return 130
    print(f"{options.participants} pairs in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
