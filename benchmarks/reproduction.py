"""The paper's experiment on the simulated cohort, and its tables and figures beside ours.

    python -m benchmarks.reproduction FOLDER --name NAME --cohort training/cohort [--people 147]
        [--folds 10] [--repeats 10] [--steps 3000] [--device cpu]
    python -m benchmarks.reproduction FOLDER --name NAME [--people 147] [--anatomies DIR] ...

With ``--cohort`` the heads are those that ``cohort.py make`` laid on the network's grid, none of
whose people a shipped network saw: the shipped FLAIR networks segment the FLAIRs, new CT networks
learn that by cross-validation, and all is compared on the grid. Without it the whole program runs:
``ctwml-simulate``, ``participant``, ``train``. Either way the result is ``docs/reproduction.md``,
its pictures under ``docs/images``, and numbers under ``benchmarks/results``. Each network goes on
where it stopped. NAME says what was run, such as "gpu-whole" or "cpu-reduced"; the page says of
another size than the paper's that it is one. The same command once more, at the same time, shares
the networks of ``--cohort`` with the first. ``--page-only`` writes the page again.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks.record import RESULTS, machine, named, write_result
from benchmarks.reproduction_page import draw, numbers, page
from ctwml_bids import __version__
from ctwml_bids.bids import names
from ctwml_bids.errors import TemporaryError
from ctwml_bids.group.summary import read_units
from ctwml_bids.modality import CT
from ctwml_bids.run.locks import hold
from ctwml_bids.segmentation import ensemble, model_store
from ctwml_bids.statistics import fazekas
from ctwml_bids.statistics.folds import Split, check_lesions, stratified_splits
from ctwml_bids.statistics.overlap import dice
from ctwml_bids.training.cross_validation import run_unit
from ctwml_bids.training.mapped_heads import facts_of, open_mapped, save_mapped
from ctwml_bids.training.patches import TrainingVolume
from ctwml_bids.training.recipe import THRESHOLDS, Recipe, TrainingConfig, TrainingUnit
from ctwml_bids.training.units import mean_map, read_done
from model_making import shipped_heads

ROOT = Path(__file__).resolve().parents[1]
SEED = 2020  # of the cohort, as in cohort.py; and of the splits and the networks


def label_heads(args: argparse.Namespace) -> dict[str, dict]:
    """Lay the CTs with what the FLAIR networks found as their labels; facts by person."""
    model = ensemble.load(model_store.default("flair"))
    cts = {v.name.removesuffix("_ct"): v for v, _ in shipped_heads.load_heads(args.cohort, "ct")}
    known = {}
    # The second time round, what another process is at is waited for.
    for wait_s in (0, 600):
        for volume, facts in shipped_heads.load_heads(args.cohort, "flair")[: args.people]:
            person = volume.name.removesuffix("_flair")
            name = f"{person}_used"
            if person not in cts or person in known:
                continue
            try:
                with hold(args.folder / "locks" / person, wait_s=wait_s):
                    if facts_of(args.folder / "heads", name) is None:
                        label_head(args, name, cts[person], (volume, facts), model)
                        print(f"{person}: FLAIR segmented", flush=True)
                known[person] = facts_of(args.folder / "heads", name)
            except TemporaryError:
                if wait_s:
                    raise
    return {person: known[person] for person in sorted(known)}


def label_head(
    args: argparse.Namespace,
    name: str,
    ct: TrainingVolume,
    flair: tuple[TrainingVolume, dict],
    model: ensemble.Ensemble,
) -> None:
    """Lay one CT with what the FLAIR networks found as its labels."""
    volume, facts = flair
    channels = np.asarray(volume.channels, dtype=np.float32)
    found = ensemble.predict(
        model,
        channels,
        white_matter=shipped_heads.white_matter(),
        device=args.device,
        threads=args.threads,
    )
    mask = found.probability > model.card.threshold
    truth = np.asarray(volume.labels) > 0
    about = {
        "masks": ["used"],
        "age": facts["age"],
        "female": facts["sex"] == "F",
        "group": int(fazekas.group_of_grade([facts["fazekas"]])[0]),
        "voxel_ml": facts["grid_voxel_ml"],
        "truth_ml": float(truth.sum()) * facts["grid_voxel_ml"],
        "flair_dice": dice(mask, truth) if truth.any() else None,
        "flair_model": model.card.name,
    }
    save_mapped(args.folder / "heads", name, np.asarray(ct.channels), mask.astype(np.uint8), about)


def train_all(args: argparse.Namespace, people: dict[str, dict]) -> list[Split]:
    """Train the networks of all folds; each goes on where it stopped."""
    splits = stratified_splits(
        {person: about["group"] for person, about in people.items()},
        args.folds,
        args.repeats,
        SEED,
    )
    heads = args.folder / "heads"
    with_lesions = {p for p in people if np.asarray(open_mapped(heads, f"{p}_used").labels).any()}
    check_lesions(splits, with_lesions)
    busy: list[str] = []
    how = recipe(args)
    for unit in how.cross_validation:
        split, folder = splits[unit.repeat - 1], args.folder / "units" / unit.name
        out = [person for person in people if split[person] == unit.fold - 1]
        try:
            with hold(folder / "lock"):
                if read_done(folder) is None:
                    run_unit(
                        unit,
                        how,
                        folder=folder,
                        heads=heads,
                        train_on=[person for person in people if person not in out],
                        left_out=out,
                        keep_network=False,
                        on_log=lambda row, of=unit.name: print(of, json.dumps(row), flush=True),
                    )
        except TemporaryError as error:
            busy.append(f"{unit.name}: {error}")
    if busy:
        raise SystemExit("\n".join(busy))
    return list(splits)


def recipe(args: argparse.Namespace) -> Recipe:
    """Return the paper's: fresh networks, one slice, cross-entropy."""
    return Recipe(
        version=__version__,
        modality="ct",
        labels="flair",
        folds=args.folds,
        repeats=args.repeats,
        members=0,
        template="",
        network=TrainingConfig(
            steps=args.steps,
            batch=args.batch,
            seed=SEED,
            device=args.device,
            threads=args.threads,
        ),
        channels=CT.channels,
        flip=False,
        threshold=THRESHOLDS["ct"],
        workers=args.workers,
    )


