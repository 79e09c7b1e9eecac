"""What was tried for the CT network, each network with the same heads, steps and seed.

    python -m benchmarks.experiments HEADS FOLDER [--steps 1000] [--only NAME ...] [--name RESULT]

The first experiments change one thing of "baseline", which is the paper's recipe; what was best of
them, "shipped", is what the others change one thing of. All train on the same 85% of the simulated
heads in HEADS and segment the other 15%; the best Dice over thresholds tells them apart, not that
at 0.25. One network each, so differences of a hundredth or two mean nothing. FOLDER keeps the
trainings and what each gave; results/RESULT.json has all that are in it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks.out_of_bag import LARGE_ML, LESIONS_ML, NONE_ML, THRESHOLDS
from benchmarks.record import write_result
from ctwml_bids import modality
from ctwml_bids.segmentation import ensemble, model_store
from ctwml_bids.segmentation.classes import WML
from ctwml_bids.segmentation.model_card import ModelCard
from ctwml_bids.statistics.agreement import agreement
from ctwml_bids.statistics.overlap import dice
from ctwml_bids.training.loop import train
from ctwml_bids.training.patches import PatchConfig, TrainingVolume, jitter_intensities
from ctwml_bids.training.recipe import TrainingConfig
from model_making import shipped_heads
from model_making.train_shipped import choose_heads

MEMBER = 100  # whose choice of heads all experiments share; no shipped network's
THICK_MM = 4.5


@dataclass(frozen=True)
class Experiment:
    """What one experiment changes.

    Attributes
    ----------
    about
        In words.
    config
        How to train; steps and seed come from the command line.
    channels
        Input channels by index: 0 is the z-score, 1 the HU.
    jitter
        Whether intensities are varied.
    thick_only
        Train on CTs of slices over 4.5 mm alone.
    lesion_free
        Whether heads without lesions are trained on.
    longer
        Factor on the steps.
    flip
        Segment each head and its mirror image; `run` measures both ways.
    """

    about: str
    config: TrainingConfig = field(default_factory=TrainingConfig)
    channels: tuple[int, ...] = (0, 1)
    jitter: bool = True
    thick_only: bool = False
    lesion_free: bool = True
    longer: float = 1.0
    flip: bool = False


def _shipped(*, variant: str = "standard", **patches) -> TrainingConfig:
    """What the shipped networks are trained with, and one change."""
    return TrainingConfig(
        loss="dice+cross-entropy",
        variant=variant,
        patches=PatchConfig(**{"context": 1, **patches}),
    )


EXPERIMENTS = {
    "baseline": Experiment("uResNet, one slice, z-score and HU, cross-entropy", flip=True),
    "three-slices": Experiment(
        "a slice above and below too", TrainingConfig(patches=PatchConfig(context=1)), flip=True
    ),
    "dice-loss": Experiment(
        "Dice and cross-entropy", TrainingConfig(loss="dice+cross-entropy"), flip=True
    ),
    "plain-unet": Experiment(
        "plain U-Net, one slice, Dice and cross-entropy, as nnU-Net",
        _shipped(variant="plain-unet", context=0),
        flip=True,
    ),
    "plain-unet-three": Experiment(
        "the plain U-Net with a slice above and below",
        _shipped(variant="plain-unet"),
        flip=True,
    ),
    "shipped": Experiment("three slices, Dice and cross-entropy", _shipped(), flip=True),
    "shipped-long": Experiment(
        "the same in the plain U-Net's time: 1.9 times the steps",
        _shipped(),
        longer=1.9,
        flip=True,
    ),
    "zscore-only": Experiment("the z-score alone, as the paper", _shipped(), channels=(0,)),
    "hu-only": Experiment("HU alone", _shipped(), channels=(1,)),
    "five-slices": Experiment("two slices above and below", _shipped(context=2)),
    "wide": Experiment("uResNet variant wide", _shipped(variant="wide")),
    "dropout": Experiment("uResNet variant dropout", _shipped(variant="dropout")),
    "few-lesion-patches": Experiment("a fifth at lesions", _shipped(lesion_share=0.2)),
    "many-lesion-patches": Experiment("four fifths at lesions", _shipped(lesion_share=0.8)),
    "no-lesion-free-heads": Experiment("only heads with lesions", _shipped(), lesion_free=False),
    "no-jitter": Experiment("statistics of the z-score not varied", _shipped(), jitter=False),
    "thick-slices-only": Experiment(
        "trained on slices over 4.5 mm alone", _shipped(), thick_only=True
    ),
}


def prepare(
    heads: list[tuple[TrainingVolume, dict]], experiment: Experiment
) -> list[TrainingVolume]:
    """Choose the heads and channels of an experiment."""
    volumes = []
    for volume, facts in heads:
        if experiment.thick_only and facts["ct"]["slice_thickness_mm"] < THICK_MM:
            continue
        if not experiment.lesion_free and not np.asarray(volume.labels).any():
            continue
        volumes.append(_channels(volume, experiment))
    return volumes


def _channels(volume: TrainingVolume, experiment: Experiment) -> TrainingVolume:
    if experiment.channels == (0, 1):
        return volume
    return replace(volume, channels=volume.channels[list(experiment.channels)])


def evaluate(network: ensemble.Ensemble, heads: list, experiment: Experiment, device: str) -> dict:
    """Segment heads that were not trained on, as the network's card says."""
    rows = []
    for volume, facts in heads:
        channels = np.asarray(_channels(volume, experiment).channels, dtype=np.float32)
        probability = ensemble.predict(network, channels, device=device).probability
        truth, ml = np.asarray(volume.labels) == WML, facts["grid_voxel_ml"]
        masks = [probability > threshold for threshold in THRESHOLDS]
        rows.append(
            {
                "true": float(truth.sum() * ml),
                "thick": facts["ct"]["slice_thickness_mm"] >= THICK_MM,
                "found": [float(mask.sum() * ml) for mask in masks],
                "dice": [dice(mask, truth) for mask in masks],
            }
        )
    true = np.array([row["true"] for row in rows])
    thick = np.array([row["thick"] for row in rows])
    found, scores = (np.array([row[key] for row in rows]) for key in ("found", "dice"))
    lesions = true > LESIONS_ML
    best = int(scores[lesions].mean(axis=0).argmax())
    volumes = agreement(found[:, best], true)
    return {
        "heads": len(rows),
        "with_lesions": int(lesions.sum()),
        "threshold": THRESHOLDS[best],
        "dice": round(float(scores[lesions, best].mean()), 3),
        "dice_at_0.25": round(float(scores[lesions, THRESHOLDS.index(0.25)].mean()), 3),
        "dice_large": round(float(scores[true > LARGE_ML, best].mean()), 3),
        "dice_thick": round(float(scores[lesions & thick, best].mean()), 3),
        "dice_thin": round(float(scores[lesions & ~thick, best].mean()), 3),
        "r": round(volumes.pearson.value, 3),
        "slope": round(volumes.slope.value, 2),
        "lesion_free_mean_ml": round(float(found[true < NONE_ML, best].mean()), 2),
    }


