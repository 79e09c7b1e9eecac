"""The picture of the README: lesions found on one unit's CT, axial brain slices only.

python -m benchmarks.picture BIDS_DIR OUT_DIR sub-ge01 docs/images/ge01.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np

from ctwml_bids.bids.files import write_bytes
from ctwml_bids.preprocessing.grids import grid_of, resample
from ctwml_bids.preprocessing.hounsfield import read_ct
from ctwml_bids.reports.figures import mosaic


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("unit")
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    unit = arguments.unit
    image = read_ct(arguments.bids_dir / unit / "ct" / f"{unit}_ct.nii.gz").image
    masks = {}
    for name in ("desc-brain", "label-WML_desc-ct"):
        mask = nib.load(arguments.output_dir / unit / f"anat/{unit}_space-CT_{name}_mask.nii.gz")
        masks[name] = resample(np.asarray(mask.dataobj), mask.affine, grid_of(image)) >= 0.5
    brain = masks["desc-brain"]
    # From the midbrain to the vertex: lower slices show skull base and orbits.
    filled = np.flatnonzero(brain.any(axis=(0, 1)))
    upper = brain.copy()
    upper[:, :, : filled[int(0.35 * len(filled))]] = False
    png = mosaic(
        np.asarray(image.dataobj),
        image.affine,
        brain=upper,
        lesions=masks["label-WML_desc-ct"],
        count=9,
    )
    print(write_bytes(arguments.picture, png))


if __name__ == "__main__":
    main()
