"""A CT model on the same people scanned in other ways: slices, noise, a misplaced mask.

    python -m benchmarks.robustness FOLDER --anatomies DIR [--people 24] [--ct MODEL] [--part 0/1]
        [--device cpu]

Every sixth person of the cohort of 147 (``benchmarks/cohort.py``) is scanned again: slices of 1,
2.5, 5, 8 and 10 mm; and 5 mm with twice the noise, under a brain mask that lies 5 mm off, exported
with 8 bits through a window, and with wide ventricles. Brain masks are those that the program finds
on the CT. FOLDER keeps heads and probabilities. Writes results/robustness.json: Dice, its loss
against the people's 2.5 mm scans, and volumes, of all and of each person. With ``--part I/N`` every
N-th person is simulated and segmented, and nothing measured.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks.cohort import PIXEL_MM, SEED, anatomies_for_tests, kept_probabilities
from benchmarks.record import write_result
from ctwml_bids import modality
from ctwml_bids.preprocessing.ct_brain import ct_mask
from ctwml_bids.preprocessing.orthonormal import orthonormal
from ctwml_bids.segmentation import ensemble, model_store
from ctwml_bids.segmentation.classes import WML
from ctwml_bids.simulation.pair import simulate_pair
from ctwml_bids.simulation.plan import Participant, plan_cohort
from ctwml_bids.statistics.agreement import agreement
from ctwml_bids.statistics.overlap import dice
from ctwml_bids.training.patches import TrainingVolume
from model_making import shipped_heads

EVERY = 6
LESIONS_ML = 1.0


@dataclass(frozen=True)
class Scan:
    """How a person is scanned.

    Attributes
    ----------
    slices_mm, noise, mask_off_mm
        Thickness of slices; factor of the noise; how far the brain mask is off.
    window
        Ends in HU of the window of an export with 8 bits; None: a whole CT.
    ventricles_ml
        Volume of the lateral ventricles; None: as age makes them.
    """

    slices_mm: float
    noise: float = 1.0
    mask_off_mm: float = 0.0
    window: tuple[float, float] | None = None
    ventricles_ml: float | None = None


SCANS = {
    "slices-1": Scan(1.0),
    "slices-2.5": Scan(2.5),
    "slices-5": Scan(5.0),
    "slices-5_noise-2": Scan(5.0, noise=2.0),
    "slices-5_mask-5": Scan(5.0, mask_off_mm=5.0),
    "slices-8": Scan(8.0),
    "slices-10": Scan(10.0),
    "slices-5_window": Scan(5.0, window=(0.0, 80.0)),
    "slices-5_ventricles-150": Scan(5.0, ventricles_ml=150.0),
}
REFERENCE = "slices-2.5"


def make(folder: Path, people: list[Participant], anatomies: list[Path]) -> None:
    """Scan people in all ways; goes on where it stopped."""
    grid = shipped_heads.shipped_grid()
    for person in people:
        for name, scan in SCANS.items():
            head = f"sub-{person.label}_scan-{name}_ct"
            if (folder / f"{head}_image.npy").is_file():
                continue
            pair = simulate_pair(
                person.seed,
                rated_as=person.grades,
                age=person.age,
                sex=person.sex,
                modality="ct",
                ct_spacing=(PIXEL_MM, PIXEL_MM, scan.slices_mm),
                ct_noise=scan.noise,
                ct_window=scan.window,
                ventricles_ml=scan.ventricles_ml,
                anatomies=anatomies,
                individual_share=1.0,
            )
            # One pose error and one direction for all scans of a person.
            rng = np.random.default_rng([person.seed, 96])
            on_grid = shipped_heads.on_grid(
                rng,
                pair.ct,
                pair.ct_truth.lesion_fraction,
                pair.ct_truth.brain,
                pair.template_to_ct,
                grid,
                "ct",
                _mask(rng, pair.ct, scan.mask_off_mm),
            )
            channels, labels = shipped_heads.training_arrays(rng, on_grid, grid, "ct")
            facts = dict(pair.facts) | {"grid_voxel_ml": on_grid.voxel_ml, "scan": name}
            shipped_heads.save_head(folder, head, channels, labels, facts)
        print(f"sub-{person.label} done", flush=True)


def _mask(rng: np.random.Generator, image: nib.Nifti1Image, off_mm: float) -> nib.Nifti1Image:
    """Find the brain, and move the mask in a random direction."""
    mask = ct_mask(orthonormal(image, modality.CT.fill)).mask
    direction = rng.normal(size=3)
    shift = np.eye(4)
    shift[:3, 3] = off_mm * direction / np.linalg.norm(direction)
    return nib.Nifti1Image(np.asarray(mask.dataobj), shift @ mask.affine)


def heads_of(folder: Path, people: list[Participant]) -> list[tuple[TrainingVolume, dict]]:
    """Scans of people, with their facts."""
    labels = {f"sub-{person.label}" for person in people}
    heads = shipped_heads.load_heads(folder, "ct")
    return [head for head in heads if head[0].name.split("_")[0] in labels]


def measure(folder: Path, people: list[Participant], model: ensemble.Ensemble, device: str) -> dict:
    """Dice and volumes by scan, and of every person."""
    rows: dict[str, dict] = {name: {} for name in SCANS}
    for volume, facts in heads_of(folder, people):
        probability = kept_probabilities(folder, volume, model, device)[0]
        found = probability > np.float16(model.card.threshold)
        truth, ml = np.asarray(volume.labels) == WML, facts["grid_voxel_ml"]
        row = (truth.sum() * ml, found.sum() * ml, dice(found, truth))
        rows[facts["scan"]][volume.name.split("_")[0]] = row
    table = {}
    for name, values in rows.items():
        true, ml, scores = np.array(list(values.values())).T
        volumes = agreement(ml, true)
        table[name] = {
            "people": len(true),
            "dice": round(float(scores[true > LESIONS_ML].mean()), 3),
            "r": round(volumes.pearson.value, 3),
            "slope": round(volumes.slope.value, 3),
            "bias_ml": round(volumes.bias.value, 2),
            "by_person": {
                person: {
                    "true_ml": round(float(row[0]), 3),
                    "found_ml": round(float(row[1]), 3),
                    "dice": round(float(row[2]), 3),
                }
                for person, row in values.items()
            },
        }
    for row in table.values():
        row["dice_loss"] = round(table[REFERENCE]["dice"] - row["dice"], 3)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--anatomies", type=Path, required=True)
    parser.add_argument("--people", type=int, default=24)
    parser.add_argument("--ct", type=Path, default=model_store.default("ct"))
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for a GPU")
    parser.add_argument("--part", help="I/N: simulate every N-th person from the I-th, no more")
    args = parser.parse_args()
    people = plan_cohort(147, SEED)[::EVERY][: args.people]
    first, count = (int(number) for number in (args.part or "0/1").split("/"))
    model = ensemble.load(args.ct)
    make(args.folder, people[first::count], anatomies_for_tests(args.anatomies))
    for volume, _ in heads_of(args.folder, people[first::count]):
        kept_probabilities(args.folder, volume, model, args.device)
    if args.part is None:
        table = measure(args.folder, people, model, args.device)
        for name, row in table.items():
            print(name, {key: value for key, value in row.items() if key != "by_person"})
        result = {"model": model.card.name, "checksum": model.card.checksum, "scans": table}
        print(f"Written to {write_result('robustness', result)}")


if __name__ == "__main__":
    main()