def run(name: str, heads: list, folder: Path, steps: int, threads: int, device: str) -> dict:
    """Train and measure one experiment."""
    experiment = EXPERIMENTS[name]
    seen = choose_heads(heads, MEMBER)
    names = {volume.name for volume, _ in seen}
    unseen = [head for head in heads if head[0].name not in names]
    steps = round(steps * experiment.longer)
    config = replace(experiment.config, steps=steps, seed=MEMBER, device=device, threads=threads)
    result = train(
        prepare(seen, experiment),
        config,
        folder / name,
        augment=jitter_intensities if experiment.jitter else None,
    )
    images = len(experiment.channels) * (2 * config.patches.context + 1)
    card = ModelCard(
        name=name,
        modality="ct",
        version="0",
        network={"variant": config.variant, "in_channels": images, "classes": config.classes},
        channels=tuple(modality.CT.channels[index] for index in experiment.channels),
        threshold=0.25,
        members=(),
        license="",
        context=config.patches.context,
    )
    weights = {key: tensor.numpy() for key, tensor in result.weights.items()}
    model_store.write_model(folder / name / "model", card, [weights])
    plain = ensemble.load(folder / name / "model")
    flipped = replace(plain, card=replace(plain.card, flip=True))
    measured = {"flip": False, **evaluate(plain, unseen, experiment, device)}
    if experiment.flip:
        without = measured["dice"]
        measured = {"flip": True, **evaluate(flipped, unseen, experiment, device)}
        measured["dice_without_flip"] = without
    return {
        "about": experiment.about,
        "steps": steps,
        "steps_per_second": round(float(np.median([r["steps_per_second"] for r in result.log])), 2)
        if result.log
        else None,
        **measured,
        "config": asdict(config),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("heads", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for a GPU")
    parser.add_argument("--name", default="experiments_ct", help="of the file in results")
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS))
    args = parser.parse_args()
    heads = shipped_heads.load_heads(args.heads, "ct")
    for name in args.only:
        done = args.folder / name / "result.json"
        if not done.is_file():
            done.write_text(
                json.dumps(run(name, heads, args.folder, args.steps, args.threads, args.device))
            )
    rows = {
        path.parent.name: json.loads(path.read_text()) for path in args.folder.glob("*/result.json")
    }
    rows = {name: rows[name] for name in EXPERIMENTS if name in rows}
    for name, row in rows.items():
        print(name, {key: value for key, value in row.items() if key != "config"})
    print(f"Written to {write_result(args.name, rows)}")


if __name__ == "__main__":
    main()
