"""How long the group level takes for many units, and the image metrics of one pair.

    python -m benchmarks.group_scale [--units 10000] [--folder FOLDER]

Writes simulated units (tables, sidecars, status files, no images) and runs ``group`` on them in a
process of its own, once whole and once after a unit was added. Then it compares CT with FLAIR masks
of one full-size pair, as the participant level does. It writes results/group_scale.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import ndimage

from benchmarks.record import write_result
from ctwml_bids.bids import names
from ctwml_bids.statistics.columns import COLUMNS
from ctwml_bids.statistics.overlap import compare

SEED = 2020
# As large as those of real units, whose gates, facts and model cards take some 20 kB.
FILLING = "x" * 18_000
GROUP = "import sys; from ctwml_bids.cli.main import main; sys.exit(main(sys.argv[1:]))"
# Full-size FLAIRs: a 2D one and a 3D one; voxels, spacing in mm.
PAIRS = {
    "2D, 512 x 512 x 36": ((512, 512, 36), (0.45, 0.45, 4.0)),
    "3D, 192 x 512 x 512": ((192, 512, 512), (0.9, 0.47, 0.47)),
}
LESION_ML = 40.0


def write_units(out: Path, first: int, last: int, people: list[str]) -> None:
    """Write what units leave, without flushing each file to the disk."""
    for number in range(first, last):
        rng = np.random.default_rng([SEED, number])
        grade = number % 4
        flair = float(rng.gamma(2.5, (0.8, 1.5, 5.0, 14.0)[grade]))
        ct = max(0.0, 0.96 * flair + float(rng.normal(0, 1 + 0.15 * flair)))
        subject = f"{number:06d}"
        table = out / names.stats(subject, None)
        table.parent.mkdir(parents=True)
        table.write_text(_table(ct, flair))
        card = {"name": "model", "training": ""}
        names.sidecar(table).write_text(
            json.dumps(
                {
                    "QualityGates": [{"name": "a", "status": "pass", "message": "fine"}],
                    "Facts": FILLING,
                    "Models": {"ct": card, "flair": card},
                    "Settings": {"template": "MNI152NLin2009aSym", "normalisation": "nine"},
                    "SettingsHashes": {"preprocessing": "a" * 64, "segmentation": "b" * 64},
                }
            )
        )
        scanner, thickness = f"Maker {rng.integers(0, 6)}", rng.choice([1.0, 3.0, 5.0])
        lines = ["image\tscanner\tslice_thickness_mm\tdays_apart"]
        lines += [f"ct\t{scanner}\t{thickness}\t{rng.integers(0, 60)}", f"flair\t{scanner}\t4\tn/a"]
        (out / names.acquisition(subject, None)).write_text("\n".join(lines) + "\n")
        status = out / names.status(subject, None)
        status.parent.mkdir(parents=True)
        status.write_text(json.dumps({"label": f"sub-{subject}", "state": "done"}))
        (out / names.report(subject, None)).write_text("")
        people.append(f"sub-{subject}\t{rng.integers(45, 95)}\t{'FM'[number % 2]}\t{grade}")
    header = "participant_id\tage\tsex\tfazekas"
    (out / "participants.tsv").write_text("\n".join([header, *people]) + "\n")


def _table(ct: float, flair: float) -> str:
    both = 0.6 * min(ct, flair)
    pair = {
        "image": "pair",
        "dice": 2 * both / (ct + flair),
        "both_empty": "false",
        "true_positive_ml": both,
        "ct_only_ml": ct - both,
        "flair_only_ml": flair - both,
        "h95_mm": 7.5,
        "avd_percent": 100 * abs(ct - flair) / flair,
        "lesion_recall": 0.5,
        "lesion_f1": 0.5,
    }
    rows = [
        {"image": i, "wml_ml": ml, "brain_ml": 1300} for i, ml in (("ct", ct), ("flair", flair))
    ]
    lines = ["\t".join(COLUMNS)]
    for row in (*rows, pair):
        lines.append("\t".join(str({**row, "qc": "pass"}.get(name, "n/a")) for name in COLUMNS))
    return "\n".join(lines) + "\n"


def run_group(out: Path) -> dict[str, float]:
    """Run the program on a folder; wall time, CPU time and the peak of its memory."""
    command = [sys.executable, "-c", GROUP, "/nowhere", str(out), "group", "-w", str(out / "work")]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, code, used = os.wait4(process.pid, 0)
    if code:
        raise SystemExit(f"group ended with {os.waitstatus_to_exitcode(code)}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "wall_s": round(time.monotonic() - started, 1),
        "cpu_s": round(cpu, 1),
        "peak_gb": round(used.ru_maxrss / 1024**2, 2),
    }


def time_pair(shape: tuple[int, ...], spacing: tuple[float, ...]) -> dict[str, float]:
    """Time the image metrics of masks that look like lesions of `LESION_ML`."""
    rng = np.random.default_rng(SEED)
    sigma = [4.0 / step for step in spacing]
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma)
    other = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma)
    voxels = int(LESION_ML * 1000 / np.prod(spacing))
    flair, ct = (
        a > np.partition(a.ravel(), -voxels)[-voxels] for a in (noise, noise + 0.6 * other)
    )
    affine = np.diag([*spacing, 1.0])
    wall, cpu = time.monotonic(), time.process_time()
    found = compare(ct, flair, affine=affine)
    return {
        "wall_s": round(time.monotonic() - wall, 2),
        "cpu_s": round(time.process_time() - cpu, 2),
        "dice": round(found.dice, 3),
        "h95_mm": round(found.h95_mm, 1),
    }


def measure(folder: Path, units: int) -> dict:
    people: list[str] = []
    write_units(folder, 0, units, people)
    result = {"units": units, "load_average_before": os.getloadavg()[0], "whole": run_group(folder)}
    write_units(folder, units, units + 1, people)
    result["one_unit_more"] = run_group(folder)
    result["page_mb"] = round((folder / "group.html").stat().st_size / 1e6, 2)
    result["image_metrics"] = {name: time_pair(*pair) for name, pair in PAIRS.items()}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="where the units go (default: a temporary one)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        result = measure(Path(folder), args.units)
    print(json.dumps(result, indent=2))
    print(f"Written to {write_result('group_scale', result)}")


if __name__ == "__main__":
    main()
