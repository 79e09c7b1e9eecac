"""Make individual anatomies for the simulation from T1w and FLAIR images of real subjects.

One file a subject: tissue fractions, brain and lateral ventricles on the simulation's working
grid in the template's frame. The deformation to the template is stiff, so that skull, eyes and
ventricles fit while the folds stay the subject's own. Run from the repository root:
``python -m model_making.make_anatomies BIDS_DIR training/anatomies --participant-label ll01 lj07``.
Anatomies that networks are tested on (``--for-tests``) go to a folder of their own.
The files hold what real people's brains look like; they are not distributed.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import ants
import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids.preprocessing.flair_brain import flair_mask
from ctwml_bids.preprocessing.transforms import to_ants
from ctwml_bids.segmentation.brain_network import predictor
from ctwml_bids.simulation import canonical
from ctwml_bids.simulation.individual import write_anatomy
from model_making.anatomy_tissues import (
    CSF,
    GREY,
    WHITE,
    hull,
    lateral_ventricles,
    tissue_fractions,
    with_deep_grey,
    without_lesions,
)
from model_making.template_registration import (
    affine_to_template,
    sample,
    steering_maps,
    stiff_deformation,
    template_fractions,
)
from model_making.training_facts import NEVER

LOOK_Z = (-45, -25, -12, 0, 10, 20, 35, 50, 62)  # mm, slices of the picture


@dataclass(frozen=True)
class Scans:
    """One subject's images as ANTs images; brain and lesions (or None) are masks of the FLAIR.

    ``t1w_to_flair`` lists the transforms that resample the T1w onto the FLAIR.
    """

    t1w: ants.ANTsImage
    flair: ants.ANTsImage
    brain: ants.ANTsImage
    lesions: ants.ANTsImage | None
    t1w_to_flair: list[str]


def load(root: Path, label: str) -> Scans:
    """Read a subject's last session that has both images; T1w is registered to FLAIR."""
    found = sorted(root.glob(f"sub-{label}/**/anat/*_T1w.nii.gz"))
    pairs = [(t1w, Path(str(t1w).replace("_T1w", "_FLAIR"))) for t1w in found]
    pairs = [pair for pair in pairs if pair[1].exists()]
    if not pairs:
        raise SystemExit(f"sub-{label} has no T1w with a FLAIR of the same session")
    t1w_path, flair_path = pairs[-1]
    flair_nifti = nib.as_closest_canonical(nib.load(flair_path))
    t1w = to_ants(nib.as_closest_canonical(nib.load(t1w_path)))
    flair = to_ants(flair_nifti)
    # The program's own mask: reference masks of this data set miss parts of frontal lobes.
    mask = flair_mask(flair_nifti, predictor()).mask
    folder = root / "derivatives" / "reference" / flair_path.parent.relative_to(root)
    stem = flair_path.name.removesuffix("_FLAIR.nii.gz")
    expert = folder / f"{stem}_space-FLAIR_label-WMH_desc-expert_mask.nii.gz"
    lesions = to_ants(nib.as_closest_canonical(nib.load(expert))) if expert.exists() else None
    rigid: list[str] = []
    if t1w.shape != flair.shape or not np.allclose(t1w.origin, flair.origin, atol=0.1):
        rigid = ants.registration(flair, t1w, "Rigid", random_seed=1)["fwdtransforms"]
    brain = to_ants(mask)
    on_t1w = brain
    if rigid:
        on_t1w = ants.apply_transforms(t1w, brain, rigid, "nearestNeighbor", whichtoinvert=[True])
    return Scans(corrected(t1w, on_t1w), corrected(flair, brain), brain, lesions, rigid)


def corrected(image: ants.ANTsImage, mask: ants.ANTsImage) -> ants.ANTsImage:
    """Divide out the bias field that an image shows within a mask."""
    mask = ants.copy_image_info(image, mask)  # the same but for rounding, which ITK refuses
    stop = {"iters": [30, 30, 20], "tol": 1e-5}
    return ants.n4_bias_field_correction(image, mask=mask, shrink_factor=4, convergence=stop)


