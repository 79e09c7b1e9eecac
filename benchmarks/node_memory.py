"""Memory of each step, for a pair whose images are resampled to more slices.

    python -m benchmarks.node_memory BIDS_DIR SUBJECT [--ct 56 400] [--flair 28]

The slices of a real pair are interpolated to the numbers asked for, 512 x 512 in plane, and the
unit runs one step at a time in processes of its own, as the program runs them. What each held at
most (resident set, libraries included) is recorded: `ctwml_bids.unit.memory` declares the
memory of steps from these numbers, and a test compares both.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.processing import resample_from_to

from benchmarks.record import write_result

IN_PLANE = 512


def resampled(source: Path, target: Path, slices: int) -> None:
    """Write an image with other numbers of voxels over the same field of view."""
    image = nib.as_closest_canonical(nib.load(source))
    shape = (IN_PLANE, IN_PLANE, slices)
    affine = image.affine @ np.diag([*(np.array(image.shape) / shape), 1.0])
    target.parent.mkdir(parents=True, exist_ok=True)
    cval = float(np.asarray(image.dataobj).min())
    moved = resample_from_to(image, (shape, affine), order=1, cval=cval)
    data = np.round(moved.get_fdata(dtype=np.float32)).astype(np.int16)
    nib.Nifti1Image(data, affine).to_filename(target)


def make_dataset(root: Path, bids_dir: Path, subject: str, ct: int, flair: int) -> None:
    """Write a data set of one subject with images of these numbers of slices."""
    for folder, suffix, slices in (("ct", "ct", ct), ("anat", "FLAIR", flair)):
        if slices:
            (source,) = (bids_dir / f"sub-{subject}" / folder).glob(f"*_{suffix}.nii.gz")
            resampled(source, root / f"sub-01/{folder}/sub-01_{suffix}.nii.gz", slices)
    description = {"Name": "resampled", "BIDSVersion": "1.11.1"}
    (root / "dataset_description.json").write_text(json.dumps(description))


def peaks(root: Path, scratch: Path, options: list[str]) -> dict[str, float]:
    """Run the one unit; return the peak memory (GiB) of each step."""
    from ctwml_bids.cli.parser import parse
    from ctwml_bids.execution.plugins import IsolatedMultiProcPlugin
    from ctwml_bids.run.ledger import parts
    from ctwml_bids.run.nipype_setup import PRELOAD, worker_environment
    from ctwml_bids.run.preflight import make_folders, preflight
    from ctwml_bids.run.resources import resources_of, seen_by_steps
    from ctwml_bids.workflows.participant import init_participant_wf
    from tests.bids.planned import plan

    arguments = [str(root), str(scratch / "out"), "participant", "-w", str(scratch / "work")]
    ready = preflight(parse([*arguments, "--nprocs", "1", "--device", "cpu", *options]))
    make_folders(ready.settings)
    units = [seen_by_steps(unit, ready) for unit in plan(root)]
    workflow = init_participant_wf(
        units=units, resources=resources_of(ready), work_dir=ready.settings.work_dir
    )
    plugin = IsolatedMultiProcPlugin(
        processors=1,
        memory_gb=1000,
        environment=worker_environment(ready.settings),
        preload=PRELOAD,
        on_event=lambda node, event: print(node, event, flush=True),
    )
    workflow.run(plugin=plugin)
    return {parts(name)[1]: round(peak, 2) for name, peak in plugin.peak_memory_gb.items()}


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("subject")
    parser.add_argument("--ct", type=int, nargs="+", default=[56, 400], help="0: no CT")
    parser.add_argument("--flair", type=int, nargs="+", default=[28], help="0: no FLAIR")
    parser.add_argument("--name", default="node_memory", help="of the result")
    parser.add_argument("--option", nargs="+", default=[], help="of the program, without dashes")
    arguments = parser.parse_args()
    options = [part for option in arguments.option for part in f"--{option}".split("=")]
    result = []
    for ct in arguments.ct:
        for flair in arguments.flair:
            scratch = Path(tempfile.mkdtemp(prefix="ctwml-memory-"))
            try:
                make_dataset(scratch / "bids", arguments.bids_dir, arguments.subject, ct, flair)
                steps = peaks(scratch / "bids", scratch, options)
                result.append({"ct_slices": ct, "flair_slices": flair, "peak_gib": steps})
            finally:
                shutil.rmtree(scratch)
            print(json.dumps(result, indent=2), flush=True)
    write_result(arguments.name, {"in_plane": IN_PLANE, "units": result})


if __name__ == "__main__":
    main()
