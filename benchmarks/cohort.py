"""The paper's tables on a simulated cohort of 147 whose heads no lesion network saw.

    python -m benchmarks.cohort make FOLDER --anatomies DIR [--participants 147] [--part 0/1]
        [--seed 2020] [--infarcts FILE]
    python -m benchmarks.cohort segment FOLDER [--ct MODEL] [--flair MODEL] [--part 0/1]
        [--device cpu]
    python -m benchmarks.cohort measure FOLDER [--ct MODEL] [--flair MODEL] [--name NAME]
        [--device cpu]

``make`` simulates the cohort and lays each head on the network's grid as the program would: brain
masks found on the images, the CT under the FLAIR's mask carried over, poses a little wrong. DIR
holds the anatomies of six people whom no network saw (``model_making.make_anatomies`` and
``label_anatomies`` with ``--for-tests``), FILE shapes of infarcts that no network saw
(``model_making.infarct_shapes --for-tests``): with it 40% of the people have infarcts.
Files in FOLDER are kept, probabilities too, and each step goes on where it stopped; ``--part I/N``
does every N-th head. ``measure`` segments what is not segmented yet, and reports volumes, Dice and
Fazekas groups of CT and FLAIR beside their ceilings: the Dice of a second simulated outline, groups
from the true volumes and from a second simulated rater. It writes results/cohort_NAME.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.cohort_numbers import (
    compare,
    curve,
    estimated,
    grouped,
    infarcts_told_apart,
    judged,
    shortfall,
)
from benchmarks.record import write_result
from ctwml_bids.preprocessing.grids import Grid
from ctwml_bids.segmentation import ensemble, model_store
from ctwml_bids.segmentation.classes import INFARCT, WML, exclusive_masks
from ctwml_bids.segmentation.precision import choose
from ctwml_bids.simulation.individual import anatomy_files
from ctwml_bids.simulation.pair import SimulatedPair, simulate_pair
from ctwml_bids.simulation.plan import Participant, plan_cohort
from ctwml_bids.statistics import fazekas
from ctwml_bids.statistics.overlap import dice
from ctwml_bids.training.patches import TrainingVolume
from model_making import shipped_heads
from model_making.train_shipped import TEST_ANATOMIES

SEED = 2020  # of the cohort; frozen
# Slices of the CTs in mm (the paper's 1 to 5, but for the costly 1), and the pixel: finer ones than
# the network's grid can use take time and change nothing.
SLICES_MM, PIXEL_MM = (1.5, 2.5, 3.0, 4.0, 5.0, 5.0), 0.7
INFARCT_SHARE = 0.4  # of the people in a cohort with infarcts


def anatomies_for_tests(folder: Path) -> list[Path]:
    """Return the files of the people whom no network saw."""
    files = [path for path in anatomy_files(folder) if path.stem in TEST_ANATOMIES]
    if len(files) != len(TEST_ANATOMIES):
        raise SystemExit(f"{folder} lacks one of {', '.join(TEST_ANATOMIES)}")
    return files


def make(
    folder: Path,
    anatomies: Path,
    participants: int,
    part: tuple[int, int],
    seed: int = SEED,
    infarcts: Path | None = None,
) -> None:
    """Simulate a part of the cohort onto the network's grid; goes on where it stopped."""
    files = anatomies_for_tests(anatomies)
    grid = shipped_heads.shipped_grid()
    for person in plan_cohort(participants, seed)[part[0] :: part[1]]:
        last = folder / f"sub-{person.label}_flair_facts.json"
        if not (folder / f"sub-{person.label}_flair_image.npy").is_file():
            _make_one(folder, person, files, grid, infarcts)
            print(f"sub-{person.label} done", flush=True)
        elif json.loads(last.read_text())["seed"] != person.seed:
            raise SystemExit(f"{last} is of another cohort: choose another folder.")


def _make_one(
    folder: Path, person: Participant, anatomies: list[Path], grid: Grid, infarcts: Path | None
) -> None:
    rng = np.random.default_rng([person.seed, 98])
    pair = simulate_pair(
        person.seed,
        rated_as=person.grades,
        age=person.age,
        sex=person.sex,
        sagittal=person.sagittal,
        ct_spacing=(PIXEL_MM, PIXEL_MM, float(rng.choice(SLICES_MM))),
        anatomies=anatomies,
        individual_share=1.0,
        infarcts=infarcts,
        infarct_share=INFARCT_SHARE,
    )
    lay_pair(folder, person.label, pair, person.seed, rng, grid)


