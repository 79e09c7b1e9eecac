"""Bringing a brain to the simulation's working grid: affine, then a stiff deformation.

Skull, eyes and ventricles fit the template's afterwards, while the folds stay the subject's own.
"""

from __future__ import annotations

import ants
import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids.preprocessing.transforms import to_ants
from ctwml_bids.simulation import canonical
from model_making.anatomy_tissues import WHITE

# Smoothing (SD, mm) of the maps that steer the deformation: folds are narrower than this.
STEER_MM = {"brain": 2.0, "ventricles": 1.5, "white": 3.5}
REGISTRATION_MM = 3.0


def working_image(array: np.ndarray) -> ants.ANTsImage:
    """Return an array on the simulation's working grid as an ANTs image."""
    affine = np.eye(4)
    affine[:3, 3] = canonical.ORIGIN
    return to_ants(nib.Nifti1Image(np.asarray(array, dtype=np.float32), affine))


def sample(image: ants.ANTsImage, transforms: list[str], how: str = "bSpline") -> np.ndarray:
    """Take an image onto the working grid through ANTs transforms (float32)."""
    fixed = working_image(np.zeros(canonical.SHAPE))
    return ants.apply_transforms(fixed, image, transforms, interpolator=how).numpy()


def affine_to_template(brain: ants.ANTsImage, template_mask: np.ndarray) -> list[str]:
    """Return the affine transform that brings a brain mask to the template's (working grid)."""
    labels = [
        ants.resample_image(image, (REGISTRATION_MM,) * 3)
        for image in (working_image(template_mask), brain)
    ]
    result = ants.registration(
        *labels, "Affine", aff_metric="meansquares", random_seed=1, aff_sampling=0
    )
    return result["fwdtransforms"]


def steering_maps(fractions: np.ndarray, mask: np.ndarray, ventricles: np.ndarray) -> list:
    """Return the smooth maps that the deformation aligns, coarse ANTs images scaled alike."""
    maps = {"brain": mask, "ventricles": ventricles, "white": fractions[WHITE]}
    images = []
    for name, array in maps.items():
        smooth = ndimage.gaussian_filter(array.astype(np.float32), STEER_MM[name])
        images.append(ants.resample_image(working_image(smooth), (REGISTRATION_MM,) * 3))
    return images


def stiff_deformation(
    fixed: list, moving: list, iterations: tuple[int, int, int] = (60, 40, 15)
) -> list[str]:
    """Return the transforms (no affine) that bring smooth maps into rough agreement.

    ``iterations`` are those at 12, 6 and 3 mm.
    """
    extras = [("MeanSquares", fixed[k], moving[k], weight, 0) for k, weight in ((1, 1.0), (2, 0.6))]
    result = ants.registration(
        fixed[0],
        moving[0],
        "SyNOnly",
        initial_transform="identity",
        syn_metric="meansquares",
        syn_sampling=0,
        multivariate_extras=extras,
        reg_iterations=iterations,
        grad_step=0.25,
        flow_sigma=5,
        total_sigma=0.7,
        random_seed=1,
    )
    return [path for path in result["fwdtransforms"] if path.endswith(".nii.gz")]


def template_fractions() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the template's fractions (3, x, y, z), brain mask and lateral ventricles."""
    head = canonical.canonical_head()
    mask = head.brain > 0.5
    fluid = np.clip(1 - head.grey - head.white, 0, 1) * mask
    return np.stack([fluid, head.grey, head.white]), mask, head.ventricle_distance < 0