def from_cohort(args: argparse.Namespace) -> list[dict]:
    """Train on the heads of the cohort; return a row for each pair."""
    people = label_heads(args)
    check_settings(args, sorted(people))
    splits, rows = train_all(args, people), []
    for person, about in people.items():
        folders = [
            args.folder / "units" / TrainingUnit(repeat, split[person] + 1).name
            for repeat, split in enumerate(splits, start=1)
        ]
        ct = mean_map(folders, person)[0] > THRESHOLDS["ct"]
        flair = np.asarray(open_mapped(args.folder / "heads", f"{person}_used").labels) > 0
        volumes = {
            "ct_ml": ct,
            "flair_ml": flair,
            "true_positive_ml": ct & flair,
            "ct_only_ml": ct & ~flair,
            "flair_only_ml": flair & ~ct,
        }
        row = {name: float(mask.sum()) * about["voxel_ml"] for name, mask in volumes.items()}
        row |= {"ct_own_ml": row["ct_ml"], "flair_own_ml": row["flair_ml"]}
        overlap = dice(ct, flair) if (ct | flair).any() else None
        told = {name: about[name] for name in ("age", "female", "group", "truth_ml", "flair_dice")}
        told["flair_model"] = about.get("flair_model", "an older model")
        rows.append({"unit": person, "dice": overlap, **told, **row})
    return rows


def check_settings(args: argparse.Namespace, people: list[str]) -> None:
    """Refuse to mix networks of two runs in one folder."""
    wanted = ("folds", "repeats", "steps", "batch")
    now = {"people": people, **{name: getattr(args, name) for name in wanted}}
    path = args.folder / "settings.json"
    if path.is_file() and json.loads(path.read_text()) != now:
        raise SystemExit(f"{args.folder} has networks of other settings: name another folder")
    path.write_text(json.dumps(now))


