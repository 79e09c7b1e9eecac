"""Whether probabilities mean what they say: reliability and expected calibration error.

    python -m benchmarks.reliability HEADS --model MODEL [--model MODEL] --name NAME

HEADS is a folder of heads that no network saw, as ``benchmarks.cohort make`` writes them; what was
segmented already is taken from there. Voxels of the brain within 10 mm of true lesions are put into
15 bins of probability of the same width; the error is the mean distance between a bin's mean
probability and its share of lesion, weighted by voxels (Guo et al. 2017, ICML; Naeini et al.
2015, AAAI), over all heads, and over those with slices of some thickness. Writes
results/reliability_NAME.json and, of all models, docs/images/reliability.png.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

from benchmarks.cohort import kept_probabilities
from benchmarks.record import write_result
from ctwml_bids.segmentation import ensemble
from ctwml_bids.segmentation.classes import INFARCT, NAMES, WML
from model_making import shipped_heads

BINS = 15
NEAR_MM = 10.0
# Slices in mm, under the second number.
THICKNESS = ((0.0, 3.5), (3.5, 5.5), (5.5, np.inf))
PICTURE = Path(__file__).resolve().parents[1] / "docs/images/reliability.png"


@dataclass
class Bins:
    """Sums of voxels, of their probability and of true lesion by bin of probability."""

    voxels: np.ndarray = field(default_factory=lambda: np.zeros(BINS))
    probability: np.ndarray = field(default_factory=lambda: np.zeros(BINS))
    lesion: np.ndarray = field(default_factory=lambda: np.zeros(BINS))
    heads: int = 0

    def add(self, probability: np.ndarray, lesion: np.ndarray) -> None:
        """Add the voxels of one head: probabilities, and where there is lesion, (n,)."""
        index = np.minimum((probability * BINS).astype(int), BINS - 1)
        self.voxels += np.bincount(index, minlength=BINS)
        self.probability += np.bincount(index, weights=probability, minlength=BINS)
        self.lesion += np.bincount(index, weights=lesion, minlength=BINS)
        self.heads += 1

    def error(self) -> float:
        """Return the expected calibration error."""
        return float(np.abs(self.probability - self.lesion).sum() / max(self.voxels.sum(), 1))

    def row(self) -> dict:
        """Return the error and both curves, empty bins being null."""
        filled = np.maximum(self.voxels, 1)
        mean, share = self.probability / filled, self.lesion / filled
        return {
            "heads": self.heads,
            "error": round(self.error(), 4),
            "voxels": self.voxels.astype(int).tolist(),
            "probability": _rounded(mean, self.voxels),
            "lesion_share": _rounded(share, self.voxels),
        }


def _rounded(values: np.ndarray, voxels: np.ndarray) -> list[float | None]:
    return [round(float(v), 4) if n else None for v, n in zip(values, voxels, strict=True)]


def near(truth: np.ndarray, brain: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Return the brain within `NEAR_MM` of true lesions, bool, (x, y, z)."""
    return brain & (ndimage.distance_transform_edt(~truth, spacing) <= NEAR_MM)


def measure(folder: Path, model: ensemble.Ensemble, device: str = "cpu") -> dict[str, dict]:
    """Return the bins of each lesion class, by slices: "WML, all" and the like."""
    spacing = model.card.grid_spacing_mm
    found: dict[str, Bins] = {}
    for volume, facts in shipped_heads.load_heads(folder, model.card.modality):
        said = kept_probabilities(folder, volume, model, device)
        thickness = facts[model.card.modality]["slice_thickness_mm"]
        brain = np.asarray(volume.channels).max(axis=0) > model.card.background
        for lesion, probability in zip((WML, INFARCT), said, strict=False):
            truth = np.asarray(volume.labels) == lesion
            if not truth.any():
                continue
            where = near(truth, brain, spacing)
            values = np.asarray(probability)[where].astype(float)
            for name in ("all", *(name for name in _names(thickness))):
                bins = found.setdefault(f"{NAMES[lesion]}, {name}", Bins())
                bins.add(values, truth[where])
    return {name: bins.row() for name, bins in sorted(found.items())}


def _names(thickness: float) -> list[str]:
    return [
        f"slices under {high:g} mm"
        if low == 0
        else f"slices from {low:g} mm"
        if high == np.inf
        else f"slices of {low:g} to {high:g} mm"
        for low, high in THICKNESS
        if low <= thickness < high
    ]


def picture(results: dict[str, dict[str, dict]], path: Path) -> None:
    """Draw the share of lesion against probability, a panel a model."""
    figure, axes = plt.subplots(
        1, len(results), figsize=(4.2 * len(results), 4), squeeze=False, layout="constrained"
    )
    for axis, (model, rows) in zip(axes[0], results.items(), strict=True):
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        for name, row in rows.items():
            points = [
                (p, s)
                for p, s in zip(row["probability"], row["lesion_share"], strict=True)
                if p is not None
            ]
            whole = name.endswith("all")
            axis.plot(
                *zip(*points, strict=True),
                marker="o" if whole else None,
                markersize=3,
                linewidth=1.6 if whole else 0.8,
                label=f"{name} ({row['error']:.3f})",
            )
        axis.set(title=model, xlabel="probability", ylabel="share that is lesion", aspect=1)
        axis.legend(fontsize=6, loc="upper left")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("heads", type=Path)
    parser.add_argument("--model", type=Path, action="append", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for a GPU")
    args = parser.parse_args()
    results = {}
    for folder in args.model:
        model = ensemble.load(folder)
        results[model.card.name] = measure(args.heads, model, args.device)
        for name, row in results[model.card.name].items():
            print(model.card.name, name, row["heads"], "heads: error", row["error"])
    picture(results, PICTURE)
    print(f"Written to {write_result(f'reliability_{args.name}', results)} and {PICTURE}")


if __name__ == "__main__":
    main()
