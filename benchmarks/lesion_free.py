"""What is marked in heads without lesions: twenty young and twenty old ones, on CT and FLAIR.

    python -m benchmarks.lesion_free FOLDER --anatomies DIR --infarcts FILE [--model MODEL]
        [--part 0/1]

The heads have the six test anatomies (``benchmarks/cohort.py``), neither white matter lesions nor
infarcts (FILE is needed to have none), and are scanned as training heads are: slices of 1.5 to
10 mm, gaps, window exports. FOLDER keeps heads and probabilities; a head that is there is not made
again. With ``--part I/N`` every N-th head is made, and nothing measured. Writes
results/lesion_free_MODEL.json for each MODEL (the shipped ones if none is named).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.cohort import anatomies_for_tests, kept_probabilities, lay_pair
from benchmarks.record import write_result
from ctwml_bids.modality import IMAGES
from ctwml_bids.preprocessing.grids import Grid
from ctwml_bids.segmentation import ensemble, model_store
from ctwml_bids.segmentation.classes import exclusive_masks
from ctwml_bids.simulation.pair import simulate_pair
from model_making import shipped_heads
from model_making.training_people import draw_scans

# Seeds that nothing else has; a group is of 20 heads.
FIRST_SEED, COUNT = 970_000, 20
AGES = {"young": (18.0, 45.0), "old": (65.0, 95.0)}


def make(folder: Path, files: list[Path], infarcts: Path, part: tuple[int, int]) -> None:
    """Simulate a part of the heads onto the network's grid; goes on where it stopped."""
    grid = shipped_heads.shipped_grid()
    wanted = [(group, number) for group in AGES for number in range(COUNT)]
    for group, number in wanted[part[0] :: part[1]]:
        label = f"{group}{number:02d}"
        if not (folder / f"sub-{label}_flair_image.npy").is_file():
            seed = FIRST_SEED + wanted.index((group, number))
            _make_one(folder, label, seed, AGES[group], files, infarcts, grid)
            print(f"sub-{label} done", flush=True)


def _make_one(
    folder: Path,
    label: str,
    seed: int,
    ages: tuple[float, float],
    files: list[Path],
    infarcts: Path,
    grid: Grid,
) -> None:
    rng = np.random.default_rng([seed, 95])
    pair = simulate_pair(
        seed,
        fazekas=0,
        lesion_ml=0.0,
        age=float(rng.uniform(*ages)),
        anatomies=files,
        individual_share=1.0,
        # Without shapes some heads get a plain old infarct.
        infarcts=infarcts,
        infarct="none",
        **draw_scans(rng),
    )
    lay_pair(folder, label, pair, seed, rng, grid)


def measure(folder: Path, model: ensemble.Ensemble) -> dict:
    """Return what is marked (mL) in every head, and median, 90th percentile and most by group."""
    card = model.card
    heads = {}
    for volume, facts in shipped_heads.load_heads(folder, card.modality):
        wml, *infarct = kept_probabilities(folder, volume, model)
        masks = exclusive_masks(
            wml,
            np.float16(card.threshold),
            infarct[0] if infarct else None,
            card.infarct_threshold,
        )
        ml = [0.0 if mask is None else float(mask.sum() * facts["grid_voxel_ml"]) for mask in masks]
        heads[volume.name.split("_")[0]] = {
            "age": facts["age"],
            "slices_mm": round(facts[card.modality]["slice_thickness_mm"], 2),
            "wml_ml": round(ml[0], 2),
            "infarct_ml": round(ml[1], 2),
        }
    groups = {
        group: [row["wml_ml"] for name, row in heads.items() if group in name] for group in AGES
    }
    groups["both"] = [row["wml_ml"] for row in heads.values()]
    return {
        "model": [card.name, card.checksum],
        "groups": {
            group: {
                "heads": len(ml),
                "median_ml": round(float(np.median(ml)), 2),
                "p90_ml": round(float(np.percentile(ml, 90)), 2),
                "most_ml": round(max(ml), 2),
            }
            for group, ml in groups.items()
        },
        "heads": heads,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--anatomies", type=Path, required=True)
    parser.add_argument("--infarcts", type=Path, required=True, help="shapes that no network saw")
    parser.add_argument("--model", type=Path, action="append")
    parser.add_argument("--part", help="I/N: make every N-th head from the I-th, no more")
    args = parser.parse_args()
    first, count = (int(number) for number in (args.part or "0/1").split("/"))
    make(args.folder, anatomies_for_tests(args.anatomies), args.infarcts, (first, count))
    if args.part is not None:
        return
    for path in args.model or [model_store.default(image) for image in IMAGES]:
        model = ensemble.load(path)
        result = measure(args.folder, model)
        print(model.card.name, result["groups"])
        print(f"Written to {write_result(f'lesion_free_{model.card.name}', result)}")


if __name__ == "__main__":
    main()
