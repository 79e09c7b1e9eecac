"""Time of what a training does besides its networks: heads onto the grid, and the merge.

    python -m benchmarks.training_cost OUTPUT_DIR BIDS_DIR [--repeats 10]

OUTPUT_DIR holds finished units of the participant level of BIDS_DIR, at least two; it is copied.
Networks of two steps stand in for trained ones, as neither laying nor merging depends on them. It
writes results/training_cost.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.record import write_result

ROOT = Path(__file__).resolve().parents[1]


def timed(*command: object) -> dict[str, float]:
    """Run the program; wall time and processor time of all its processes."""
    began, before = time.monotonic(), os.times()
    subprocess.run(
        [sys.executable, ROOT / "run.py", *map(str, command)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])
    return {"wall_s": round(time.monotonic() - began, 1), "cpu_s": round(cpu, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("--repeats", type=int, default=10)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ctwml-cost-") as folder:
        out = shutil.copytree(args.output_dir, Path(folder) / "out")
        how = ("--folds", 2, "--repeats", args.repeats, "--members", 1, "--steps", 2, "--batch", 2)
        train = (args.bids_dir, out, "train", "-w", Path(folder) / "work", *how)
        result = {"heads": timed(*train, "--only", "heads")}
        units = [f"{repeat}:{fold}" for repeat in range(1, args.repeats + 1) for fold in (1, 2)]
        timed(*train, "--only", *units, "final:1")
        result["merge"] = timed(*train, "--only", "merge")
        plan = json.loads((out / "train/ct/plan.json").read_text())
    result = {"images": len(plan["cases"]), "repeats": args.repeats, **result}
    print(json.dumps(result, indent=2))
    write_result("training_cost", result)


if __name__ == "__main__":
    main()
