"""Make the shipped models, step by step.

``python -m model_making.train_shipped`` with one of::

    heads  training/heads --seeds 0 120               simulate heads, lay them on the grid
    real   training/heads --bids-dir FOLDER           add real FLAIR images with expert masks
    textures training/heads                           copy heads with the real ones' structure
    train  training/heads training/ct-0 --modality ct --member 0
    export training/ct-0 training/ct-1 --modality ct --name mine --to training/models

Each step goes on where it was stopped. ``model_making/make_models.sh`` has the options of the
shipped models; ``benchmarks/lesions_simulated.py`` measures the result on heads of other seeds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ctwml_bids.errors import BadDataError, UsageError
from ctwml_bids.modality import IMAGES
from ctwml_bids.segmentation import classes
from ctwml_bids.simulation.individual import anatomy_files
from ctwml_bids.simulation.infarct_tissue import KINDS
from ctwml_bids.training.loop import initial_weights, train
from ctwml_bids.training.patches import PatchConfig, TrainingVolume, jitter_intensities
from ctwml_bids.training.recipe import LOSSES, TrainingConfig
from model_making import real_heads, shipped_heads, simulated_heads, textures, training_facts
from model_making.contrast_augmentation import jitter_contrasts
from model_making.export import export

# Heads of these seeds and above are held out: `benchmarks/lesions_simulated.py` uses them.
HELD_OUT_FROM = 900_000
# Individual anatomies of the heads that the networks are tested on (`benchmarks/cohort.py`); no
# network, that for brain masks included, ever saw an image of these subjects.
TEST_ANATOMIES = ("sub-ll12", "sub-ll20", "anat-05", "anat-11", "anat-17", "anat-20")
# How the patches may be varied.
_AUGMENTATIONS = {"intensities": jitter_intensities, "contrasts": jitter_contrasts}
# Each member of an ensemble sees its own choice of the heads.
_SHARE_OF_HEADS = 0.85
# Share of real heads among those that a network with real heads draws from.
_REAL_SHARE = 1 / 3


def train_member(
    heads: Path,
    folder: Path,
    modality: str,
    config: TrainingConfig,
    *,
    leave_out: Sequence[str] = (),
    with_copies: bool = False,
    begin_from: Path | None = None,
    augment: str = "intensities",
) -> None:
    """Train one network of an ensemble, whose number is the seed, on its own choice of the heads.

    Real heads among them are all chosen, except those of subjects to leave out; then anatomies
    and fine structure of these subjects are not seen either. A network that begins from one of a
    model has seen what that one saw, and its facts say so.

    Parameters
    ----------
    heads, folder
        Where the heads are, and where checkpoint, log and facts are kept.
    modality
        "ct" or "flair".
    config
        How to train; its ``init`` is filled in here.
    leave_out
        Subjects not to see, ``sub-X``.
    with_copies
        Whether copies with the fine structure of real heads take part (`textures`).
    begin_from
        Folder of the model that the network begins from; with other classes it gets a new head
        (`head_surgery`).
    augment
        "intensities", or on FLAIR "contrasts".

    Raises
    ------
    UsageError
        If contrasts are to be varied on CT, whose channels are one image in two scales.
    BadDataError
        If the first network saw a subject that is to be left out, no head shows that subject, or
        the folder has another training.
    """
    if augment == "contrasts" and modality != "flair":
        raise UsageError("--augment contrasts is for FLAIR: CT is calibrated.")
    loaded = shipped_heads.load_heads(heads, modality)
    _check_names(leave_out, loaded, heads)
    chosen = choose_heads(loaded, config.seed, leave_out, with_copies=with_copies)
    initial = None
    if begin_from:
        initial, checksum = initial_weights(begin_from, config.seed, config.classes)
        config = replace(config, init=checksum)
    facts = training_facts.describe(chosen, config, augment, leave_out)
    if begin_from:
        facts = training_facts.with_beginning(facts, begin_from, config.seed)
        if seen := {*facts["anatomies"], *facts["real_subjects"]}.intersection(leave_out):
            raise BadDataError(
                f"The network of {begin_from} to begin from saw {', '.join(sorted(seen))}."
            )
    training_facts.settle(folder, facts)
    train(
        [volume for volume, _ in chosen],
        config,
        folder,
        augment=_AUGMENTATIONS[augment],
        on_log=lambda row: print(json.dumps(row), flush=True),
        initial=initial,
    )


def _check_names(
    leave_out: Sequence[str], loaded: Sequence[tuple[TrainingVolume, dict]], heads: Path
) -> None:
    """Refuse to leave out someone whom no head shows: the name may be misspelt."""
    shown = set().union(*(training_facts.shown_in(facts) for _, facts in loaded))
    if unknown := sorted(set(leave_out) - shown):
        raise BadDataError(f"No head in {heads} is of {', '.join(unknown)}: write sub-X.")


def choose_heads(
    heads: Sequence[tuple[TrainingVolume, dict]],
    member: int,
    leave_out: Sequence[str] = (),
    *,
    with_copies: bool = False,
) -> list[tuple[TrainingVolume, dict]]:
    """Choose the heads that a member is trained on: by person, not by pose, never a held-out one.

    Each of the real heads, being few, is listed as often as gives them `_REAL_SHARE`. Copies with
    the fine structure of real heads (`textures`) are left out unless asked for.
    """
    real, simulated = [], []
    for volume, facts in heads:
        if training_facts.shown_in(facts).intersection(leave_out):
            continue
        if "subject" in facts:
            real.append((volume, facts))
        elif _seed(volume) < HELD_OUT_FROM and (with_copies or "texture" not in facts):
            simulated.append((volume, facts))
    seeds = sorted({_seed(volume) for volume, _ in simulated})
    rng = np.random.default_rng([member, 2])
    count = max(1, round(_SHARE_OF_HEADS * len(seeds)))
    chosen = set(rng.choice(seeds, count, replace=False).tolist())
    simulated = [head for head in simulated if _seed(head[0]) in chosen]
    wanted = _REAL_SHARE / (1 - _REAL_SHARE) * len(simulated)
    times = max(1, round(wanted / len(real))) if real else 0
    return simulated + real * times


def _seed(volume: TrainingVolume) -> int:
    return int(training_facts.person_of(volume).removeprefix("head-"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Make the shipped models.")
    steps = parser.add_subparsers(dest="step", required=True)
    heads = steps.add_parser("heads", help="simulate heads and lay them on the network's grid")
    heads.add_argument("folder", type=Path)
    heads.add_argument("--seeds", type=int, nargs=2, metavar=("FROM", "TO"), default=(0, 120))
    heads.add_argument("--poses", type=int, default=1)
    heads.add_argument("--lesion-ml", type=float, nargs=2, metavar=("FROM", "TO"))
    heads.add_argument("--anatomies", type=Path, help="folder of individual anatomies")
    heads.add_argument(
        "--ct-noise", type=float, nargs=2, metavar=("FROM", "TO"), help="factor of the CT's noise"
    )
    heads.add_argument("--infarcts", type=Path, help="file of shapes (`infarct_shapes`)")
    heads.add_argument("--infarct", choices=KINDS, help="kind that all of these heads have")
    real = steps.add_parser("real", help="lay real FLAIR images with expert masks on the grid")
    real.add_argument("folder", type=Path)
    real.add_argument("--bids-dir", type=Path, required=True)
    real.add_argument("--poses", type=int, default=4)
    copies = steps.add_parser("textures", help="give copies of FLAIR heads real fine structure")
    copies.add_argument("folder", type=Path)
    member = steps.add_parser("train", help="train one network")
    member.add_argument("heads", type=Path)
    member.add_argument("folder", type=Path)
    member.add_argument("--modality", choices=IMAGES, required=True)
    member.add_argument("--member", type=int, default=0, help="seed of the member")
    member.add_argument("--steps", type=int, default=3000)
    member.add_argument("--batch", type=int, default=32)
    member.add_argument("--threads", type=int, default=1)
    member.add_argument("--device", default="cpu", help="cpu, or cuda for a GPU")
    member.add_argument("--leave-out", nargs="+", default=(), help="subjects not to see: sub-X")
    member.add_argument(
        "--copies", action="store_true", help="with copies that `textures` made, too"
    )
    member.add_argument("--context", type=int, default=0, help="slices seen below and above each")
    member.add_argument(
        "--classes",
        type=int,
        choices=classes.COUNTS,
        default=classes.COUNTS[0],
        help="3: background, WML, infarct; with 2, infarcts are background",
    )
    member.add_argument("--loss", choices=LOSSES, default=LOSSES[0])
    member.add_argument(
        "--augment",
        choices=_AUGMENTATIONS,
        default="intensities",
        help="contrasts: sharpness, curve and shading, too; for FLAIR, which is not calibrated",
    )
    member.add_argument(
        "--begin-from",
        type=Path,
        metavar="MODEL",
        help="begin from one of this model's networks: number MEMBER, modulo their number",
    )
    model = steps.add_parser("export", help="write trained networks as a model")
    model.add_argument("runs", type=Path, nargs="+")
    model.add_argument("--to", type=Path, required=True)
    model.add_argument("--name", required=True)
    model.add_argument("--modality", choices=IMAGES, required=True)
    model.add_argument("--model-version", default="1")
    model.add_argument("--accuracy", type=Path, help="JSON with what was measured")
    model.add_argument(
        "--threshold", type=float, help="of the lesion mask (default: CT 0.25, FLAIR 0.5)"
    )
    model.add_argument(
        "--infarct-threshold", type=float, help="of the infarct mask (default: likewise)"
    )
    model.add_argument(
        "--infarct-least-ml", type=float, metavar="ML", help="leave smaller regions of infarct out"
    )
    model.add_argument("--flip", action="store_true", help="average with the mirror image")
    model.add_argument(
        "--island-share",
        type=float,
        metavar="SHARE",
        help="leave out small regions of less than this share in the template's white matter",
    )
    model.add_argument(
        "--mean-with",
        type=Path,
        metavar="MODEL",
        help="take the mean of the runs' weights and of this model's, which they began from",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one step."""
    args = _parser().parse_args(arguments)
    if args.step == "heads":
        if args.infarct and not args.infarcts:
            raise UsageError("--infarct needs shapes: --infarcts FILE.")
        if args.ct_noise and not 0 < args.ct_noise[0] <= args.ct_noise[1]:
            raise UsageError("--ct-noise FROM TO: two factors above 0, the smaller one first.")
        anatomies = anatomy_files(args.anatomies) if args.anatomies else ()
        anatomies = [path for path in anatomies if path.stem not in TEST_ANATOMIES]
        simulated_heads.make_heads(
            args.folder,
            range(*args.seeds),
            args.poses,
            args.lesion_ml,
            anatomies,
            args.ct_noise,
            args.infarcts,
            args.infarct,
        )
    elif args.step == "real":
        real_heads.make_real_heads(args.bids_dir, args.folder, poses=args.poses)
    elif args.step == "textures":
        textures.make_textured_heads(args.folder)
    elif args.step == "train":
        config = TrainingConfig(
            steps=args.steps,
            batch=args.batch,
            seed=args.member,
            device=args.device,
            threads=args.threads,
            loss=args.loss,
            classes=args.classes,
            patches=PatchConfig(context=args.context),
        )
        train_member(
            args.heads,
            args.folder,
            args.modality,
            config,
            leave_out=args.leave_out,
            with_copies=args.copies,
            begin_from=args.begin_from,
            augment=args.augment,
        )
    else:
        accuracy = json.loads(args.accuracy.read_text()) if args.accuracy else None
        export(
            args.runs,
            args.to,
            name=args.name,
            modality=args.modality,
            version=args.model_version,
            accuracy=accuracy,
            flip=args.flip,
            threshold=args.threshold,
            infarct_threshold=args.infarct_threshold,
            infarct_least_ml=args.infarct_least_ml,
            mean_with=args.mean_with,
            island_share=args.island_share,
        )


if __name__ == "__main__":
    main()
