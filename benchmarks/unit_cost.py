"""Time and memory of one unit, from command line to report.

    python -m benchmarks.unit_cost BIDS_DIR SUBJECT [--runs 3] [--slices 400]

With ``--slices`` both images are interpolated to that many slices first, as the largest images that
are to be expected. Processor time is that of all processes. Memory is the largest sum of
proportional set sizes (shared pages counted once) over the program and all of its processes,
sampled every 0.2 s from /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from benchmarks.record import write_result

ROOT = Path(__file__).resolve().parents[1]


def descendants(pid: int) -> list[int]:
    """List a process and everything below it, fork server included."""
    found, todo = [], [pid]
    while todo:
        current = todo.pop()
        found.append(current)
        for task in Path(f"/proc/{current}/task").glob("*/children"):
            try:
                todo += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def memory_gib(pid: int) -> float:
    """Sum the proportional set sizes of a process tree."""
    total = 0
    for process in descendants(pid):
        try:
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            continue
    return total / 2**20


def with_slices(bids_dir: Path, subject: str, slices: int, to: Path) -> Path:
    """Copy a subject's data set with its images interpolated to a number of slices."""
    shutil.copytree(bids_dir / f"sub-{subject}", to / f"sub-{subject}")
    shutil.copy(bids_dir / "dataset_description.json", to)
    for path in sorted(to.rglob("*.nii.gz")):
        image = nib.load(path)
        array = np.asarray(image.dataobj)
        factor = (array.shape[2] - 1) / (slices - 1)
        fine = ndimage.zoom(array, (1, 1, slices / array.shape[2]), order=1, grid_mode=False)
        affine = image.affine @ np.diag([1, 1, factor, 1])
        nib.save(nib.Nifti1Image(fine.astype(array.dtype), affine), path)
    return to


def run_once(bids_dir: Path, subject: str, nprocs: int) -> tuple[float, float, float]:
    """Run one unit from nothing; return seconds, seconds of processor time, and GiB."""
    scratch = Path(tempfile.mkdtemp(prefix="ctwml-cost-"))
    command = [sys.executable, str(ROOT / "run.py"), str(bids_dir), str(scratch / "out")]
    command += ["participant", "--participant-label", subject, "-w", str(scratch / "work")]
    command += ["--nprocs", str(nprocs)]
    began, before = time.monotonic(), os.times()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, memory_gib(process.pid))
        time.sleep(0.2)
    seconds, after = time.monotonic() - began, os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])
    shutil.rmtree(scratch)
    if process.returncode:
        raise SystemExit(f"the run ended with exit code {process.returncode}")
    return seconds, cpu, peak


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("subject")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--nprocs", type=int, default=2)
    parser.add_argument("--slices", type=int, help="of both images (default: as they are)")
    arguments = parser.parse_args()
    bids_dir, subject = arguments.bids_dir.resolve(), arguments.subject
    with tempfile.TemporaryDirectory(prefix="ctwml-cost-") as folder:
        if arguments.slices:
            bids_dir = with_slices(bids_dir, subject, arguments.slices, Path(folder))
        runs = [run_once(bids_dir, subject, arguments.nprocs) for _ in range(arguments.runs)]
    seconds, cpu, memory = zip(*runs, strict=True)
    result = {
        "subject": arguments.subject,
        "slices": arguments.slices,
        "runs": arguments.runs,
        "nprocs": arguments.nprocs,
        "seconds_median": round(statistics.median(seconds), 1),
        "seconds": [round(value, 1) for value in seconds],
        "cpu_seconds": [round(value, 1) for value in cpu],
        "peak_gib": round(max(memory), 2),
        "load_average_after": round(os.getloadavg()[0], 2),
    }
    print(json.dumps(result, indent=2))
    write_result(f"unit_cost_{arguments.slices}" if arguments.slices else "unit_cost", result)


if __name__ == "__main__":
    main()
