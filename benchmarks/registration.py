"""CT to FLAIR registration and its gate, on simulated and real pairs.

    python -m benchmarks.registration [--bids-real FOLDER] [--pairs 20] [--reposes 20]
                                      [--parts simulated,reposed,gate]

- simulated: simulated pairs, re-posed by up to 40 mm and 20°; the target error is the distance
  between found and true places of the brain's voxels.
- reposed: the real pair sub-dv01, the CT's header re-posed by known transforms; the spread is the
  distance of each result (carried back) from their mean.
- gate: true pairs against different heads and left–right flips.

Every pair is one line of ``results/registration_pairs.jsonl``; pairs that are there are not
measured again, so the benchmark can be stopped and continued.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine

from benchmarks.record import RESULTS, write_result
from ctwml_bids.preprocessing import registration
from ctwml_bids.preprocessing.grids import grid_of, image_on
from ctwml_bids.preprocessing.nine_parameters import compose
from ctwml_bids.preprocessing.orthonormal import orthonormal
from ctwml_bids.preprocessing.registration_gate import registration_verdict
from ctwml_bids.simulation.pair import simulate_pair

PAIRS = RESULTS / "registration_pairs.jsonl"
SEED = 9000


def load(path: Path, fill: float) -> nib.Nifti1Image:
    image = nib.load(path)
    array = np.asarray(image.dataobj, dtype=np.float32).reshape(image.shape[:3])
    return orthonormal(image_on(array, grid_of(image)), fill)


def flipped(image: nib.Nifti1Image) -> nib.Nifti1Image:
    """The same grid with left and right exchanged."""
    axis = int(np.argmax(np.abs(image.affine[0, :3])))
    return image_on(np.ascontiguousarray(np.flip(np.asarray(image.dataobj), axis)), grid_of(image))


def random_pose(rng, centre: np.ndarray) -> np.ndarray:
    """Up to 20° about each axis and 40 mm off, about a centre."""
    matrix = compose([1, 1, 1], [0, 0, 0], np.deg2rad(rng.uniform(-20, 20, 3)))
    offset = rng.normal(size=3)
    offset *= rng.uniform(0, 40) / np.linalg.norm(offset)
    matrix[:3, 3] = centre + offset - matrix[:3, :3] @ centre
    return matrix


class Ledger:
    """Results of pairs, kept on disk as they come."""

    def __init__(self) -> None:
        RESULTS.mkdir(exist_ok=True)
        lines = PAIRS.read_text().splitlines() if PAIRS.exists() else []
        self.rows = {row["pair"]: row for row in map(json.loads, lines)}

    def measure(self, pair: str, kind: str, flair, ct, score=None) -> dict:
        """Register and judge one pair, unless that was done."""
        if pair not in self.rows:
            began = time.process_time()
            result = registration.rigid(flair, ct)
            verdict, reason = registration_verdict(result.facts)
            row = {"pair": pair, "kind": kind, "verdict": verdict, **result.facts}
            row |= {"matrix": result.flair_to_ct.tolist()}
            row |= {"cpu_seconds": time.process_time() - began}
            row |= score(result.flair_to_ct) if score else {}
            self.rows[pair] = row
            with PAIRS.open("a") as stream:
                stream.write(json.dumps(row) + "\n")
            print(pair, verdict, reason, flush=True)
        return self.rows[pair]

    def of(self, *kinds: str) -> list[dict]:
        return [row for row in self.rows.values() if row["kind"] in kinds]


def simulated(ledger: Ledger, count: int) -> None:
    """Simulated pairs with their target errors, their flips, and exchanged heads."""
    previous = None
    for seed in range(SEED, SEED + count):
        if f"sim{seed}-other" in ledger.rows:
            previous = None
            continue
        if previous is None:
            previous = orthonormal(simulate_pair(seed - 1).ct, -1024.0)
        pair = simulate_pair(seed)
        flair, ct = orthonormal(pair.flair, 0.0), orthonormal(pair.ct, -1024.0)
        brain = pair.flair_truth.brain
        points = apply_affine(brain.affine, np.argwhere(np.asarray(brain.dataobj) > 0)[::50])
        there = apply_affine(pair.flair_to_ct, points)
        pose = random_pose(np.random.default_rng(seed), there.mean(axis=0))
        moved = nib.Nifti1Image(np.asarray(ct.dataobj), pose @ ct.affine)
        wanted = apply_affine(pose, there)

        def score(found, points=points, wanted=wanted) -> dict:
            off = np.linalg.norm(apply_affine(found, points) - wanted, axis=1)
            return {"error_p95_mm": float(np.percentile(off, 95)), "error_mm": float(off.mean())}

        ledger.measure(f"sim{seed}-true", "simulated true", flair, moved, score)
        ledger.measure(f"sim{seed}-flip", "simulated flip", flair, flipped(ct))
        ledger.measure(f"sim{seed}-other", "simulated other head", flair, previous)
        previous = ct


def real_pair(folder: Path) -> tuple[nib.Nifti1Image, nib.Nifti1Image]:
    flair = load(folder / "sub-dv01/anat/sub-dv01_FLAIR.nii.gz", 0.0)
    return flair, load(folder / "sub-dv01/ct/sub-dv01_ct.nii.gz", -1024.0)


def reposed(ledger: Ledger, folder: Path, count: int) -> dict:
    """The real pair from other poses: results carried back, distance (mm) from their mean."""
    flair, ct = real_pair(folder)
    first = np.array(ledger.measure("dv01-true", "real true", flair, ct)["matrix"])
    mask = registration.head_mask(registration.metric_flair(flair, 6.0))
    grid = grid_of(registration.metric_flair(flair, 6.0))
    head = apply_affine(grid.affine, np.argwhere(mask))
    # The brain: an ellipsoid within the head, whose upper part is all brain and skull.
    top = head[:, 2].max()
    head = head[head[:, 2] > top - 130]
    inside = (((head - head.mean(axis=0)) / [65, 80, 60]) ** 2).sum(axis=1) < 1
    points = head[inside]
    centre = apply_affine(first, points.mean(axis=0))
    places = []
    for index in range(count):
        pose = random_pose(np.random.default_rng(index), centre)
        moved = nib.Nifti1Image(np.asarray(ct.dataobj), pose @ ct.affine)
        row = ledger.measure(f"dv01-pose{index}", "real true, re-posed", flair, moved)
        places.append(apply_affine(np.linalg.inv(pose) @ np.array(row["matrix"]), points))
    spread = np.linalg.norm(np.stack(places) - np.mean(places, axis=0), axis=2)
    return {"poses": count, "spread_mm": float(spread.mean()), "largest_mm": float(spread.max())}


def real_gate(ledger: Ledger, folder: Path, limit: int) -> None:
    """The flip of the real pair, and both real CTs with the FLAIRs of other heads."""
    flair, ct = real_pair(folder)
    ledger.measure("dv01-true", "real true", flair, ct)
    ledger.measure("dv01-flip", "real flip", flair, flipped(ct))
    cts = {"dv01": ct, "ge01": load(folder / "sub-ge01/ct/sub-ge01_ct.nii.gz", -1024.0)}
    paths = sorted(folder.glob("sub-*/**/*_FLAIR.nii.gz"))
    # sub-lj* are brain-extracted and in template space: no head to compare.
    paths = [path for path in paths if "sub-lj" not in path.name]
    for path in paths[:limit]:
        flair = load(path, 0.0)
        for name, image in cts.items():
            if f"sub-{name}" not in path.name:
                stem = path.name.removesuffix("_FLAIR.nii.gz").removeprefix("sub-")
                ledger.measure(f"{name}-with-{stem}", "real other head", flair, image)


def area_under_roc(true: list[float], false: list[float]) -> float:
    """Share of (true, false) pairs in the right order; higher values speak for true."""
    wins = [(t > f) + 0.5 * (t == f) for t in true for f in false]
    return float(np.mean(wins)) if wins else float("nan")


def report(ledger: Ledger, spread: dict | None) -> dict:
    """Print tables; return them as data. Verdicts are those of today's thresholds."""
    for row in ledger.rows.values():
        row["verdict"] = registration_verdict(row)[0]
    true = ledger.of("simulated true", "real true", "real true, re-posed")
    kinds = sorted({row["kind"] for row in ledger.rows.values()})
    print("\n| pairs | n | fail | warn | pass | mirror ratio | free scale in plane |")
    print("|---|---|---|---|---|---|---|")
    table = []
    for kind in kinds:
        rows = ledger.of(kind)
        counts = [sum(row["verdict"] == v for row in rows) for v in ("fail", "warn", "pass")]
        ranges = [
            [min(row[key] for row in rows), max(row[key] for row in rows)]
            for key in ("mirror_ratio", "scale_in_plane")
        ]
        table.append({"kind": kind, "n": len(rows), "fail_warn_pass": counts, "ranges": ranges})
        spans = " | ".join(f"{low:.3f} to {high:.3f}" for low, high in ranges)
        print(f"| {kind} | {len(rows)} | {' | '.join(map(str, counts))} | {spans} |")
    false = [row for row in ledger.rows.values() if "true" not in row["kind"]]
    areas = {
        key: area_under_roc([sign * r[key] for r in true], [sign * r[key] for r in false])
        for key, sign in (
            ("mirror_ratio", 1),
            ("scale_in_plane", -1),
            ("nmi_gain", 1),
            ("nmi_after", 1),
            ("nmi_brain", 1),
        )
    }
    print("\n| number | area under the ROC |\n|---|---|")
    print("\n".join(f"| {key} | {area:.3f} |" for key, area in areas.items()))
    errors = [row["error_p95_mm"] for row in ledger.of("simulated true")]
    result = {"gate": table, "roc_area": areas, "reposed": spread, "error_p95_mm": errors}
    caught = sum(row["verdict"] == "fail" for row in false)
    print(f"\nTrue pairs failed: {sum(row['verdict'] == 'fail' for row in true)} of {len(true)}.")
    print(f"False pairs caught: {caught} of {len(false)}.")
    if errors:
        print(
            f"Simulated, 95th percentile of the target error (mm): median {np.median(errors):.2f}"
            f", largest {max(errors):.2f}."
        )
    if spread:
        print(f"Real pair re-posed: {spread}")
    seconds = [row["cpu_seconds"] for row in ledger.rows.values()]
    print(f"CPU seconds: median {np.median(seconds):.0f}, largest {max(seconds):.0f}.")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    shared = Path(__file__).resolve().parents[2] / "shared/data/bids-real"
    parser.add_argument("--bids-real", type=Path, default=shared)
    parser.add_argument("--pairs", type=int, default=20, help="simulated pairs")
    parser.add_argument("--reposes", type=int, default=20)
    parser.add_argument("--flairs", type=int, default=99, help="real FLAIRs of other heads")
    parser.add_argument("--parts", default="reposed,gate,simulated")
    arguments = parser.parse_args()
    ledger, spread = Ledger(), None
    parts = arguments.parts.split(",")
    if "reposed" in parts and arguments.bids_real.is_dir():
        spread = reposed(ledger, arguments.bids_real, arguments.reposes)
    if "gate" in parts and arguments.bids_real.is_dir():
        real_gate(ledger, arguments.bids_real, arguments.flairs)
    if "simulated" in parts:
        simulated(ledger, arguments.pairs)
    print(f"Written to {write_result('registration', report(ledger, spread))}")


if __name__ == "__main__":
    main()