def lay_pair(
    folder: Path, label: str, pair: SimulatedPair, seed: int, rng: np.random.Generator, grid: Grid
) -> None:
    """Lay both images of a pair on the network's grid, as the program would, and keep them."""

    def error() -> np.random.Generator:
        # The same draw for both: CT and FLAIR of a pair share one frame.
        return np.random.default_rng([seed, 97])

    masks = shipped_heads.found_masks(pair)
    on_ct = masks.get(shipped_heads.CT_CARRIED, masks.get(shipped_heads.CT_OWN))
    on_flair = masks.get(shipped_heads.FLAIR_OWN)
    images = {
        "ct": (pair.ct, pair.ct_truth, pair.template_to_ct, on_ct),
        "flair": (pair.flair, pair.flair_truth, pair.template_to_flair, on_flair),
    }
    for modality, (image, truth, transform, found) in images.items():
        where = (truth.brain, transform, grid, modality)
        head = shipped_heads.on_grid(
            error(), image, truth.lesion_fraction, *where, found, truth.infarct_fraction
        )
        channels, labels = shipped_heads.training_arrays(rng, head, grid, modality)
        facts = dict(pair.facts) | {"grid_voxel_ml": head.voxel_ml}
        if truth.second_rater is not None:
            again = shipped_heads.on_grid(error(), image, truth.second_rater, *where).lesions
            facts["second_outline_dice"] = dice(labels == WML, again >= 0.5)
        shipped_heads.save_head(folder, f"sub-{label}_{modality}", channels, labels, facts)


def kept_probabilities(
    folder: Path, volume: TrainingVolume, model: ensemble.Ensemble, device: str = "cpu"
) -> np.ndarray:
    """Probability of each lesion class in a head, (class, x, y, z) float16; kept in FOLDER."""
    number = str(choose("auto", device)).removeprefix("torch.")
    path = folder / f"{volume.name}_probabilities-{model.card.checksum[:8]}-{number}.npy"
    if not path.is_file():
        channels = np.asarray(volume.channels, dtype=np.float32)
        said = ensemble.predict(
            model, channels, white_matter=shipped_heads.white_matter(), device=device
        )
        infarct = () if said.infarct is None else (said.infarct.probability,)
        unfinished = path.with_suffix(".tmp.npy")
        np.save(unfinished, np.stack([said.probability, *infarct]).astype(np.float16))
        unfinished.replace(path)
    return np.load(path, mmap_mode="r")


def segment(
    folder: Path, model: ensemble.Ensemble, device: str, part: tuple[int, int] = (0, 1)
) -> dict[str, dict]:
    """Segment the heads of the model's modality; probability, mask, truth and facts by person."""
    found = {}
    heads = shipped_heads.load_heads(folder, model.card.modality)
    for volume, facts in heads[part[0] :: part[1]]:
        probability, *infarct = kept_probabilities(folder, volume, model, device)
        mask, infarct_mask = exclusive_masks(
            probability,
            np.float16(model.card.threshold),
            infarct[0] if infarct else None,
            model.card.infarct_threshold,
        )
        found[volume.name.split("_")[0]] = {
            "probability": probability,
            "mask": mask,
            "infarct_mask": infarct_mask,
            "truth": np.asarray(volume.labels) == WML,
            "infarct_truth": np.asarray(volume.labels) == INFARCT,
            "facts": facts,
        }
    return found


