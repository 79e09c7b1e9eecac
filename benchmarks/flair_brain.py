"""FLAIR brain masks against the reference masks of the real data, each subject left out.

    python -m benchmarks.flair_brain --data BIDS_DIR --scratch FOLDER

Subjects that the packaged network was trained on are measured with a network trained without
them (made in the scratch folder unless it is there from an earlier run); the others with the
packaged one. Prints a table and writes results/flair_brain.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks.record import write_result
from ctwml_bids.preprocessing.flair_brain import brain_probability, flair_mask
from ctwml_bids.preprocessing.grids import grid_of
from ctwml_bids.segmentation.brain_network import DEFAULT_FOLDER, predictor
from model_making import train_brain
from model_making.brain_heads import corrected_mask

SUBJECTS = ("sub-ll01", "sub-ll03", "sub-ll04", "sub-ll09", "sub-ll12", "sub-ll20")


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * np.sum(a & b) / (a.sum() + b.sum()))


def network_for(subject: str, args: argparse.Namespace) -> Path:
    if subject not in train_brain.LABELLED:
        return DEFAULT_FOLDER
    folder = args.scratch / f"without_{subject}"
    if not (folder / "card.json").is_file():
        train_brain.main(
            f"--data {args.data} --reference {args.data}/derivatives/reference --out {folder} "
            f"--leave-out {subject} --steps {args.steps}".split()
        )
    return folder


def measure(subject: str, args: argparse.Namespace) -> list[dict]:
    folder = network_for(subject, args)
    predict = predictor(folder)
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    rows = []
    masks = (args.data / "derivatives/reference" / subject).rglob("*_desc-brain_mask.nii.gz")
    for path in sorted(masks):
        stem = path.name.split("_space-")[0]
        image = nib.load(next((args.data / subject).rglob(f"{stem}_FLAIR.nii.gz")))
        reference_image = nib.load(path)
        reference = np.asarray(reference_image.dataobj) > 0
        start = time.perf_counter()
        result = flair_mask(image, predict)
        seconds = time.perf_counter() - start
        mask = np.asarray(result.mask.dataobj) > 0
        redrawn = corrected_mask(image, reference_image)
        rows.append(
            {
                "image": stem,
                "network": "packaged" if folder == DEFAULT_FOLDER else "trained without it",
                "steps": card["training"]["steps"],
                "dice": round(dice(mask, reference), 4),
                "dice_network_alone": round(
                    dice(brain_probability(image, predict) > 0.5, reference), 4
                ),
                "dice_redrawn": round(dice(mask, redrawn), 4),
                "dice_reference_redrawn": round(dice(reference, redrawn), 4),
                "ml": result.facts["brain_ml"],
                "reference_ml": round(float(reference.sum() * grid_of(image).voxel_ml), 1),
                "seconds": round(seconds, 1),
            }
        )
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--subjects", nargs="*", default=SUBJECTS)
    args = parser.parse_args()
    rows = [row for subject in args.subjects for row in measure(subject, args)]
    columns = [key for key in rows[0] if key != "steps"]
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(str(row[key]) for key in columns) + " |")
    values = [row["dice"] for row in rows]
    result = {
        "what": "Dice of FLAIR brain masks against reference masks, each training subject left out",
        "data": "bids-real, sub-ll* with reference brain masks",
        "mean_dice": round(float(np.mean(values)), 4),
        "least_dice": min(values),
        "rows": rows,
    }
    print(f"\nmean {result['mean_dice']}, least {result['least_dice']}, {len(rows)} images")
    write_result("flair_brain", result)


if __name__ == "__main__":
    main()
