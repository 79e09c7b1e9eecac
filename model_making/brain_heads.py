"""Heads for training the brain network, read from a BIDS data set with brain masks."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from ctwml_bids.preprocessing.brain_border import follow_tissue
from ctwml_bids.preprocessing.distances import signed_distance
from ctwml_bids.preprocessing.grids import Grid, grid_of, resample
from ctwml_bids.preprocessing.head_grid import (
    HEAD_SHAPE,
    HEAD_SPACING_MM,
    TOP_MARGIN_MM,
    head_grid,
    head_mask,
    scale_intensity,
)
from model_making.brain_augmentation import FINE_MM, TrainingHead

# Room around the network's grid, so that a rotated or shifted view still finds the head.
MARGIN_MM = 16.0
# Reference masks made on T1 may miss a centimetre of frontal lobe and the cerebellum's base.
REFERENCE_REACH_MM = 15.0
REFERENCE_CORE_MM = 6.0
# Fat is suppressed on these images; coil shading makes the cerebellum's base very bright.
REFERENCE_BRIGHTEST = 1.8


def fine_grid(network_grid: Grid) -> Grid:
    """Grid at `FINE_MM` with the centre of the network's grid and `MARGIN_MM` around it."""
    extent = (np.asarray(HEAD_SHAPE) - 1) * HEAD_SPACING_MM + 2 * MARGIN_MM
    shape = tuple(int(n) for n in np.round(extent / FINE_MM) + 1)
    affine = np.diag([FINE_MM] * 3 + [1.0])
    centre = network_grid.affine[:3, 3] + (np.asarray(HEAD_SHAPE) - 1) * HEAD_SPACING_MM / 2
    affine[:3, 3] = centre - (np.asarray(shape) - 1) * FINE_MM / 2
    return Grid(shape, affine)


def corrected_mask(image: nib.Nifti1Image, reference: nib.Nifti1Image) -> np.ndarray:
    """Redraw a rough reference mask on the image it belongs to; bool on the image's grid.

    Needed because masks carried over from another contrast or an atlas cut frontal cortex and
    the base of the cerebellum in some subjects: a network trained on them would learn to.
    """
    array = np.asarray(image.dataobj, dtype=np.float32)
    rough = np.asarray(reference.dataobj) > 0
    return follow_tissue(
        array,
        rough,
        grid_of(image).spacing,
        reach_mm=REFERENCE_REACH_MM,
        core_mm=REFERENCE_CORE_MM,
        brightest=REFERENCE_BRIGHTEST,
    )


def training_head(
    name: str, image: nib.Nifti1Image, brain: np.ndarray, others: tuple[nib.Nifti1Image, ...] = ()
) -> TrainingHead:
    """Lay a head, its brain mask and further contrasts (aligned by header) on the fine grid."""
    network_grid = head_grid(image)
    grid = fine_grid(network_grid)
    fraction = resample(brain.astype(np.float32), image.affine, grid, average=True)
    inside = fraction > 0.5
    depth = signed_distance(inside, np.ones(3))
    contrasts = []
    for one in (image, *others):
        data = np.nan_to_num(np.asarray(one.dataobj, dtype=np.float32))
        array = resample(data, one.affine, grid, fill=float(data.min()), average=True)
        contrasts.append(scale_intensity(array, head_mask(array)).astype(np.float16))
    # The network's grid was placed with the head's top this far below its own.
    top_mm = network_grid.affine[2, 3] + (HEAD_SHAPE[2] - 1) * HEAD_SPACING_MM - TOP_MARGIN_MM
    top = round((top_mm - grid.affine[2, 3]) / FINE_MM)
    return TrainingHead(
        name,
        tuple(contrasts),
        fraction.astype(np.float16),
        (depth * FINE_MM).astype(np.float16),
        int(top),
    )


def labelled_heads(data: Path, reference: Path, subjects: list[str]) -> list[TrainingHead]:
    """Read every FLAIR of the subjects that has a brain mask under ``reference``."""
    heads = []
    for subject in subjects:
        for path in sorted((data / subject).rglob("*_FLAIR.nii.gz")):
            relative = path.relative_to(data)
            stem = path.name.removesuffix("_FLAIR.nii.gz")
            mask = reference / relative.parent / f"{stem}_space-FLAIR_desc-brain_mask.nii.gz"
            if not mask.is_file():
                continue
            image = nib.load(path)
            t1w = path.with_name(f"{stem}_T1w.nii.gz")
            others = (nib.load(t1w),) if t1w.is_file() else ()
            heads.append(training_head(stem, image, corrected_mask(image, nib.load(mask)), others))
    return heads
