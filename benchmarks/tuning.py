"""The thresholds of a shipped model, chosen on heads that none of its networks saw.

    python -m benchmarks.tuning HEADS --model MODEL [--threshold THRESHOLD] [--device cpu]

HEADS is a folder of simulated heads of the training anatomies whose seeds no network was trained on
(``model_making.train_shipped heads ... --infarcts``); no figure of the docs is measured on them.
The whole ensemble segments them. Dice and volumes are given over thresholds of WML: in all heads,
and in those of ageing kind (slices of 6 mm and more, 11 to 128 mL). Then, at the threshold of the
card or THRESHOLD, over thresholds of infarcts, both masks being exclusive: what decides there is
how much of each is called the other. Probabilities are kept in HEADS. Writes
results/tuning_MODEL.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.cohort import kept_probabilities
from benchmarks.cohort_numbers import infarcts_told_apart
from benchmarks.out_of_bag import curve, kinds
from benchmarks.record import write_result
from ctwml_bids.segmentation import ensemble
from ctwml_bids.segmentation.classes import INFARCT, WML, exclusive_masks
from ctwml_bids.statistics.overlap import dice
from model_making import shipped_heads

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(2, 18))
AGEING_ML, AGEING_MM = (11.0, 128.0), 6.0


def segmented(folder: Path, model: ensemble.Ensemble, device: str) -> dict[str, dict]:
    """Return probabilities, truths and facts of every head, by its name."""
    found = {}
    for volume, facts in shipped_heads.load_heads(folder, model.card.modality):
        labels = np.asarray(volume.labels)
        found[volume.name] = {
            "probabilities": kept_probabilities(folder, volume, model, device),
            "truth": labels == WML,
            "infarct_truth": labels == INFARCT,
            "facts": facts,
        }
    return found


def wml_curve(heads: dict[str, dict]) -> dict:
    """Dice and volumes over thresholds of WML, without regard to infarcts."""
    rows = []
    for name, head in heads.items():
        ml = head["facts"]["grid_voxel_ml"]
        masks = [head["probabilities"][0] > np.float16(threshold) for threshold in THRESHOLDS]
        rows.append(
            {
                "head": name,
                "true_ml": float(head["truth"].sum() * ml),
                "found_ml": [float(mask.sum() * ml) for mask in masks],
                "dice": [dice(mask, head["truth"]) for mask in masks],
            }
        )
    return {**kinds(rows), "curve": curve(rows, THRESHOLDS)}


def infarct_curve(heads: dict[str, dict], threshold: float) -> list[dict]:
    """Return how well both classes are told apart, a row a threshold of infarcts."""
    table = []
    for infarct_threshold in THRESHOLDS:
        for head in heads.values():
            wml, infarct = head["probabilities"]
            head["mask"], head["infarct_mask"] = exclusive_masks(
                wml, np.float16(threshold), infarct, np.float16(infarct_threshold)
            )
        table.append({"threshold": infarct_threshold} | infarcts_told_apart(heads))
    return table


def of_ageing_kind(heads: dict[str, dict], modality: str) -> dict[str, dict]:
    """Choose the heads with confluent lesions and thick slices, infarcts left aside."""
    chosen = {}
    for name, head in heads.items():
        ml = head["truth"].sum() * head["facts"]["grid_voxel_ml"]
        thick = head["facts"][modality]["slice_thickness_mm"] >= AGEING_MM
        if thick and AGEING_ML[0] <= ml <= AGEING_ML[1] and not head["infarct_truth"].any():
            chosen[name] = head
    return chosen


def _print(title: str, table: Sequence[dict]) -> None:
    print(title)
    for row in table:
        print(" ", row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("heads", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--threshold", type=float, help="of WML, beside infarcts")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for a GPU")
    args = parser.parse_args()
    model = ensemble.load(args.model)
    heads = segmented(args.heads, model, args.device)
    groups = {
        "no infarcts": {n: h for n, h in heads.items() if not h["infarct_truth"].any()},
        "ageing kind": of_ageing_kind(heads, model.card.modality),
    }
    result: dict = {name: wml_curve(part) for name, part in groups.items() if part}
    for name, part in result.items():
        _print(f"{name}: {part['heads']} heads", part["curve"])
    if model.card.has_infarcts:
        threshold = args.threshold or model.card.threshold
        table = infarct_curve(heads, threshold)
        _print(f"infarcts, WML at {threshold}", table)
        result["infarcts"] = {"wml_threshold": threshold, "curve": table}
    print(f"Written to {write_result(f'tuning_{model.card.name}', result)}")


if __name__ == "__main__":
    main()
