"""FLAIR networks on real images with expert masks, each by networks that never saw the subject.

    python -m benchmarks.left_out BIDS_DIR RUNS [--threshold THRESHOLD]

RUNS (``model_making/make_models.sh`` makes training/loo8) holds trainings for each of the six
subjects that left it out, perhaps with another; all that did are taken together. Each image goes
through the program's own steps (brain mask, nine parameters, grid and back) and is compared with
its mask on its own voxels. Anatomies and fine structure of the subject are left out with it. Dice
and volume are given over thresholds, at the shipped card's threshold (or THRESHOLD), and at the one
that the other five subjects would have chosen: that of their best mean Dice. Writes
results/left_out.json; "networks" and "steps" say how many networks each row is of and how long they
were trained.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks.record import write_result
from ctwml_bids.preprocessing.flair_brain import flair_mask
from ctwml_bids.preprocessing.grids import grid_of
from ctwml_bids.preprocessing.nine_parameters import nine_parameter
from ctwml_bids.preprocessing.normalisation import from_grid, to_grid
from ctwml_bids.preprocessing.orthonormal import orthonormal
from ctwml_bids.segmentation import brain_network, ensemble, model_store
from ctwml_bids.segmentation.inputs import network_channels
from ctwml_bids.statistics.overlap import dice
from ctwml_bids.training.checkpoint import checkpoint_weights
from model_making import shipped_heads
from model_making.export import export
from model_making.real_heads import LABELLED

THRESHOLDS = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)
# Few lesions beside many marks: its Dice is near 0 at every threshold, and it chooses none.
NOT_CHOOSING = "sub-lj07"
_CARD = model_store.load_card(model_store.default("flair"))
# How the shipped networks' probabilities are used.
SHIPPED_WAY = {"flip": _CARD.flip, "island_share": _CARD.island_share}


def runs_without(runs: Path, label: str) -> list[Path]:
    """Return the runs that saw neither the subject's images nor its anatomy."""
    found = []
    for facts_file in sorted(runs.glob("*/facts.json")):
        facts = json.loads(facts_file.read_text())
        if f"sub-{label}" not in {*facts["real_subjects"], *facts["anatomies"]}:
            found.append(facts_file.parent)
    return found


def steps_of(run: Path) -> int:
    """Return how many steps a network has behind it, those of what it began from included."""
    _, steps = checkpoint_weights(run / "checkpoint.safetensors")
    facts = json.loads((run / "facts.json").read_text())
    while facts := facts.get("began_from"):
        steps += facts["steps_done"]
    return steps


def load_runs(runs: list[Path]) -> ensemble.Ensemble:
    """Load the networks of some runs as the shipped ones are used."""
    with tempfile.TemporaryDirectory() as folder:
        export(runs, Path(folder), name="some", modality="flair", version="0", **SHIPPED_WAY)
        return ensemble.load(Path(folder) / "some")


def segment(image: nib.Nifti1Image, network: ensemble.Ensemble) -> np.ndarray:
    """Lesion probability on an image's own grid."""
    upright = orthonormal(image, 0.0)
    brain = flair_mask(upright, brain_network.predictor()).mask
    transform = nine_parameter(brain, shipped_heads.template_mask())
    grid = shipped_heads.shipped_grid()
    array, mask = (to_grid(part, transform, grid, fill=0.0) for part in (upright, brain))
    channels = network_channels(array, mask, network.card.channels)
    found = ensemble.predict(network, channels, white_matter=shipped_heads.white_matter())
    return from_grid(found.probability, grid, transform, grid_of(image))


def measure(bids_dir: Path, runs: Path, label: str, chosen: float) -> dict:
    """Return Dice and volumes of one subject over thresholds.

    Raises
    ------
    SystemExit
        If no network left the subject out.
    """
    networks = runs_without(runs, label)
    if not networks:
        raise SystemExit(f"{runs} has no network that left sub-{label} out.")
    stem = f"sub-{label}/anat/sub-{label}"
    image = nib.load(bids_dir / f"{stem}_FLAIR.nii.gz")
    expert = f"derivatives/reference/{stem}_space-FLAIR_label-WMH_desc-expert_mask.nii.gz"
    truth = np.asarray(nib.load(bids_dir / expert).dataobj) > 0
    probability = segment(image, load_runs(networks))
    ml = abs(np.linalg.det(image.affine[:3, :3])) / 1000
    masks = {threshold: probability > threshold for threshold in {*THRESHOLDS, chosen}}
    return {
        "subject": f"sub-{label}",
        "networks": len(networks),
        "steps": min(steps_of(run) for run in networks),
        "threshold": chosen,
        "dice": round(dice(masks[chosen], truth), 3),
        "found_ml": round(float(masks[chosen].sum() * ml), 2),
        "reference_ml": round(float(truth.sum() * ml), 2),
        "curve": {str(t): round(dice(masks[t], truth), 3) for t in THRESHOLDS},
        "curve_ml": {str(t): round(float(masks[t].sum() * ml), 2) for t in THRESHOLDS},
    }


def by_the_others(rows: list[dict]) -> list[dict]:
    """Return each row with the threshold that the other subjects choose, and what it gives."""
    added = []
    for row in rows:
        others = [
            one["curve"] for one in rows if one["subject"] not in (row["subject"], NOT_CHOOSING)
        ]
        best = max(row["curve"], key=lambda t: float(np.mean([curve[t] for curve in others])))
        others_say = {
            "threshold": float(best),
            "dice": row["curve"][best],
            "found_ml": row["curve_ml"][best],
        }
        added.append(row | {"by_the_others": others_say})
    return added


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--threshold", type=float, default=_CARD.threshold)
    args = parser.parse_args()
    rows = []
    for label in LABELLED:
        rows.append(measure(args.bids_dir, args.runs, label, args.threshold))
        print(rows[-1], flush=True)
    print(f"Written to {write_result('left_out', by_the_others(rows))}")


if __name__ == "__main__":
    main()
