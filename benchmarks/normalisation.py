"""Nine-parameter normalisation against known transforms of the template's brain mask.

    python -m benchmarks.normalisation [--trials 10]

Masks on 0.5 × 0.5 × 5 mm grids; scales 0.85–1.2, rotations ±25°, translations ±40 mm; whole, with
a rough border, without the lowest slices, and cut by the image's end. The error is the mean
distance between found and true places of the template brain's surface. ``--with-ants`` measures,
on the same masks, ANTs' affine registration of the masks with its shears dropped.
"""

from __future__ import annotations

import argparse
import time

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from benchmarks.record import write_result
from ctwml_bids import templates
from ctwml_bids.preprocessing import transforms
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on, resample
from ctwml_bids.preprocessing.nine_parameters import compose, decompose, nine_parameter

KINDS = ("whole", "rough", "missing slices", "cut above", "cut below", "cut both, rough")
TARGET_MM = 1.5


def surface(mask: nib.Nifti1Image) -> np.ndarray:
    inside = np.asarray(mask.dataobj) > 0
    return apply_affine(mask.affine, np.argwhere(inside & ~ndimage.binary_erosion(inside)))


def simulate(rng, kind: str, template: nib.Nifti1Image, points: np.ndarray):
    """Draw a transform and the native mask that it gives."""
    matrix = compose(
        rng.uniform(0.85, 1.2, 3), rng.uniform(-40, 40, 3), np.deg2rad(rng.uniform(-25, 25, 3))
    )
    box = apply_affine(matrix, points)
    margin = np.array([20.0, 20.0, 12.0])
    low, high = box.min(axis=0) - margin, box.max(axis=0) + margin
    if kind in ("cut above", "cut both, rough"):
        high[2] -= 12 + rng.uniform(8, 25)
    if kind in ("cut below", "cut both, rough"):
        low[2] += 12 + rng.uniform(15, 45)
    spacing = np.array([0.5, 0.5, 5.0])
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = low
    grid = Grid(tuple(int(n) for n in np.ceil((high - low) / spacing)), affine)
    array = np.asarray(template.dataobj, dtype=np.float32)
    mask = resample(array, template.affine, grid, np.linalg.inv(matrix))
    if "rough" in kind:
        noise = rng.standard_normal(mask.shape).astype(np.float32)
        noise = ndimage.gaussian_filter(noise, (8, 8, 0.8))
        mask = ndimage.gaussian_filter(mask, (3, 3, 0.3)) + 0.12 * noise / noise.std()
    mask = mask > 0.5
    if kind == "missing slices":
        filled = np.flatnonzero(mask.any(axis=(0, 1)))
        mask[:, :, filled[: rng.integers(1, 5)]] = False
    return matrix, image_on(mask.astype(np.uint8), grid)


def by_ants(mask: nib.Nifti1Image, template: nib.Nifti1Image) -> np.ndarray:
    """Register the masks with ANTs' affine transform and keep nine of its parameters."""
    import ants

    def image(of: nib.Nifti1Image) -> ants.ANTsImage:
        grid = grid_of(of)
        size = np.maximum(3.0 / grid.spacing, 1.0)
        affine = grid.affine @ np.diag([*size, 1.0])
        shape = tuple(int(n) for n in np.ceil(np.asarray(grid.shape) / size))
        coarse = resample(
            np.asarray(of.dataobj, dtype=np.float32), grid.affine, Grid(shape, affine), average=True
        )
        return transforms.to_ants(image_on(coarse, Grid(shape, affine)))

    fixed, moving = image(template), image(mask)
    start = ants.affine_initializer(fixed, moving, search_factor=15, radian_fraction=0.3)
    found = ants.registration(
        fixed, moving, "Affine", initial_transform=start, aff_metric="meansquares", random_seed=1
    )
    affine = np.eye(4)
    for path in found["fwdtransforms"]:
        affine = affine @ transforms.from_ants_transform(ants.read_transform(path))
    scales, offsets, rotations, _ = decompose(affine)
    return compose(scales, offsets, rotations)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10, help="per kind of mask")
    parser.add_argument("--with-ants", action="store_true", help="compare with ANTs")
    arguments = parser.parse_args()
    template = nib.load(templates.packaged().brain_mask)
    points = surface(template)[::20]
    rows = []
    for kind in KINDS:
        rng = np.random.default_rng(KINDS.index(kind))
        errors, seconds, shears, ants_errors = [], [], [], []
        for _ in range(arguments.trials):
            truth, mask = simulate(rng, kind, template, points)
            began = time.process_time()
            found = nine_parameter(mask, template)
            seconds.append(time.process_time() - began)
            off = apply_affine(found, points) - apply_affine(truth, points)
            errors.append(float(np.linalg.norm(off, axis=1).mean()))
            shears.append(float(np.abs(decompose(found)[3]).max()))
            if arguments.with_ants:
                off = apply_affine(by_ants(mask, template), points) - apply_affine(truth, points)
                ants_errors.append(float(np.linalg.norm(off, axis=1).mean()))
        rows.append(
            {
                "masks": kind,
                "trials": len(errors),
                "mean_error_mm": float(np.mean(errors)),
                "largest_mean_error_mm": float(np.max(errors)),
                "largest_shear": float(np.max(shears)),
                "cpu_seconds": float(np.mean(seconds)),
                **({"ants_mean_error_mm": float(np.mean(ants_errors))} if ants_errors else {}),
            }
        )
    print("| masks | trials | mean error (mm) | largest | largest shear | CPU (s) | ANTs (mm) |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['masks']} | {row['trials']} | {row['mean_error_mm']:.2f} | "
            f"{row['largest_mean_error_mm']:.2f} | {row['largest_shear']:.0e} | "
            f"{row['cpu_seconds']:.1f} | {row.get('ants_mean_error_mm', float('nan')):.2f} |"
        )
    print(f"\nTarget: mean error at most {TARGET_MM} mm, no shear.")
    print(f"Written to {write_result('normalisation', rows)}")


if __name__ == "__main__":
    main()
