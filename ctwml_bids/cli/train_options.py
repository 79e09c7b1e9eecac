"""The options of `train`."""

from __future__ import annotations

import argparse
import re

from ctwml_bids.cli.values import at_least_one
from ctwml_bids.settings import INITS, LABELS, LOSSES, MODALITIES, NETWORKS, PRECISIONS


def add_training(group: argparse._ArgumentGroup) -> None:
    """Add them to a group of the parser."""
    group.add_argument(
        "--modality", choices=MODALITIES, help="image that the networks see (default: ct)"
    )
    group.add_argument(
        "--labels",
        choices=LABELS,
        help="what they learn from: flair, the participant level's FLAIR segmentations (default); "
        "manual, the masks of -d masks=PATH",
    )
    group.add_argument(
        "--folds", metavar="N", type=at_least_one, help="folds of the cross-validation (default 10)"
    )
    group.add_argument(
        "--repeats", metavar="N", type=at_least_one, help="repeats with other splits (default 10)"
    )
    group.add_argument(
        "--members",
        metavar="N",
        type=at_least_one,
        help="networks of the final model, each trained on all subjects (default 10)",
    )
    group.add_argument(
        "--only",
        metavar="PART",
        nargs="+",
        action="extend",
        type=part,
        help="parts to do, for job arrays: heads (lay all heads on the grid), REPEAT:FOLD (both "
        "counted from 1), final:MEMBER, merge (maps, tables, model and report from all of them)",
    )
    group.add_argument(
        "--init",
        choices=INITS,
        help="what the networks begin from: fresh weights (default), or the shipped networks",
    )
    group.add_argument(
        "--steps", metavar="N", type=at_least_one, help="steps of each training (default 3000)"
    )
    group.add_argument(
        "--batch", metavar="N", type=at_least_one, help="patches of a step (default 32)"
    )
    group.add_argument(
        "--learning-rate",
        metavar="RATE",
        type=_share,
        help="of Adam at the first step (default 5e-4; 1e-4 with --init shipped)",
    )
    group.add_argument(
        "--context",
        metavar="N",
        type=_none_or_more,
        help="neighbouring slices below, and above, that the network sees with each one (default "
        "0, as the paper's; with --init shipped those of the shipped networks)",
    )
    group.add_argument(
        "--loss",
        choices=LOSSES,
        help="what is made small (default cross-entropy, as uResNet's; with --init shipped that "
        "of the shipped networks)",
    )
    group.add_argument(
        "--network",
        choices=NETWORKS,
        help="uResNet's variant (default standard, as the shipped networks), or a plain U-Net of "
        "nnU-Net's kind; with --init shipped it is that of the shipped networks",
    )
    group.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="number format of the convolutions (default auto: bfloat16 where the device has it)",
    )
    group.add_argument(
        "--threshold",
        metavar="P",
        type=_share,
        help="probability above which a voxel is a lesion (default 0.25 on CT, 0.5 on "
        "FLAIR; with --init shipped that of the shipped networks)",
    )
    group.add_argument(
        "--keep-networks",
        action="store_true",
        help="keep the networks of the cross-validation after their maps are made",
    )


def part(text: str) -> str:
    """Read a part of a training: heads, merge, REPEAT:FOLD or final:MEMBER."""
    if text in ("heads", "merge") or re.fullmatch(r"(final|[1-9]\d*):[1-9]\d*", text):
        return text
    raise argparse.ArgumentTypeError(
        f"{text!r} is none of heads, REPEAT:FOLD (such as 1:10), final:MEMBER and merge"
    )


def _none_or_more(text: str) -> int:
    if re.fullmatch(r"\d", text):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of slices from 0 to 9")


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 1")
    return value
