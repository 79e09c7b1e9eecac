"""Real beside simulated CT: slices, HU histograms, noise power, contrast of tissues and lesions.

    python -m benchmarks.realism BIDS_REAL SIMULATED [--out OUT_DIR]

``SIMULATED`` is a data set of ``ctwml-simulate``; ``OUT_DIR`` a participant run on the real data,
whose lesion mask of sub-ge01 gives the real lesion contrast (it has no expert mask). Brain masks
and poses are found by the program on all images alike. Writes results/realism.json and the
pictures docs/images/realism_slices.png and docs/images/realism_curves.png; axial brain slices only.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
from scipy import ndimage

from benchmarks.realism_lesions import edge_profile
from benchmarks.realism_noise import (
    HIGHEST,
    away_from,
    calm_white,
    fit_texture,
    patches,
    radial_power,
    simulated_power,
)
from benchmarks.record import write_result
from ctwml_bids import templates
from ctwml_bids.preprocessing.ct_brain import ct_mask
from ctwml_bids.preprocessing.grids import Grid, grid_of, resample
from ctwml_bids.preprocessing.hounsfield import read_ct
from ctwml_bids.preprocessing.nine_parameters import nine_parameter
from ctwml_bids.preprocessing.orthonormal import orthonormal

REAL = ("sub-ge01", "sub-dv01")
IMAGES = Path(__file__).resolve().parents[1] / "docs/images"
# Heads like the real ones, with noise fitted to theirs: age in years, lesions in mL, seed.
ALIKE = {"sub-ge01": (80, 80.0, 1), "sub-dv01": (29, 0.0, 1)}
LEAST_ML = 10.0  # of lesions, for a profile across their border
HU_BINS = np.arange(-10, 61)


@dataclass(frozen=True)
class Scan:
    """A CT with what was found on it: HU, brain, template tissue maps, lesions (or None)."""

    name: str
    hu: np.ndarray
    grid: Grid
    brain: np.ndarray
    grey: np.ndarray
    white: np.ndarray
    ventricles: np.ndarray
    lesions: np.ndarray | None


def load(path: Path, lesions: Path | None, name: str) -> Scan:
    image = orthonormal(read_ct(path).image, -1000.0)
    grid = grid_of(image)
    mask = ct_mask(image).mask
    template = templates.packaged()
    pose = np.linalg.inv(nine_parameter(mask, nib.load(template.brain_mask)))
    maps = {}
    for key in ("gm", "wm", "ventricles"):
        source = nib.load(getattr(template, key))
        maps[key] = resample(np.asarray(source.dataobj, np.float32), source.affine, grid, pose)
    found = None
    if lesions is not None and lesions.is_file():
        source = nib.load(lesions)
        found = resample(np.asarray(source.dataobj, np.float32), source.affine, grid) >= 0.5
    return Scan(
        name,
        np.asarray(image.dataobj, dtype=np.float32),
        grid,
        np.asarray(mask.dataobj) > 0,
        maps["gm"],
        maps["wm"],
        maps["ventricles"] > 0.5,
        found,
    )


def noise(scan: Scan) -> np.ndarray:
    """Squares of white matter away from edges and lesions, each without its trend."""
    calm = calm_white(scan.hu, scan.grid, scan.brain, scan.white)
    if scan.lesions is not None:
        calm &= away_from(scan.lesions, scan.grid)
    return patches(scan.hu, scan.grid, calm)


def describe(scan: Scan) -> dict:
    """HU of tissues, SD of the noise, and the contrast of lesions where there are some."""
    soft = ndimage.gaussian_filter(scan.hu, (*(1.0 / scan.grid.spacing[:2]), 0))
    inner = ndimage.binary_erosion(scan.brain, iterations=2) & (scan.hu > -5) & (scan.hu < 70)
    lesions = np.zeros_like(scan.brain) if scan.lesions is None else scan.lesions
    white = inner & (scan.white > 0.9) & ~lesions
    squares = noise(scan)
    noise_sd = float(squares.std()) if len(squares) else float("nan")
    row = {
        "scan": scan.name,
        "slice_mm": round(float(scan.grid.spacing[2]), 2),
        "brain_hu_mean": float(scan.hu[inner].mean()),
        "brain_hu_sd": float(scan.hu[inner].std()),
        "white_hu": float(np.median(soft[white])),
        # Spread of white matter from place to place, over what noise leaves after smoothing.
        "white_sd_smoothed": float(soft[white].std()),
        "deep_white_10th_percentile": float(np.percentile(soft[white], 10)),
        "grey_minus_white_hu": float(
            np.median(soft[inner & (scan.grey > 0.75) & ~lesions]) - np.median(soft[white])
        ),
        "ventricle_hu": float(
            np.median(soft[ndimage.binary_erosion(scan.ventricles, iterations=2) & (soft < 20)])
        ),
        "noise_sd": noise_sd,
        "patches": len(squares),
    }
    core = ndimage.binary_erosion(lesions, np.ones((3, 3, 1)))
    if core.sum() * scan.grid.voxel_ml > 1.0:
        away = ndimage.distance_transform_edt(~lesions, scan.grid.spacing)
        around = white & (away > 4) & (away < 12)
        drop = float(np.median(soft[around]) - np.median(soft[core]))
        row |= {"lesion_drop_hu": drop, "lesion_contrast_to_noise": drop / noise_sd}
    return row


def compare_noise(scan: Scan) -> dict:
    """Fit the noise of a real CT, and compare a simulated head that has it, by frequency."""
    frequency, measured = radial_power(noise(scan), scan.grid)
    texture, sd = fit_texture(frequency, measured)
    age, lesion_ml, seed = ALIKE[scan.name]
    simulated = simulated_power(scan.grid, texture, sd, age, lesion_ml, seed)
    low = frequency <= HIGHEST
    return {
        "scan": scan.name,
        "texture": asdict(texture),
        "sd_hu": sd,
        "cycles_per_mm": frequency[low].tolist(),
        "real_hu2_mm2": measured[low].tolist(),
        "simulated_to_real": (simulated[low] / measured[low]).tolist(),
    }


def compare_edges(scan: Scan) -> dict:
    """HU by distance from the border of lesions."""
    distance, hu = edge_profile(scan.hu, scan.grid, scan.brain, scan.white, scan.lesions)
    return {"scan": scan.name, "mm": distance.tolist(), "hu": hu.tolist()}


def draw_slices(scans: list[Scan], path: Path) -> None:
    """Draw three upper axial slices of each scan in the brain window, others alike."""
    figure, axes = plt.subplots(3, len(scans), figsize=(2.0 * len(scans), 6.6))
    for column, scan in zip(axes.T, scans, strict=True):
        filled = np.flatnonzero(scan.brain.any(axis=(0, 1)))
        box = [np.flatnonzero(scan.brain.any(axis=other)) for other in ((1, 2), (0, 2))]
        cut = tuple(slice(max(int(b[0]) - 8, 0), int(b[-1]) + 8) for b in box)
        for axis, share in zip(column, (0.5, 0.64, 0.8), strict=True):
            z = filled[int(share * (len(filled) - 1))]
            view = scan.hu[(*cut, z)].T
            aspect = float(scan.grid.spacing[1] / scan.grid.spacing[0])
            axis.imshow(view, "gray", origin="lower", vmin=-5, vmax=75, aspect=aspect)
            axis.axis("off")
        column[0].set_title(scan.name, fontsize=8)
    figure.tight_layout(pad=0.3)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def draw_curves(scans: list[Scan], path: Path) -> None:
    """Draw HU histograms of brain and of white matter, and noise power."""
    figure, axes = plt.subplots(1, 4, figsize=(16, 3.6))
    for scan in scans:
        real = scan.name in REAL
        style = {"lw": 2.0 if real else 0.8, "color": None if real else "0.65"}
        style |= {"label": scan.name if real else None, "zorder": 3 if real else 1}
        inner = ndimage.binary_erosion(scan.brain, iterations=2)
        soft = ndimage.gaussian_filter(scan.hu, (*(1.0 / scan.grid.spacing[:2]), 0))
        for axis, values in (
            (axes[0], scan.hu[inner]),
            (axes[1], soft[inner & (scan.white > 0.9)]),
        ):
            heights, _ = np.histogram(values, HU_BINS, density=True)
            axis.plot(HU_BINS[:-1] + 0.5, heights, **style)
        squares = noise(scan)
        if len(squares):
            axes[2].loglog(*radial_power(squares, scan.grid), **style)
        if scan.lesions is not None and scan.lesions.sum() * scan.grid.voxel_ml > LEAST_ML:
            profile = edge_profile(scan.hu, scan.grid, scan.brain, scan.white, scan.lesions)
            axes[3].plot(*profile, **style)
    labels = (
        ("brain", "HU"),
        ("white matter of the template, smoothed by 1 mm", "HU"),
        ("noise power (HU² mm²)", "cycles per mm"),
        ("HU across the border of lesions (over 10 mL)", "mm from the border, negative inside"),
    )
    for axis, (title, unit) in zip(axes, labels, strict=True):
        axis.set_title(title, fontsize=9)
        axis.set_xlabel(unit)
    axes[0].plot([], [], color="0.65", lw=0.8, label="simulated")
    axes[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bids_real", type=Path)
    parser.add_argument("simulated", type=Path)
    parser.add_argument("--out", type=Path, help="participant run on the real data")
    arguments = parser.parse_args()
    scans = []
    for name in REAL:
        lesions = None
        if arguments.out and name == "sub-ge01":
            lesions = arguments.out / name / f"anat/{name}_space-CT_label-WML_desc-ct_mask.nii.gz"
        scans.append(load(arguments.bids_real / name / f"ct/{name}_ct.nii.gz", lesions, name))
    truth = arguments.simulated / "derivatives/simulation-truth"
    labels = {}
    for path in sorted(arguments.simulated.glob("sub-*/ct/*_ct.nii.gz")):
        name = path.name.removesuffix("_ct.nii.gz")
        facts = json.loads((truth / name / f"anat/{name}_facts.json").read_text())
        labels[name] = f"age {facts['age']:.0f}, {facts['lesion_ml']:.0f} mL"
        lesions = truth / name / f"anat/{name}_space-CT_label-WML_mask.nii.gz"
        scans.append(load(path, lesions, f"simulated {name[4:]}"))
    rows = [describe(scan) for scan in scans]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for row in rows:
        cells = [row.get(key, "") for key in columns]
        print(
            "| " + " | ".join(f"{c:.2f}" if isinstance(c, float) else str(c) for c in cells) + " |"
        )
    IMAGES.mkdir(exist_ok=True)
    draw_slices(scans[:8], IMAGES / "realism_slices.png")
    draw_curves(scans, IMAGES / "realism_curves.png")
    noises = [compare_noise(scan) for scan in scans if scan.name in REAL]
    for row in noises:
        ratios = zip(row["cycles_per_mm"], row["simulated_to_real"], strict=True)
        print(row["scan"], "noise, simulated over real: ", end="")
        print(", ".join(f"{ratio:.2f} at {at:.2f}/mm" for at, ratio in ratios))
    marked = [
        scan
        for scan in scans
        if scan.lesions is not None and scan.lesions.sum() * scan.grid.voxel_ml > LEAST_ML
    ]
    edges = [compare_edges(scan) for scan in marked]
    result = {"scans": rows, "people": labels, "noise": noises, "lesion_edges": edges}
    print(f"Written to {write_result('realism', result)}")


if __name__ == "__main__":
    main()
