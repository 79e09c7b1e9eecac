"""Brain masks and ventricles of CT and FLAIR on simulated heads with truth.

    python -m benchmarks.brain_masks [--pairs 12]

Pairs of seeds from 7000 on (no training and no tuning saw them), clinical matrices. The pose of
the template that the ventricles need is found from the found brain mask, as in the program.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

import nibabel as nib
import numpy as np

from benchmarks.record import write_result
from ctwml_bids import templates
from ctwml_bids.preprocessing.ct_brain import ct_mask
from ctwml_bids.preprocessing.flair_brain import flair_mask
from ctwml_bids.preprocessing.flair_ventricles import flair_ventricles
from ctwml_bids.preprocessing.nine_parameters import nine_parameter
from ctwml_bids.preprocessing.orthonormal import orthonormal
from ctwml_bids.preprocessing.ventricles import ct_ventricles
from ctwml_bids.segmentation import brain_network
from ctwml_bids.simulation.pair import simulate_pair
from ctwml_bids.statistics.overlap import dice

FIRST_SEED = 7000


def as_float(image: nib.Nifti1Image, fill: float) -> nib.Nifti1Image:
    array = np.asarray(image.dataobj, dtype=np.float32)
    return orthonormal(nib.Nifti1Image(np.maximum(array, fill), image.affine), fill)


def measure(seed: int, template: templates.Template, predict) -> list[dict]:
    """One row per image of a pair."""
    pair = simulate_pair(seed)
    mask, ventricles = nib.load(template.brain_mask), nib.load(template.ventricles)
    rows = []
    for name, image, truth, extract, find, fill in (
        ("ct", pair.ct, pair.ct_truth, ct_mask, ct_ventricles, -1000.0),
        (
            "flair",
            pair.flair,
            pair.flair_truth,
            lambda image: flair_mask(image, predict),
            flair_ventricles,
            0.0,
        ),
    ):
        upright = as_float(image, fill)
        brain = extract(upright).mask
        true_brain = orthonormal(truth.brain, 0.0)
        true_ventricles = orthonormal(truth.ventricles, 0.0)
        found = find(upright, brain, nine_parameter(brain, mask), ventricles)
        rows.append(
            {
                "seed": seed,
                "image": name,
                "slice_mm": round(float(max(image.header.get_zooms()[:3])), 1),
                "brain_dice": dice(brain.dataobj, np.asarray(true_brain.dataobj) > 0.5),
                "ventricle_dice": dice(found.dataobj, np.asarray(true_ventricles.dataobj) > 0.5),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=12)
    arguments = parser.parse_args()
    template, predict = templates.packaged(), brain_network.predictor()
    rows = []
    for seed in range(FIRST_SEED, FIRST_SEED + arguments.pairs):
        rows += measure(seed, template, predict)
        print(rows[-2:], flush=True)
    print("| image | pairs | brain Dice, mean (lowest) | ventricle Dice, mean (lowest) |")
    print("|---|---|---|---|")
    for name in ("ct", "flair"):
        chosen = [row for row in rows if row["image"] == name]
        brain = [row["brain_dice"] for row in chosen]
        inner = [row["ventricle_dice"] for row in chosen]
        print(
            f"| {name} | {len(chosen)} | {np.mean(brain):.3f} ({min(brain):.3f}) | "
            f"{np.mean(inner):.2f} ({min(inner):.2f}) |"
        )
    print(f"Written to {write_result('brain_masks', rows)}")


if __name__ == "__main__":
    main()
