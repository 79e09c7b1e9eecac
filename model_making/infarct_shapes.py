"""Pack masks of real infarcts for the simulation.

``python -m model_making.infarct_shapes MASKS training/infarcts.npz`` packs what models may be
trained on, ``--for-tests`` the rest. MASKS holds ``inf-N_mask.nii.gz`` in MNI space, 1 mm.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.image_files import load_nifti
from ctwml_bids.simulation import canonical
from ctwml_bids.simulation.infarcts import InfarctShape, pack_shapes, write_shapes

# Larger ones fill a hemisphere: their patients are not those whose white matter is measured.
MOST_ML = 300.0
# Numbers that end in this digit are for test cohorts alone.
TEST_DIGIT = 7
SOURCE = (
    "Acute infarcts of the Stroke Outcome Optimization Project (OpenNeuro ds004889), "
    "neurolabusc/StrokeOutcomeOptimizationProjectDemo, BSD-2-Clause"
)


def read_mask(path: Path) -> InfarctShape:
    """Read one mask, cropped to what it holds.

    Raises
    ------
    BadDataError
        If its voxels are not those of the working grid, it is empty, or it reaches beyond.
    """
    image = nib.as_closest_canonical(load_nifti(path))
    place = image.affine[:3, 3] - canonical.ORIGIN
    if not np.allclose(image.affine[:3, :3], np.eye(3)) or not np.allclose(place, np.round(place)):
        raise BadDataError(f"{path}: its voxels are not those of MNI space at 1 mm")
    mask = np.asarray(image.dataobj) > 0
    if not mask.any():
        raise BadDataError(f"{path} holds no infarct")
    where = np.argwhere(mask)
    low, high = where.min(axis=0), where.max(axis=0) + 1
    start = np.round(place).astype(int) + low
    if (start < 0).any() or (start + high - low > canonical.SHAPE).any():
        raise BadDataError(f"{path} reaches beyond the simulation's grid")
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    return InfarctShape(path.name.removesuffix("_mask.nii.gz"), start, mask[box])


def mask_files(folder: Path, for_tests: bool) -> list[Path]:
    """Return the masks for training or those for tests, by number.

    Raises
    ------
    NoInputError
        If there is none.
    """
    found = {
        int(match[1]): path
        for path in folder.glob("inf-*_mask.nii.gz")
        if (match := re.fullmatch(r"inf-(\d+)_mask\.nii\.gz", path.name))
    }
    chosen = [found[n] for n in sorted(found) if (n % 10 == TEST_DIGIT) == for_tests]
    if not chosen:
        raise NoInputError(f"there are no such masks (inf-N_mask.nii.gz) in {folder}")
    return chosen


def main(arguments: Sequence[str] | None = None) -> None:
    """Pack a folder."""
    parser = argparse.ArgumentParser(description="Pack masks of real infarcts for the simulation.")
    parser.add_argument("masks", type=Path)
    parser.add_argument("to", type=Path)
    parser.add_argument("--for-tests", action="store_true", help="those that no model is shown")
    args = parser.parse_args(arguments)
    shapes = [read_mask(path) for path in mask_files(args.masks, args.for_tests)]
    kept = [shape for shape in shapes if shape.mask.sum() <= 1000 * MOST_ML]
    packed = pack_shapes(kept, args.for_tests, SOURCE)
    write_shapes(args.to, packed)
    middle = float(np.median(packed.volumes_ml))
    print(f"{len(kept)} infarcts of {middle:.1f} mL (median) written to {args.to}")


if __name__ == "__main__":
    main()
