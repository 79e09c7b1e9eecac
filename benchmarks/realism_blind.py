"""A blind look: real and simulated axial CT slices in random order in one picture.

    python -m benchmarks.realism_blind REAL_DIR OUT.png --seed N

``REAL_DIR`` is a BIDS data set; each of its CTs gives an equal share of the real slices, and as
many simulated ones, of heads with like voxels, go between them. Which is which is written to
OUT.json, not into the picture: look first.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids.preprocessing.ct_brain import ct_mask
from ctwml_bids.preprocessing.hounsfield import read_ct
from ctwml_bids.preprocessing.orthonormal import orthonormal
from ctwml_bids.simulation.individual import anatomy_files
from ctwml_bids.simulation.pair import simulate_pair

LEVEL, WIDTH = 35.0, 80.0  # HU, the brain window
HEIGHTS = (0.42, 0.92)  # of the brain from its lowest slice: lesions and their mimics lie there
COLUMNS = 8
PIXEL_MM, SIDE_MM = 0.5, 200.0  # of the squares that are shown
HEADS = 5  # simulated
DRAWN = ((30, 0.0), (76, 60.0), (72, 15.0), (55, 0.5), (82, 90.0))  # age and lesions in mL


@dataclass(frozen=True)
class Slice:
    """One axial slice as it is shown: HU (y, x), and what it is."""

    view: np.ndarray
    source: str
    z: int


def slices_of(image: nib.Nifti1Image, brain: np.ndarray, count: int, source: str) -> list[Slice]:
    """Return equally spaced upper slices around the brain's middle, all with the same pixels."""
    image = nib.as_closest_canonical(image)
    hu = np.asarray(image.dataobj, dtype=np.float32)
    spacing = np.linalg.norm(image.affine[:3, :3], axis=0)[:2]
    filled = np.flatnonzero(brain.any(axis=(0, 1)))
    middle = [np.flatnonzero(brain.any(axis=other)).mean() for other in ((1, 2), (0, 2))]
    side = np.arange(-SIDE_MM / 2, SIDE_MM / 2, PIXEL_MM)
    x, y = np.meshgrid(middle[0] + side / spacing[0], middle[1] + side / spacing[1])
    shown = []
    for share in np.linspace(*HEIGHTS, count):
        z = int(filled[round(share * (len(filled) - 1))])
        # Nearest pixels: interpolation would smooth the noise that is looked at.
        view = ndimage.map_coordinates(hu[:, :, z], [x, y], order=0, cval=-1000)
        shown.append(Slice(view, source, z))
    return shown


def real_slices(folder: Path, count: int) -> tuple[list[Slice], list[tuple[float, ...]]]:
    """Return slices of all CTs of a data set, and the voxel sizes of these CTs (mm)."""
    paths = sorted({*folder.glob("sub-*/**/*_ct.nii.gz"), *folder.glob("sub-*/**/*_CT.nii.gz")})
    shares = [len(part) for part in np.array_split(np.arange(count), len(paths))]
    shown, spacings = [], []
    for path, share in zip(paths, shares, strict=True):
        image = orthonormal(read_ct(path).image, -1000.0)
        brain = np.asarray(ct_mask(image).mask.dataobj) > 0
        shown += slices_of(image, brain, share, f"real {path.name.split('_')[0]}")
        spacings.append(tuple(float(s) for s in image.header.get_zooms()[:3]))
    return shown, spacings


def simulated_slices(
    seed: int, count: int, spacings: list[tuple[float, ...]], anatomies: tuple[Path, ...]
) -> list[Slice]:
    """Return slices of simulated heads that take turns in having the voxels of the real CTs."""
    shares = [len(part) for part in np.array_split(np.arange(count), HEADS)]
    shown = []
    for index, ((age, lesion_ml), share) in enumerate(zip(DRAWN, shares, strict=True)):
        pair = simulate_pair(
            1000 * seed + index,
            age=age,
            lesion_ml=lesion_ml,
            modality="ct",
            ct_spacing=spacings[index % len(spacings)],
            anatomies=anatomies,
        )
        brain = np.asarray(nib.as_closest_canonical(pair.ct_truth.brain).dataobj) > 0
        shown += slices_of(pair.ct, brain, share, f"simulated {1000 * seed + index}")
    return shown


def draw(shown: list[Slice], path: Path) -> None:
    """Draw numbered slices in the brain window."""
    rows = -(-len(shown) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(4.0 * COLUMNS, 4.0 * rows))
    for axis in axes.ravel():
        axis.axis("off")
    for number, (axis, one) in enumerate(zip(axes.ravel(), shown, strict=False), start=1):
        low = LEVEL - WIDTH / 2
        axis.imshow(one.view, "gray", origin="lower", vmin=low, vmax=low + WIDTH)
        axis.text(6, 6, str(number), color="yellow", fontsize=14)
    figure.subplots_adjust(0, 0, 1, 1, 0.01, 0.01)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path, help="BIDS data set with CTs")
    parser.add_argument(
        "out", type=Path, help="picture (.png); the key goes to the same name .json"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--slices", type=int, default=40, help="half of them real (40)")
    parser.add_argument("--anatomies", type=Path, help="folder of individual anatomies (*.npz)")
    arguments = parser.parse_args()
    half = arguments.slices // 2
    anatomies = anatomy_files(arguments.anatomies) if arguments.anatomies else ()
    shown, spacings = real_slices(arguments.real, half)
    shown += simulated_slices(arguments.seed, half, spacings, anatomies)
    order = np.random.default_rng(arguments.seed).permutation(len(shown))
    shown = [shown[k] for k in order]
    draw(shown, arguments.out)
    key = {str(n): {"source": one.source, "z": one.z} for n, one in enumerate(shown, start=1)}
    arguments.out.with_suffix(".json").write_text(json.dumps(key, indent=1) + "\n")


if __name__ == "__main__":
    main()
