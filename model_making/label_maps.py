"""Whole heads as label maps (FreeSurfer's labels and SynthSeg's outside the brain), and tissues.

The maps of Billot et al., Medical Image Analysis 2023 (BBillot/SynthSeg, Apache-2.0). Their
labels outside the brain have no published key; these were read off the maps. 508 lies behind the
eyes in four strips an orbit: the eye muscles. 136, 163, 137 and 164 lie in the ventricles and
inferior horns beside the thalamus: choroid plexus. 30 and 62 are small spots below the putamen,
where perivascular spaces are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids.errors import BadDataError
from ctwml_bids.image_files import load_nifti
from ctwml_bids.preprocessing.brain_border import largest
from ctwml_bids.preprocessing.distances import closed

LESIONS = (25, 57)
CEREBRAL_WHITE, CEREBRAL_GREY = (2, 41, 85, *LESIONS), (3, 42, 17, 18, 53, 54)
CEREBELLAR_WHITE, CEREBELLAR_GREY = (7, 46), (8, 47)
BRAINSTEM, DEEP_GREY = (16,), (10, 11, 12, 13, 26, 49, 50, 51, 52, 58)
VENTRAL_DIENCEPHALON = (28, 60)  # tracts and nuclei
CHOROID_PLEXUS = (136, 163, 137, 164)
LATERAL_VENTRICLES = (4, 43, 5, 44, *CHOROID_PLEXUS)
OTHER_VENTRICLES, FLUID, PERIVASCULAR = (14, 15, 72), (24,), (30, 62)
ARTERIES, EYE, SOFT_TISSUE, EYE_MUSCLE, MUCOSA, SKIN = 502, 506, 507, 508, 509, 511
SPINAL_CORD, VEINS, COMPACT, SPONGY, OPTIC_NERVE = 512, 514, 515, 516, 530
AIR = 0
TISSUE = (
    *CEREBRAL_WHITE, *CEREBRAL_GREY, *CEREBELLAR_WHITE, *CEREBELLAR_GREY, *BRAINSTEM, *DEEP_GREY,
    *VENTRAL_DIENCEPHALON, *LATERAL_VENTRICLES, *OTHER_VENTRICLES, *PERIVASCULAR,
)  # fmt: skip
KNOWN = {
    AIR, *TISSUE, *FLUID, ARTERIES, EYE, SOFT_TISSUE, EYE_MUSCLE, MUCOSA, SKIN, SPINAL_CORD, VEINS,
    COMPACT, SPONGY, OPTIC_NERVE,
}  # fmt: skip
NEEDED = {2, 41, 3, 42, 4, 43, 7, 46, 8, 47, 16, *FLUID, SOFT_TISSUE, SKIN, COMPACT}
CLOSED_MM = 6.0  # the brain mask bridges sulci up to twice this wide
LEAST_AREA = 0.3  # of its greatest that a head's cross-section has where a map begins
EXTENDED = 60  # voxels that the lowest slice is repeated below the map, where a head may be tilted


@dataclass(frozen=True)
class LabelMap:
    """A head's labels.

    Attributes
    ----------
    labels
        int16, (x, y, z) along R, A, S, 1 mm; nothing but the head, its lowest slice repeated
        `EXTENDED` times at the bottom.
    affine
        4×4, voxel indices → RAS mm.
    brain
        Brain with ventricles and sulci, bool, likewise; not in the repeated slices.
    """

    labels: np.ndarray
    affine: np.ndarray
    brain: np.ndarray


def read_label_map(path: Path) -> LabelMap:
    """Read a label map, whichever way its axes run.

    Raises
    ------
    BadDataError
        If the file has labels that are not known here, lacks one that every head has, has voxels
        of another size than 1 mm, or the hindbrain is cut.
    """
    image = nib.as_closest_canonical(load_nifti(path))
    labels = np.asarray(image.dataobj).astype(np.int16)
    found = set(np.unique(labels).tolist())
    if strange := sorted(found - KNOWN):
        raise BadDataError(f"{path} has labels whose meaning is not known: {strange}")
    if missing := sorted(NEEDED - found):
        raise BadDataError(f"{path} is no whole head: it lacks the labels {missing}")
    if not np.allclose(image.affine[:3, :3], np.eye(3), atol=1e-3):
        raise BadDataError(f"{path} does not have voxels of 1 mm along R, A and S")
    labels = np.where(largest(labels > 0), labels, AIR)
    # The lowest slices of some maps are empty, or hold a chin alone.
    area = (labels > 0).sum(axis=(0, 1))
    first = int(np.argmax(area > LEAST_AREA * area.max()))
    if np.isin(labels, CEREBELLAR_GREY)[:, :, : first + 1].any():
        raise BadDataError(f"the map of {path} ends within the cerebellum")
    labels = labels[:, :, first:]
    brain = brain_mask(labels)
    bottom = ((0, 0), (0, 0), (EXTENDED, 0))
    affine = image.affine.copy()
    affine[2, 3] += first - EXTENDED
    return LabelMap(np.pad(labels, bottom, "edge"), affine, np.pad(brain, bottom))


def brain_mask(labels: np.ndarray) -> np.ndarray:
    """Return brain with ventricles and sulci, bool: fluid counts where tissue encloses it."""
    tissue = np.isin(labels, TISSUE)
    brain = closed(tissue, CLOSED_MM, np.ones(3)) & (tissue | np.isin(labels, FLUID))
    return ndimage.binary_fill_holes(largest(brain))


def cavity(labels: np.ndarray) -> np.ndarray:
    """Return what the skull holds and the spinal canal: brain, fluid, vessels in it; bool."""
    inside = largest(np.isin(labels, (*TISSUE, *FLUID, SPINAL_CORD)))
    vessels = np.isin(labels, (ARTERIES, VEINS))
    return inside | (vessels & closed(inside, 5.0, np.ones(3)))
