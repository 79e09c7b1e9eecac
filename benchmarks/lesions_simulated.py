"""Accuracy of a lesion model on simulated heads that no training saw.

    python -m benchmarks.lesions_simulated [--heads 18] [--model FOLDER]
        [--device cpu] {ct,flair}

Heads of held-out seeds are simulated (and kept in ``training/held-out``), laid on the network's
grid in an inexact pose and with an inexact brain mask, and segmented. Reported: Dice and volumes
per head, the Pearson correlation of volumes, and what is marked in lesion-free heads. The table
goes to ``benchmarks/results``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.record import write_result
from ctwml_bids.modality import IMAGES
from ctwml_bids.segmentation import ensemble, model_store
from ctwml_bids.segmentation.classes import WML
from model_making import shipped_heads
from model_making.simulated_heads import make_heads
from model_making.train_shipped import HELD_OUT_FROM

# A hundred past the first held-out seed: earlier ones were looked at while the simulation changed.
FIRST_SEED = HELD_OUT_FROM + 100


def measure(model: ensemble.Ensemble, folder: Path, device: str) -> list[dict]:
    """One row per head: true and found mL, Dice, Fazekas grade, age."""
    rows = []
    for volume, facts in shipped_heads.load_heads(folder, model.card.modality):
        channels = np.asarray(volume.channels, dtype=np.float32)
        said = ensemble.predict(
            model, channels, white_matter=shipped_heads.white_matter(), device=device
        )
        found, _ = ensemble.masks(model.card, said)
        wanted = np.asarray(volume.labels) == WML
        both, ml = (found & wanted).sum(), facts["grid_voxel_ml"]
        total = found.sum() + wanted.sum()
        rows.append(
            {
                "head": volume.name,
                "fazekas": facts.get("fazekas"),
                "age": facts.get("age"),
                "true_ml": float(wanted.sum() * ml),
                "found_ml": float(found.sum() * ml),
                "dice": float(2 * both / total) if total else None,
            }
        )
    return rows


def summarise(rows: list[dict]) -> dict:
    """Means over heads, by amount of lesion."""
    true = np.array([row["true_ml"] for row in rows])
    found = np.array([row["found_ml"] for row in rows])
    dice = np.array([np.nan if row["dice"] is None else row["dice"] for row in rows])
    summary = {"heads": len(rows)}
    for label, chosen in (
        ("0.5-5 mL", (true >= 0.5) & (true < 5)),
        ("5-20 mL", (true >= 5) & (true < 20)),
        ("over 20 mL", true >= 20),
        ("all with lesions", true >= 0.5),
    ):
        if chosen.any():
            summary[f"dice, {label}"] = float(np.nanmean(dice[chosen]))
            summary[f"heads, {label}"] = int(chosen.sum())
    if (true >= 0.5).sum() > 2:
        summary["volume r"] = float(np.corrcoef(true, found)[0, 1])
        summary["volume slope"] = float(np.polyfit(true, found, 1)[0])
    normal = true < 0.05
    if normal.any():
        summary["heads, lesion-free"] = int(normal.sum())
        summary["found mL in lesion-free, median"] = float(np.median(found[normal]))
        summary["found mL in lesion-free, largest"] = float(found[normal].max())
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modality", choices=IMAGES)
    parser.add_argument("--heads", type=int, default=18)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for a GPU")
    parser.add_argument("--folder", type=Path, default=Path("training/held-out"))
    args = parser.parse_args()
    make_heads(args.folder, range(FIRST_SEED, FIRST_SEED + args.heads))
    model = ensemble.load(args.model or model_store.default(args.modality))
    rows = measure(model, args.folder, args.device)
    summary = summarise(rows)
    result = {"model": model.card.name, "checksum": model.card.checksum, **summary}
    write_result(f"lesions_simulated_{model.card.name}", {"summary": result, "heads": rows})
    print(f"| {model.card.name} on held-out simulated heads | |\n|---|---|")
    for name, value in summary.items():
        print(f"| {name} | {value if isinstance(value, int) else round(value, 3)} |")


if __name__ == "__main__":
    main()