def measure(folder: Path, ct_model: Path, flair_model: Path, device: str) -> dict:
    models = {"ct": ensemble.load(ct_model), "flair": ensemble.load(flair_model)}
    found = {name: segment(folder, model, device) for name, model in models.items()}
    people = sorted(found["ct"].keys() & found["flair"].keys())
    found = {name: {p: heads[p] for p in people} for name, heads in found.items()}
    facts = [found["ct"][p]["facts"] for p in people]
    groups = fazekas.group_of_grade([f["fazekas"] for f in facts])
    second = fazekas.group_of_grade([f["rating"]["second_rater"]["fazekas"] for f in facts])
    ml, summed, true_ml, scores = {}, {}, {}, {}
    for name, heads in found.items():
        voxel = np.array([heads[p]["facts"]["grid_voxel_ml"] for p in people])
        ml[name] = voxel * [heads[p]["mask"].sum() for p in people]
        summed[name] = voxel * [heads[p]["probability"].sum(dtype=float) for p in people]
        true_ml[name] = voxel * [heads[p]["truth"].sum() for p in people]
        scores[name] = np.array([dice(heads[p]["mask"], heads[p]["truth"]) for p in people])
    # Both images of a pair lie in one frame: CT against the FLAIR's own segmentation.
    pair = np.array([dice(found["ct"][p]["mask"], found["flair"][p]["mask"]) for p in people])
    ceiling = {
        name: np.array([heads[p]["facts"]["second_outline_dice"] for p in people])
        for name, heads in found.items()
    }
    return {
        "people": len(people),
        "precision": str(choose("auto", device)).removeprefix("torch."),
        "models": {name: [m.card.name, m.card.checksum] for name, m in models.items()},
        "volumes": {
            "CT against truth": compare(ml["ct"], true_ml["ct"], groups),
            "CT against FLAIR": compare(ml["ct"], ml["flair"], groups),
            "FLAIR against truth": compare(ml["flair"], true_ml["flair"], groups),
        },
        "dice": {
            "CT against truth": grouped(scores["ct"], groups),
            "CT against FLAIR": grouped(pair, groups),
            "FLAIR against truth": grouped(scores["flair"], groups),
            "ceiling: second outline, CT grid": grouped(ceiling["ct"], groups),
            "ceiling: second outline, FLAIR grid": grouped(ceiling["flair"], groups),
        },
        "fazekas": {
            "from CT": judged(ml["ct"], groups),
            "from FLAIR": judged(ml["flair"], groups),
            "from the sum of CT's probabilities": judged(summed["ct"], groups),
            "from the sum of FLAIR's probabilities": judged(summed["flair"], groups),
            "ceiling: from true volumes": judged(true_ml["ct"], groups),
            "CT short of the ceiling": shortfall(ml["ct"], true_ml["ct"], groups),
            "FLAIR short of the ceiling": shortfall(ml["flair"], true_ml["flair"], groups),
            # As the paper searched for thresholds.
            "counted plainly": {
                name: round(float((estimated(volumes, groups, 0.0) == groups).mean()), 3)
                for name, volumes in (
                    ("from CT", ml["ct"]),
                    ("from FLAIR", ml["flair"]),
                    ("ceiling: from true volumes", true_ml["ct"]),
                )
            },
            "CT short of the ceiling, counted plainly": shortfall(
                ml["ct"], true_ml["ct"], groups, 0.0
            ),
            "ceiling: second rater": {
                "share_right": round(float((second == groups).mean()), 3),
                "weighted_kappa": round(
                    fazekas.weighted_kappa(fazekas.confusion(groups, second)), 3
                ),
            },
        },
        "infarcts": {name: infarcts_told_apart(heads) for name, heads in found.items()},
        "thresholds": {name: curve(heads, groups) for name, heads in found.items()},
        "heads": [
            {
                "person": p,
                "fazekas": f["fazekas"],
                "true_ml": round(float(t), 2),
                "ct_ml": round(float(c), 2),
                "flair_ml": round(float(m), 2),
                "ct_dice": round(float(d), 3),
                "flair_dice": round(float(e), 3),
                "ct_ceiling": round(float(s), 3),
            }
            for p, f, t, c, m, d, e, s in zip(
                people,
                facts,
                true_ml["ct"],
                ml["ct"],
                ml["flair"],
                scores["ct"],
                scores["flair"],
                ceiling["ct"],
                strict=True,
            )
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    steps = parser.add_subparsers(dest="step", required=True)
    making = steps.add_parser("make")
    making.add_argument("folder", type=Path)
    making.add_argument("--anatomies", type=Path, required=True)
    making.add_argument("--participants", type=int, default=147)
    making.add_argument("--seed", type=int, default=SEED, help="of another cohort than the frozen")
    making.add_argument("--infarcts", type=Path, help="shapes that no network saw")
    making.add_argument("--part", default="0/1", help="I/N: every N-th participant from the I-th")
    segmenting, measuring = steps.add_parser("segment"), steps.add_parser("measure")
    for step in (segmenting, measuring):
        step.add_argument("folder", type=Path)
        step.add_argument("--ct", type=Path, default=model_store.default("ct"))
        step.add_argument("--flair", type=Path, default=model_store.default("flair"))
        step.add_argument("--device", default="cpu", help="cpu, or cuda for a GPU")
    segmenting.add_argument("--part", default="0/1", help="I/N: every N-th head from the I-th")
    measuring.add_argument("--name", default="shipped")
    args = parser.parse_args()
    if args.step != "measure":
        first, count = (int(number) for number in args.part.split("/"))
    if args.step == "make":
        part = (first, count)
        make(args.folder, args.anatomies, args.participants, part, args.seed, args.infarcts)
        return
    if args.step == "segment":
        for model in (args.ct, args.flair):
            segment(args.folder, ensemble.load(model), args.device, (first, count))
        return
    result = measure(args.folder, args.ct, args.flair, args.device)
    for name in ("volumes", "dice", "fazekas"):
        print(name)
        for row, numbers in result[name].items():
            print(f"  {row}: {numbers}")
    print(f"Written to {write_result(f'cohort_{args.name}', result)}")


if __name__ == "__main__":
    main()
