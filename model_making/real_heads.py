"""Real FLAIR images with expert lesion masks on the network's grid, for the shipped FLAIR model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from ctwml_bids.errors import NoInputError
from ctwml_bids.preprocessing.flair_brain import flair_mask
from ctwml_bids.preprocessing.nine_parameters import nine_parameter
from ctwml_bids.preprocessing.orthonormal import orthonormal
from ctwml_bids.segmentation import brain_network
from model_making import shipped_heads

# Subjects of the development data that may train lesion networks; each is reported left out.
LABELLED = ("lj07", "lj19", "mb104252", "mb105074", "mb105465", "mb105911")
_LESIONS = "space-FLAIR_label-WMH_desc-expert_mask.nii.gz"


def make_real_heads(
    bids_dir: Path, folder: Path, subjects: Sequence[str] = LABELLED, poses: int = 4
) -> None:
    """Lay real FLAIR images and their expert masks on the network's grid, in several poses each.

    Brain mask and pose come from the program's own functions; every pose has another small error,
    and so has the brain mask of some. Subjects whose heads are there are passed over.

    Parameters
    ----------
    bids_dir
        Data set with ``derivatives/reference`` that holds the expert masks in FLAIR space.
    folder
        Where the heads go, beside the simulated ones.
    subjects
        Labels, a part of `LABELLED`.
    poses
        Copies of each image.

    Raises
    ------
    NoInputError
        If a subject may not be trained on, or its image or mask is missing.
    """
    grid = shipped_heads.shipped_grid()
    template = shipped_heads.template_mask()
    for number, label in enumerate(subjects):
        if label not in LABELLED:
            raise NoInputError(f"sub-{label} has no expert mask to train on, or must not be seen.")
        names = [f"real-{label}_pose-{pose}_flair" for pose in range(poses)]
        if all((folder / f"{name}_image.npy").is_file() for name in names):
            continue
        image, lesions = _pair(bids_dir, label)
        brain = flair_mask(image, brain_network.predictor()).mask
        transform = nine_parameter(brain, template)
        for pose, name in enumerate(names):
            rng = np.random.default_rng([number, pose, 12])
            found = brain if pose % 2 == 0 else None
            head = shipped_heads.on_grid(
                rng, image, lesions, brain, transform, grid, "flair", found
            )
            channels, labels = shipped_heads.training_arrays(rng, head, grid, "flair")
            facts = {"subject": f"sub-{label}", "grid_voxel_ml": head.voxel_ml}
            shipped_heads.save_head(folder, name, channels, labels, facts)
        print(f"sub-{label} done", flush=True)


def _pair(bids_dir: Path, label: str) -> tuple[nib.Nifti1Image, nib.Nifti1Image]:
    """Return a FLAIR and its lesions (float32), both with orthonormal axes."""
    stem = f"sub-{label}/anat/sub-{label}"
    paths = [
        bids_dir / f"{stem}_FLAIR.nii.gz",
        bids_dir / f"derivatives/reference/{stem}_{_LESIONS}",
    ]
    for path in paths:
        if not path.is_file():
            raise NoInputError(f"{path} is missing; it is needed to train on sub-{label}.")
    image, mask = (nib.load(path) for path in paths)
    lesions = nib.Nifti1Image((np.asarray(mask.dataobj) > 0).astype(np.float32), mask.affine)
    return orthonormal(image, 0.0), orthonormal(lesions, 0.0)
