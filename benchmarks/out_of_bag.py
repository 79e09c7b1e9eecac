"""Thresholds of a lesion model, on training heads that a member did not see.

    python -m benchmarks.out_of_bag HEADS RUN [RUN ...] --modality {ct,flair} [--heads 18]
        [--no-flip] [--device cpu] [--mean-with MODEL] [--island-share SHARE]

Every member of an ensemble is trained on its own choice of the simulated heads. Each network in a
RUN folder segments heads that it was not trained on, alone; Dice, volumes and what is marked in
heads without lesions are given for thresholds around the paper's 0.25. The threshold in a model's
card is chosen from these heads alone. With ``--mean-with``, the model that the runs began from,
its networks, the trained ones and their means are measured on the same heads. Writes
results/out_of_bag_MODALITY.json, with ``--mean-with`` out_of_bag_MODALITY_mean.json. For networks
that tell infarcts from WML, the same of infarcts is in out_of_bag_MODALITY_infarct.json and
out_of_bag_MODALITY_mean_infarct.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.record import write_result
from ctwml_bids.modality import IMAGES
from ctwml_bids.segmentation import ensemble
from ctwml_bids.segmentation.classes import INFARCT, NAMES, WML
from ctwml_bids.statistics.agreement import agreement
from ctwml_bids.statistics.overlap import dice
from ctwml_bids.training.loop import initial_weights
from ctwml_bids.training.patches import TrainingVolume
from model_making import shipped_heads, training_facts
from model_making.export import export
from model_making.train_shipped import choose_heads

THRESHOLDS = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)
LESIONS_ML, LARGE_ML, NONE_ML = 1.0, 15.0, 0.05


def networks_of(run: Path, args: argparse.Namespace) -> dict[str, ensemble.Ensemble]:
    """Return the network of a run alone; with ``--mean-with`` three of them, by name."""

    def exported(mean_with: Path | None) -> ensemble.Ensemble:
        with tempfile.TemporaryDirectory() as folder:
            export(
                [run],
                Path(folder),
                name="one",
                modality=args.modality,
                version="0",
                flip=not args.no_flip,
                mean_with=mean_with,
                island_share=args.island_share,
            )
            return ensemble.load(Path(folder) / "one")

    found = {"trained": exported(None)}
    if args.mean_with is not None:
        found["mean"] = exported(args.mean_with)
        member = json.loads((run / "facts.json").read_text())["config"]["seed"]
        card = found["trained"].card
        weights, _ = initial_weights(args.mean_with, member, len(card.classes))
        found["begun from"] = ensemble.from_weights(card, [weights], str(args.mean_with))
    return found


def seen_by(run: Path, heads: list) -> set[str]:
    """Return the names of the heads that a network saw; stop if HEADS are not those of its run."""
    facts = json.loads((run / "facts.json").read_text())
    for copies in (False, True):
        chosen = choose_heads(
            heads, facts["config"]["seed"], facts["leave_out"], with_copies=copies
        )
        seen = {volume.name for volume, _ in chosen}
        if training_facts.names_sha256(seen) == facts["volumes_sha256"]:
            break
    else:
        raise SystemExit(f"The heads are not those of which {run} was trained on a part.")
    # The network that it began from may have seen others of them.
    while facts := facts.get("began_from"):
        chosen = choose_heads(heads, facts["config"]["seed"], facts.get("leave_out", ()))
        seen |= {volume.name for volume, _ in chosen}
    return seen


def measure(run: Path, heads: list, args: argparse.Namespace) -> dict[int, dict[str, list[dict]]]:
    """By lesion class and network, one row a head that was not seen.

    True mL; found mL and Dice by threshold, without regard to the other class.
    """
    seen = seen_by(run, heads)
    simulated = [head for head in heads if not {"subject", "texture"} & head[1].keys()]
    unseen = [head for head in simulated if head[0].name not in seen]
    networks = networks_of(run, args)
    lesions = range(1, len(networks["trained"].card.classes))
    rows: dict[int, dict[str, list[dict]]] = {
        lesion: {name: [] for name in networks} for lesion in lesions
    }
    for volume, facts in unseen[: args.heads]:
        channels = np.asarray(volume.channels, dtype=np.float32)
        for name, network in networks.items():
            said = ensemble.predict(
                network, channels, white_matter=shipped_heads.white_matter(), device=args.device
            )
            maps = {WML: said.probability}
            if said.infarct is not None:
                maps[INFARCT] = said.infarct.probability
            for lesion, probability in maps.items():
                truth = np.asarray(volume.labels) == lesion
                rows[lesion][name].append(_row(volume, truth, probability, facts["grid_voxel_ml"]))
    return rows


def _row(volume: TrainingVolume, truth: np.ndarray, probability: np.ndarray, ml: float) -> dict:
    masks = [probability > threshold for threshold in THRESHOLDS]
    return {
        "head": volume.name,
        "true_ml": float(truth.sum() * ml),
        "found_ml": [float(mask.sum() * ml) for mask in masks],
        "dice": [dice(mask, truth) for mask in masks],
    }


def kinds(rows: list[dict]) -> dict[str, int]:
    """Count heads with lesions, with large ones, and without any."""
    true = np.array([row["true_ml"] for row in rows])
    return {
        "heads": len(rows),
        "with_lesions": int((true > LESIONS_ML).sum()),
        "large": int((true > LARGE_ML).sum()),
        "lesion_free": int((true < NONE_ML).sum()),
    }


def curve(rows: list[dict], thresholds: Sequence[float] = THRESHOLDS) -> list[dict]:
    """Summarise over heads, a row a threshold."""
    true = np.array([row["true_ml"] for row in rows])
    found = np.array([row["found_ml"] for row in rows])
    scores = np.array([row["dice"] for row in rows])
    table = []
    for index, threshold in enumerate(thresholds):
        volumes = agreement(found[:, index], true)
        none = found[true < NONE_ML, index]
        table.append(
            {
                "threshold": threshold,
                "dice": _mean(scores[true > LESIONS_ML, index]),
                "dice_large": _mean(scores[true > LARGE_ML, index]),
                "slope": round(volumes.slope.value, 2),
                "bias_ml": round(volumes.bias.value, 2),
                "r": round(volumes.pearson.value, 3),
                "lesion_free_median_ml": round(float(np.median(none)), 2) if none.size else None,
                "lesion_free_largest_ml": round(float(none.max()), 1) if none.size else None,
            }
        )
    return table


def _mean(scores: np.ndarray) -> float | None:
    """Return a mean to three digits; None of no heads, as few may have infarcts."""
    return round(float(scores.mean()), 3) if scores.size else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("heads_folder", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--modality", choices=IMAGES, required=True)
    parser.add_argument("--heads", type=int, default=18, help="of each network, at most")
    parser.add_argument("--no-flip", action="store_true", help="without the mirror image")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for a GPU")
    parser.add_argument("--mean-with", type=Path, metavar="MODEL", help="which the runs began from")
    parser.add_argument(
        "--island-share", type=float, help="leave out regions outside the white matter"
    )
    args = parser.parse_args()
    heads = shipped_heads.load_heads(args.heads_folder, args.modality)
    measured = [measure(run, heads, args) for run in args.runs]
    for lesion in measured[0]:
        _summarise(lesion, [of_run[lesion] for of_run in measured], args)


def _summarise(
    lesion: int, measured: list[dict[str, list[dict]]], args: argparse.Namespace
) -> None:
    """Print and write what was measured of one class of lesions, by run and network."""
    result = {}
    for name in measured[0]:
        rows = [row for of_run in measured for row in of_run[name]]
        counts = kinds(rows)
        table = curve(rows)
        print(NAMES[lesion], name, counts)
        for row in table:
            print(row)
        result[name] = {**counts, "curve": table, "rows": rows}
    if args.mean_with is None:
        result = result["trained"]
    name = f"out_of_bag_{args.modality}{'' if args.mean_with is None else '_mean'}"
    name += "" if lesion == WML else f"_{NAMES[lesion]}"
    print(f"Written to {write_result(name, result)}")


if __name__ == "__main__":
    main()