def make_anatomy(scans: Scans) -> dict[str, np.ndarray]:
    """Return grey, white (0-1), brain, ventricles (bool), t1w and flair on the working grid."""
    template, template_mask, template_ventricles = template_fractions()
    prior = np.stack([ndimage.gaussian_filter(part, 3.0) for part in template])
    affine = affine_to_template(scans.brain, template_mask)
    first = _segment(scans, affine, prior, template_ventricles, 9.0)
    fixed = steering_maps(template, template_mask, template_ventricles)
    moving = steering_maps(*first[:3])
    warp = stiff_deformation(fixed, moving)
    fractions, mask, ventricles, images = _segment(
        scans, [*warp, *affine], prior, template_ventricles, 6.0
    )
    fractions = with_deep_grey(fractions, template)
    return {
        "grey": fractions[GREY],
        "white": fractions[WHITE],
        "brain": mask,
        "ventricles": ventricles,
        "t1w": images[0],
        "flair": images[1],
    }


def _segment(
    scans: Scans,
    transforms: list[str],
    prior: np.ndarray,
    expected: np.ndarray,
    reach: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return fractions, brain mask, ventricles and images (2, x, y, z) on the working grid."""
    mask = sample(scans.brain, transforms, "linear") > 0.5
    t1w = sample(scans.t1w, [*transforms, *scans.t1w_to_flair])
    flair = sample(scans.flair, transforms)
    lesions = None if scans.lesions is None else sample(scans.lesions, transforms, "linear")
    images = np.stack([image / np.median(image[mask]) for image in (t1w, flair)])
    fractions, bright = tissue_fractions(images, mask, prior)
    ventricles = lateral_ventricles(fractions[CSF], expected, reach)
    mask = hull(fractions, mask) | ventricles
    filled = without_lesions(fractions, bright, ventricles, lesions) * mask
    return filled, mask, ventricles, images


def draw(path: Path, anatomy: dict[str, np.ndarray]) -> None:
    """Draw slices of images and tissues for a look: no anatomy should be used unseen."""
    fluid = anatomy["brain"] * (1 - anatomy["grey"] - anatomy["white"])
    tissues = np.stack([anatomy["grey"], anatomy["white"], fluid], axis=-1).clip(0, 1)
    figure, axes = plt.subplots(3, len(LOOK_Z), figsize=(3 * len(LOOK_Z), 11))
    for column, z in zip(axes.T, LOOK_Z, strict=True):
        k = int(z - canonical.ORIGIN[2])
        for axis, name in zip(column[:2], ("t1w", "flair"), strict=True):
            axis.imshow(anatomy[name][:, :, k].T, "gray", origin="lower", vmin=0, vmax=1.5)
            for outline, colour in (("brain", "r"), ("ventricles", "c")):
                axis.contour(anatomy[outline][:, :, k].T, [0.5], colors=colour, linewidths=0.5)
        column[2].imshow(tissues[:, :, k].transpose(1, 0, 2), origin="lower")
    for axis in axes.ravel():
        axis.axis("off")
    figure.tight_layout(pad=0.2)
    figure.savefig(path, dpi=50)
    plt.close(figure)


def main(argv: list[str] | None = None) -> int:
    """Write one anatomy file a subject."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--participant-label", nargs="+", required=True)
    parser.add_argument(
        "--for-tests", action="store_true", help="allow subjects that no network may be trained on"
    )
    options = parser.parse_args(argv)
    refused = {label for label in options.participant_label if f"sub-{label}" in NEVER}
    if refused and not options.for_tests:
        raise SystemExit(
            f"the program is tested on {sorted(refused)}: give --for-tests and a folder that no "
            "training reads"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    for label in options.participant_label:
        print(label, flush=True)
        anatomy = make_anatomy(load(options.bids_dir, label))
        draw(options.out / f"sub-{label}.png", anatomy)
        maps = (anatomy[name] for name in ("grey", "white", "brain", "ventricles"))
        write_anatomy(options.out / f"sub-{label}.npz", *maps)
    return 0


if __name__ == "__main__":
    sys.exit(main())
