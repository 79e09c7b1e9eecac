"""What leaving out fluid of the ventricles does on wide and on ordinary simulated heads.

    python -m benchmarks.wide_ventricles {ct,flair} [--ordinary 12] [--networks N] [--device cpu]

Wide heads have lateral ventricles of 128, 190 and 250 mL; ordinary ones are of the held-out seeds
of ``lesions_simulated.py``. Brain mask, frame and ventricles are found as the program finds them.
Reported, on the image's own grid, with and without the rule: volume, mL of it in true lesions and
in the true ventricles, Dice. Writes results/wide_ventricles_MODALITY.json.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import nibabel as nib
import numpy as np

from benchmarks.lesions_simulated import FIRST_SEED
from benchmarks.record import write_result
from ctwml_bids import templates
from ctwml_bids.modality import IMAGES, MODALITIES
from ctwml_bids.preprocessing.ct_brain import ct_mask
from ctwml_bids.preprocessing.flair_brain import flair_mask
from ctwml_bids.preprocessing.flair_ventricles import flair_ventricles
from ctwml_bids.preprocessing.grids import grid_of
from ctwml_bids.preprocessing.nine_parameters import nine_parameter
from ctwml_bids.preprocessing.normalisation import from_grid, rounded, to_grid
from ctwml_bids.preprocessing.orthonormal import orthonormal
from ctwml_bids.preprocessing.ventricles import ct_ventricles
from ctwml_bids.preprocessing.ventricular_fluid import ventricular_fluid
from ctwml_bids.segmentation import brain_network, ensemble, model_store
from ctwml_bids.segmentation.inputs import network_channels
from ctwml_bids.segmentation.islands import outside_white_matter
from ctwml_bids.simulation.pair import SimulatedPair, simulate_pair
from ctwml_bids.statistics.overlap import dice
from model_making import shipped_heads

FIRST_WIDE_SEED = 910_000
# Volume of the ventricles (mL), Fazekas grade, age.
WIDE = ((128.0, 0, 70.0), (190.0, 2, 72.0), (250.0, 1, 60.0))
CT_SPACING, FLAIR_SPACING = (0.8, 0.8, 3.0), (0.9, 0.9, 4.5)


def measure(pair: SimulatedPair, model: ensemble.Ensemble, device: str) -> dict:
    """Measure one head with the rule and without it."""
    card, is_ct = model.card, model.card.modality == "ct"
    image, truth = (pair.ct, pair.ct_truth) if is_ct else (pair.flair, pair.flair_truth)
    fill, template = MODALITIES[card.modality].fill, templates.packaged()
    array = np.maximum(np.asarray(image.dataobj, dtype=np.float32), fill)
    upright = orthonormal(nib.Nifti1Image(array, image.affine), fill)
    brain = (ct_mask(upright) if is_ct else flair_mask(upright, brain_network.predictor())).mask
    frame = nine_parameter(brain, nib.load(template.brain_mask))
    find = ct_ventricles if is_ct else flair_ventricles
    ventricles = find(upright, brain, frame, nib.load(template.ventricles))
    grid, native = shipped_heads.shipped_grid(), grid_of(upright)
    on_grid = to_grid(upright, frame, grid, fill=fill)
    fluid = ventricular_fluid(on_grid, ventricles, frame, grid, hounsfield=is_ct)
    inside = to_grid(brain, frame, grid, fill=0.0) >= 0.5
    channels = network_channels(on_grid, inside, card.channels)
    every = replace(model, card=replace(card, island_share=None))
    marked = ensemble.predict(every, channels, device=device).probability
    lesions = np.asarray(orthonormal(truth.lesion_fraction, 0.0).dataobj) > 0.5
    true = np.asarray(orthonormal(truth.ventricles, 0.0).dataobj) > 0.5
    found = np.asarray(ventricles.dataobj) > 0
    row = {
        "true_ml": float(lesions.sum() * native.voxel_ml),
        "ventricles_ml": float(true.sum() * native.voxel_ml),
        "ventricles_found_ml": float(found.sum() * native.voxel_ml),
        "ventricle_dice": dice(found, true),
    }
    for rule, probability in (("without", marked), ("with", np.where(fluid, 0, marked))):
        islands = outside_white_matter(
            probability,
            shipped_heads.white_matter(),
            share=card.island_share,
            threshold=card.threshold,
            voxel_ml=grid.voxel_ml,
        )
        back = from_grid(np.where(islands, 0, probability), grid, frame, native)
        mask = rounded(back) > card.threshold
        row[f"found_ml_{rule}"] = float(mask.sum() * native.voxel_ml)
        row[f"dice_{rule}"] = dice(mask, lesions)
        row[f"in_ventricles_ml_{rule}"] = float((mask & true).sum() * native.voxel_ml)
        row[f"true_positive_ml_{rule}"] = float((mask & lesions).sum() * native.voxel_ml)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modality", choices=IMAGES)
    parser.add_argument("--ordinary", type=int, default=12, help="how many ordinary heads")
    parser.add_argument("--networks", type=int, help="of the model, the first; default: all")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for a GPU")
    args = parser.parse_args()
    model = ensemble.load(model_store.default(args.modality))
    model = replace(model, members=model.members[: args.networks])
    scans = {"ct_spacing": CT_SPACING, "flair_spacing": FLAIR_SPACING, "modality": args.modality}
    heads = [
        (FIRST_WIDE_SEED + index, {"fazekas": grade, "age": age, "ventricles_ml": ml})
        for index, (ml, grade, age) in enumerate(WIDE)
    ]
    heads += [
        (seed, {"fazekas": seed % 4}) for seed in range(FIRST_SEED, FIRST_SEED + args.ordinary)
    ]
    rows = []
    for seed, person in heads:
        pair = simulate_pair(seed, **person, **scans)
        rows.append({"seed": seed, **person, **measure(pair, model, args.device)})
        print(rows[-1], flush=True)
    result = {"model": model.card.name, "networks": len(model.members), "heads": rows}
    print(f"Written to {write_result(f'wide_ventricles_{args.modality}', result)}")


if __name__ == "__main__":
    main()
