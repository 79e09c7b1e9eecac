"""Regions of lesion probability outside the white matter, and what leaving them out costs.

    python -m benchmarks.islands HEADS RUN [RUN ...] --modality {ct,flair} [--model MODEL]
        [--heads 40] [--threshold T] [--device cpu]

Heads in HEADS that some of the RUN folders' networks did not see are segmented by those (three at
most), and regions with less than a share of their probability in the template's white matter are
left out, for several shares: the `island_share` of a model's card is chosen from these
heads alone. With ``--model`` the networks are those of MODEL that were made from the RUNs, in
their order. Writes results/islands_MODALITY.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.out_of_bag import LESIONS_ML, NONE_ML, kinds, networks_of, seen_by
from benchmarks.record import write_result
from ctwml_bids.modality import IMAGES
from ctwml_bids.segmentation import ensemble, islands, model_store
from ctwml_bids.segmentation.classes import WML
from ctwml_bids.statistics.agreement import agreement
from ctwml_bids.statistics.overlap import dice
from model_making import shipped_heads

SHARES = (0.0, 0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5)
SMALL_ML = (0.5, 15.0)
NETWORKS = 3


def networks(args: argparse.Namespace) -> ensemble.Ensemble:
    """Return the network of each run, in their order, leaving nothing out."""
    if args.model is None:
        alone = [networks_of(run, args)["trained"] for run in args.runs]
        return ensemble.Ensemble(alone[0].card, tuple(one.members[0] for one in alone))
    model = ensemble.load(args.model)
    if len(model.members) != len(args.runs):
        raise SystemExit(f"{args.model} has {len(model.members)} networks, not one of each RUN.")
    return replace(model, card=replace(model.card, island_share=None))


def unseen(args: argparse.Namespace) -> Mapping[str, list[int]]:
    """Return the names of simulated heads, each with the runs that did not see it."""
    heads = shipped_heads.load_heads(args.heads_folder, args.modality)
    names = [v.name for v, facts in heads if not {"subject", "texture"} & facts.keys()]
    seen = [seen_by(run, heads) for run in args.runs]
    found = {name: [i for i, s in enumerate(seen) if name not in s] for name in names}
    return dict([(name, runs) for name, runs in found.items() if runs][: args.heads])


def measure(args: argparse.Namespace) -> list[dict]:
    """One row a head: true mL; by share found mL, mL left out, lesion mL among them, and Dice."""
    every, chosen = networks(args), unseen(args)
    white, voxel_ml = shipped_heads.white_matter(), shipped_heads.shipped_grid().voxel_ml
    rows = []
    for volume, facts in shipped_heads.load_heads(args.heads_folder, args.modality):
        if volume.name not in chosen:
            continue
        channels = np.asarray(volume.channels, dtype=np.float32)
        mine = replace(
            every, members=tuple(every.members[i] for i in chosen[volume.name][:NETWORKS])
        )
        probability = ensemble.predict(mine, channels, device=args.device).probability
        whole = probability > args.threshold
        truth, ml = np.asarray(volume.labels) == WML, facts["grid_voxel_ml"]
        row = {
            "head": volume.name,
            "networks": len(mine.members),
            "true_ml": float(truth.sum() * ml),
        }
        columns: dict[str, list[float]] = {
            name: [] for name in ("found_ml", "left_out_ml", "lesion_left_out_ml", "dice")
        }
        for share in SHARES:
            mask = whole & ~islands.outside_white_matter(
                probability, white, share=share, threshold=args.threshold, voxel_ml=voxel_ml
            )
            columns["found_ml"].append(float(mask.sum() * ml))
            columns["left_out_ml"].append(float((whole & ~mask).sum() * ml))
            columns["lesion_left_out_ml"].append(float((whole & ~mask & truth).sum() * ml))
            columns["dice"].append(dice(mask, truth))
        rows.append(row | columns)
        print(row, flush=True)
    return rows


def summary(rows: list[dict]) -> list[dict]:
    """Over heads, a row a share."""
    true = np.array([row["true_ml"] for row in rows])
    small = (true > SMALL_ML[0]) & (true < SMALL_ML[1])
    table = []
    for index, share in enumerate(SHARES):
        found, left_out, lost, scores = (
            np.array([row[name][index] for row in rows])
            for name in ("found_ml", "left_out_ml", "lesion_left_out_ml", "dice")
        )
        volumes = agreement(found, true)
        table.append(
            {
                "share": share,
                "dice": round(float(scores[true > LESIONS_ML].mean()), 3),
                "dice_small": round(float(scores[small].mean()), 3),
                "r": round(volumes.pearson.value, 4),
                "bias_ml": round(volumes.bias.value, 2),
                "lesion_free_median_ml": round(float(np.median(found[true < NONE_ML])), 2),
                "left_out_ml": round(float(left_out.sum()), 1),
                "lesion_left_out_ml": round(float(lost.sum()), 1),
            }
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("heads_folder", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--modality", choices=IMAGES, required=True)
    parser.add_argument("--model", type=Path, help="made from the runs")
    parser.add_argument("--heads", type=int, default=40)
    parser.add_argument("--threshold", type=float, help="default: the shipped model's")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for a GPU")
    args = parser.parse_args()
    card = model_store.load_card(args.model or model_store.default(args.modality))
    args.threshold = args.threshold or card.threshold
    # What `networks_of` asks for.
    args.no_flip, args.mean_with, args.island_share = not card.flip, None, None
    rows = measure(args)
    result = {
        "threshold": args.threshold,
        **kinds(rows),
        "shares": summary(rows),
        "rows": rows,
    }
    for row in result["shares"]:
        print(row)
    print(f"Written to {write_result(f'islands_{args.modality}', result)}")


if __name__ == "__main__":
    main()