def from_images(args: argparse.Namespace) -> list[dict]:
    """Simulate, measure, train with the program itself; return a row for each pair."""
    bids, out = args.folder / "bids", args.folder / "out"
    base = [sys.executable, "run.py", bids, out]
    simulate = [sys.executable, "-m", "ctwml_bids.cli.simulate", bids, "--seed", SEED]
    simulate += ["--participants", args.people, "--size", args.size]
    simulate += ["--anatomies", args.anatomies] if args.anatomies else []
    if not (bids / "participants.tsv").is_file():
        call(simulate)
    common = ["-w", args.folder / "work", "--device", args.device]
    # 1: some unit failed, which the page counts and `train` leaves out.
    call([*base, "participant", *common], allowed=(0, 1))
    sizes = [f"--{name}={getattr(args, name)}" for name in ("folds", "repeats", "steps", "batch")]
    call([*base, "train", *common, *sizes, "--members=1"])
    return read(args.folder)


def call(command: list[object], allowed: tuple[int, ...] = (0,)) -> None:
    """Run one step, and stop where it fails."""
    code = subprocess.run([str(word) for word in command], cwd=ROOT, check=False).returncode
    if code not in allowed:
        raise SystemExit(f"{' '.join(map(str, command))}: ended with {code}")


def read(folder: Path) -> list[dict]:
    """Return a row for each pair that was trained on."""
    with (folder / "bids/participants.tsv").open() as table:
        people = {row["participant_id"]: row for row in csv.DictReader(table, delimiter="\t")}
    rows = []
    for unit in read_units(folder / "out")[0]:
        if not unit["out_of_fold"]:
            continue
        person, subject = people[unit["participant_id"]], unit["participant_id"]
        truth, found = (
            np.asarray(nib.load(path).dataobj) > 0
            for path in (
                folder / "bids/derivatives/simulation-truth" / subject / "anat"
                f"/{subject}_space-FLAIR_label-WML_mask.nii.gz",
                folder
                / "out"
                / names.wml(subject.removeprefix("sub-"), None, space="FLAIR", seen_in="flair"),
            )
        )
        rows.append(
            {
                "unit": unit["unit"],
                "dice": None if unit["both_empty"] == "true" else unit["dice"],
                **{k: unit[k] for k in ("true_positive_ml", "ct_only_ml", "flair_only_ml")},
                # As the group level compares them: in FLAIR space.
                "ct_ml": unit["ct_in_flair_ml"],
                "flair_ml": unit["flair_wml_ml"],
                "ct_own_ml": unit["ct_wml_ml"],
                "flair_own_ml": unit["flair_wml_ml"],
                "age": float(person["age"]),
                "female": person["sex"] == "F",
                "group": int(fazekas.group_of_grade([int(person["fazekas"])])[0]),
                "truth_ml": float(person["lesion_ml"]),
                "flair_dice": dice(found, truth) if truth.any() else None,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--cohort", type=Path, help="heads that `cohort.py make` made")
    parser.add_argument("--people", type=int, default=147)
    parser.add_argument("--size", choices=("small", "full"), default="full")
    parser.add_argument("--anatomies", type=Path)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="processes that make patches")
    parser.add_argument("--page-only", action="store_true")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where the page goes")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the numbers go")
    args = parser.parse_args()
    args.folder = args.folder.absolute()
    args.folder.mkdir(parents=True, exist_ok=True)
    kept = args.folder / "rows.json"
    if not args.page_only:
        rows = from_cohort(args) if args.cohort else from_images(args)
        kept.write_text(json.dumps(rows))
    rows = json.loads(kept.read_text())
    found = numbers(rows)
    about = {
        "name": args.name,
        "pairs": len(rows),
        **{name: getattr(args, name) for name in ("folds", "repeats", "steps")},
        "how": "Heads of the cohort on the network's grid (`benchmarks/cohort.py make`), FLAIRs "
        f"segmented by {', '.join(sorted({row['flair_model'] for row in rows}))}, measured on it."
        if args.cohort
        else f"Images simulated ({args.size}), then `participant` and `train` of this program.",
        "command": named([word for word in sys.argv if word != "--page-only"]),
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    draw(rows, args.docs / "images")
    (args.docs / "reproduction.md").write_text(page(rows, found, about), encoding="utf-8")
    result = {**found, "rows": rows}
    print(write_result(f"reproduction_{args.name}", result, folder=args.results))


if __name__ == "__main__":
    main()
