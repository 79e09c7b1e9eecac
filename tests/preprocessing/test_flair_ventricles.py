"""Ventricles on FLAIR: a phantom with atrophy, and expert masks on real heads."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import ctwml_bids
from ctwml_bids.preprocessing.flair_brain import flair_mask
from ctwml_bids.preprocessing.flair_ventricles import flair_ventricles
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on, resample
from ctwml_bids.preprocessing.nine_parameters import nine_parameter
from ctwml_bids.segmentation.brain_network import predictor

SHAPE, SPACING = (100, 120, 30), np.array([1.5, 1.5, 4.0])


def ellipsoid(radii, centre=(0, 0, 0)) -> np.ndarray:
    """Mask of an ellipsoid, radii and centre in mm from the middle of the grid."""
    axes = [s * (np.arange(n) - (n - 1) / 2) for s, n in zip(SPACING, SHAPE, strict=True)]
    grid = np.meshgrid(*axes, indexing="ij")
    return sum(((a - c) / r) ** 2 for a, c, r in zip(grid, centre, radii, strict=True)) < 1


def grid() -> Grid:
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = -(np.asarray(SHAPE) - 1) / 2 * SPACING
    return Grid(SHAPE, affine)


BRAIN = ellipsoid((65, 80, 55))
VENTRICLES = ellipsoid((12, 30, 13), (20, 8, 18)) | ellipsoid((12, 30, 13), (-20, 8, 18))
TEMPLATE = ellipsoid((7, 22, 8), (18, 8, 16)) | ellipsoid((7, 22, 8), (-18, 8, 16))
SULCUS = ellipsoid((20, 4, 20), (58, 10, 10)) & BRAIN
# In front of the callosum, from between the frontal horns to the brain's surface.
FISSURE = ellipsoid((2.5, 30, 40), (0, 52, 10)) & BRAIN


def flair() -> np.ndarray:
    values = np.where(BRAIN, 100.0, 0.0)
    values[VENTRICLES | SULCUS | FISSURE] = 15
    # Coil shading, as strong as on real images.
    values *= np.linspace(0.8, 1.3, SHAPE[1])[None, :, None]
    noise = np.random.default_rng(0).normal(0, 4, SHAPE)
    return (values + np.abs(noise)).astype(np.float32)


def images(values):
    where = grid()
    return (
        image_on(values, where),
        image_on(BRAIN.astype(np.uint8), where),
        image_on(TEMPLATE.astype(np.uint8), where),
    )


def test_wide_ventricles_are_found_whole_without_sulcus_and_fissure():
    image, brain, template = images(flair())
    found = np.asarray(flair_ventricles(image, brain, np.eye(4), template).dataobj) > 0
    assert 2 * np.sum(found & VENTRICLES) / (found.sum() + VENTRICLES.sum()) > 0.93
    assert not np.any(found & SULCUS)
    assert np.sum(found & FISSURE) < 0.02 * FISSURE.sum()


@pytest.mark.parametrize("low", [-100.0, -1000.0, -30000.0])
def test_bad_voxels_below_leave_the_ventricles_as_they_are(low):
    image, brain, template = images(flair())
    values = flair()
    values[2, 2:30, 2] = low
    changed = flair_ventricles(image_on(values, grid()), brain, np.eye(4), template)
    plain = flair_ventricles(image, brain, np.eye(4), template)
    np.testing.assert_array_equal(np.asarray(changed.dataobj), np.asarray(plain.dataobj))


def test_template_is_carried_by_the_transform():
    image, brain, template = images(flair())
    straight = flair_ventricles(image, brain, np.eye(4), template)
    angle = np.radians(25)
    moved = np.eye(4)
    moved[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    moved[:3, 3] = (30, -12, 8)
    there = [nib.Nifti1Image(one.dataobj, moved @ one.affine) for one in (image, brain)]
    carried = flair_ventricles(*there, moved, template)
    np.testing.assert_array_equal(np.asarray(carried.dataobj), np.asarray(straight.dataobj))


def test_nothing_dark_gives_an_empty_mask_on_the_same_grid():
    image, brain, template = images(np.where(BRAIN, 100, 0).astype(np.float32))
    result = flair_ventricles(image, brain, np.eye(4), template)
    assert result.shape == SHAPE
    assert not np.any(np.asarray(result.dataobj))
    np.testing.assert_array_equal(result.affine, image.affine)


def test_real_ventricles_agree_better_with_the_expert_than_the_template_does(bids_real):
    subject = "sub-mb105465"
    image = nib.load(bids_real / subject / "anat" / f"{subject}_FLAIR.nii.gz")
    expert = nib.load(
        bids_real
        / f"derivatives/reference/{subject}/anat"
        / f"{subject}_space-FLAIR_label-ventricle_desc-expert_mask.nii.gz"
    )
    template = get_template()
    brain = flair_mask(image, predictor()).mask
    matrix = nine_parameter(brain, template["brain"])
    found = np.asarray(
        flair_ventricles(image, brain, matrix, template["ventricles"]).dataobj
    ).astype(bool)
    truth = np.asarray(expert.dataobj) > 0
    carried = resample(
        np.asarray(template["ventricles"].dataobj, dtype=np.float32),
        template["ventricles"].affine,
        grid_of(image),
        np.linalg.inv(matrix),
        average=True,
    )
    assert dice(found, truth) > max(0.68, dice(carried > 0.5, truth) + 0.2)


def dice(a, b) -> float:
    return 2 * np.sum(a & b) / (a.sum() + b.sum())


def get_template() -> dict[str, nib.Nifti1Image]:
    folder = Path(ctwml_bids.__file__).parent / "data/templates/tpl-MNI152NLin2009aSym"
    stem = "tpl-MNI152NLin2009aSym_res-1"
    return {
        "brain": nib.load(folder / f"{stem}_desc-brain_mask.nii.gz"),
        "ventricles": nib.load(folder / f"{stem}_label-lateralventricles_mask.nii.gz"),
    }
