"""Make individual anatomies for the simulation from whole-head label maps (FreeSurfer's labels).

    python -m model_making.label_anatomies LABELS training/label-anatomies anat-11 anat-17

The nine parameters that carry the template's brain to a head bring its labels to the template, so
its folds and cisterns stay its own. Lesions become white matter.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids import templates
from ctwml_bids.preprocessing.brain_border import largest
from ctwml_bids.preprocessing.distances import closed
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on, resample
from ctwml_bids.preprocessing.nine_parameters import nine_parameter
from ctwml_bids.simulation import canonical
from ctwml_bids.simulation.individual import write_anatomy

WHITE = (2, 41, 7, 46, 16, 28, 60, 85, 25, 57)
GREY = (3, 42, 8, 47, 10, 49, 11, 50, 12, 51, 13, 52, 17, 53, 18, 54, 26, 58)
LATERAL_VENTRICLES = (4, 5, 43, 44, 136, 163, 137, 164)  # with their choroid plexus
OTHER_VENTRICLES, SULCI = (14, 15, 72), (24, 30, 62)
CLOSED_MM = 6.0  # the brain mask bridges sulci up to twice this wide
EVERY = 3  # voxel that is used to fit the template


def make_anatomy(path: Path, out: Path) -> None:
    """Write one anatomy file of the label map's name."""
    image = nib.as_closest_canonical(nib.load(path))
    labels, grid = np.asarray(image.dataobj).astype(np.int16), grid_of(image)
    tissue = np.isin(labels, WHITE + GREY + LATERAL_VENTRICLES + OTHER_VENTRICLES)
    brain = closed(tissue, CLOSED_MM, grid.spacing) & (tissue | np.isin(labels, SULCI))
    brain = ndimage.binary_fill_holes(largest(brain))
    few = brain[::EVERY, ::EVERY, ::EVERY].astype(np.uint8)
    coarse = Grid(few.shape, grid.affine @ np.diag([EVERY] * 3 + [1.0]))
    template = nib.load(templates.packaged().brain_mask)
    frame = nine_parameter(image_on(few, coarse), template, seed=1)
    affine = np.eye(4)
    affine[:3, 3] = canonical.ORIGIN
    working = Grid(canonical.SHAPE, affine)
    parts = (np.isin(labels, GREY), np.isin(labels, WHITE), brain)
    parts = (*parts, np.isin(labels, LATERAL_VENTRICLES))
    grey, white, inside, ventricles = (
        resample(part.astype(np.float32), grid.affine, working, frame, average=True)
        for part in parts
    )
    inside = (inside > 0.5) & (canonical.coordinates()[2] > canonical.FORAMEN_Z)
    name = path.name.removesuffix("_labels.nii.gz")
    write_anatomy(out / f"{name}.npz", grey, white, inside, ventricles > 0.5)


def main() -> None:
    """Write one anatomy file for each name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", type=Path, help="folder of <name>_labels.nii.gz")
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="+")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        print(name, flush=True)
        make_anatomy(options.labels / f"{name}_labels.nii.gz", options.out)


if __name__ == "__main__":
    main()
