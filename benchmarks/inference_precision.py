"""Inference in bfloat16 against float32: are the masks the same, and how fast is each?

    python -m benchmarks.inference_precision [--model FOLDER] [--threads 1] {ct,flair}

Runs on the held-out simulated heads that ``lesions_simulated.py`` made. The table goes to
``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.record import write_result
from ctwml_bids.modality import IMAGES
from ctwml_bids.segmentation import ensemble, model_store
from ctwml_bids.segmentation.precision import has_bfloat16
from model_making import shipped_heads


def compare(model: ensemble.Ensemble, folder: Path, threads: int, heads: int) -> list[dict]:
    """One row per head: Dice of the two masks, largest difference, slices and seconds."""
    rows = []
    for volume, _ in shipped_heads.load_heads(folder, model.card.modality)[:heads]:
        channels = np.asarray(volume.channels, dtype=np.float32)
        maps, seconds = {}, {}
        for precision in ("float32", "bfloat16"):
            start = time.perf_counter()
            prediction = ensemble.predict(
                model,
                channels,
                white_matter=shipped_heads.white_matter(),
                threads=threads,
                precision=precision,
            )
            seconds[precision] = time.perf_counter() - start
            maps[precision] = prediction.probability
        masks = [array > model.card.threshold for array in maps.values()]
        total = masks[0].sum() + masks[1].sum()
        rows.append(
            {
                "head": volume.name,
                "voxels": int(masks[0].sum()),
                "dice": float(2 * (masks[0] & masks[1]).sum() / total) if total else None,
                "largest_difference": float(np.abs(maps["float32"] - maps["bfloat16"]).max()),
                "slices": int((channels > -3).any((0, 1, 2)).sum()),
                **{f"seconds_{name}": value for name, value in seconds.items()},
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modality", choices=IMAGES)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--folder", type=Path, default=Path("training/held-out"))
    args = parser.parse_args()
    model = ensemble.load(args.model or model_store.default(args.modality))
    rows = compare(model, args.folder, args.threads, args.heads)
    # Below half a mL a single voxel moves Dice by percents; such heads are listed, not averaged.
    large = [row["dice"] for row in rows if row["voxels"] >= 170]
    slices = sum(row["slices"] for row in rows) * len(model.members)
    summary = {
        "model": model.card.name,
        "heads": len(rows),
        "heads over 0.5 mL": len(large),
        "smallest Dice, over 0.5 mL": min(large, default=None),
        "mean Dice, over 0.5 mL": float(np.mean(large)) if large else None,
        "bfloat16 in hardware": has_bfloat16(),
        "threads": args.threads,
        **{
            f"slices per second and network, {name}": slices
            / sum(row[f"seconds_{name}"] for row in rows)
            for name in ("float32", "bfloat16")
        },
    }
    write_result(f"inference_precision_{model.card.name}", {"summary": summary, "heads": rows})
    print("| bfloat16 against float32 | |\n|---|---|")
    for name, value in summary.items():
        print(f"| {name} | {round(value, 4) if isinstance(value, float) else value} |")


if __name__ == "__main__":
    main()
