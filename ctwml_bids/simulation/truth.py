"""What is true of a simulated head, on the grid of an image."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np

from ctwml_bids.geometry import bounding_box, nifti
from ctwml_bids.simulation.anatomy import BRAIN_BOX, Head
from ctwml_bids.simulation.lesions import CALCIFICATION, CAVITY, INFARCT, Lesions
from ctwml_bids.simulation.sampling import Scan, take

BOX_START = tuple(part.start for part in BRAIN_BOX)


@dataclass(frozen=True)
class Truth:
    """What is true on one image's grid; uint8 images unless said otherwise.

    Attributes
    ----------
    lesions
        White matter lesions: more than half of a voxel's tissue is lesion.
    lesion_fraction
        float32 share of each voxel that is lesion.
    infarcts
        Infarcts of all kinds: more than half of a voxel is infarct, or what was tissue before it.
        No voxel is in ``lesions``, too.
    infarct_fraction
        float32 share of each voxel that is infarct.
    brain
        Parenchyma with ventricles and sulci, cerebellum, brainstem to the foramen magnum.
    ventricles
        Lateral ventricles.
    mimics
        1 infarct (lacunes, too), 2 perivascular space, 3 calcification (see ``lesions``).
    second_rater
        Lesions as a second human outlines them; None where nobody was asked to.
    """

    lesions: nib.Nifti1Image
    lesion_fraction: nib.Nifti1Image
    infarcts: nib.Nifti1Image
    infarct_fraction: nib.Nifti1Image
    brain: nib.Nifti1Image
    ventricles: nib.Nifti1Image
    mimics: nib.Nifti1Image
    second_rater: nib.Nifti1Image | None = None


def sample_truth(
    head: Head,
    lesions: Lesions,
    matrix: np.ndarray,
    scan: Scan,
    second_rater: np.ndarray | None = None,
) -> Truth:
    """Sample all masks on a grid.

    Parameters
    ----------
    head, lesions
        What is true.
    matrix
        4×4, template to native, RAS mm.
    scan
        The grid.
    second_rater
        Fraction in anatomy.BRAIN_BOX, from ``second_rater.outline_again``.
    """
    slab = Scan(scan.shape, scan.affine, min(scan.thickness, 3.3))

    def sampled(fraction: np.ndarray) -> np.ndarray:
        if not fraction.any():
            return np.zeros(scan.shape, dtype=np.float32)
        # With a rim of nothing, so that the edge of a box is not the edge of what it holds.
        part = bounding_box(fraction != 0, 1)
        start = [first + cut.start for first, cut in zip(BOX_START, part, strict=True)]
        return take(fraction[part], start, matrix, slab, finest=1.0)

    def mask(fraction: np.ndarray) -> nib.Nifti1Image:
        return nifti((sampled(fraction) > 0.5).astype(np.uint8), scan.affine)

    fraction = sampled(lesions.lesion)
    infarct_fraction = sampled(lesions.infarct)
    infarcts = infarct_fraction > 0.5
    mimics = np.zeros(scan.shape, dtype=np.uint8)
    mimics[sampled(lesions.cavity) > 0.5] = CAVITY
    mimics[infarcts] = INFARCT
    mimics[sampled(lesions.calcification) > 0.3] = CALCIFICATION
    return Truth(
        lesions=nifti(((fraction > 0.5) & ~infarcts).astype(np.uint8), scan.affine),
        lesion_fraction=nifti(fraction, scan.affine),
        infarcts=nifti(infarcts.astype(np.uint8), scan.affine),
        infarct_fraction=nifti(infarct_fraction, scan.affine),
        brain=mask(head.brain),
        ventricles=mask(head.ventricles),
        mimics=nifti(mimics, scan.affine),
        second_rater=None if second_rater is None else mask(second_rater),
    )
