from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.preprocessing.blocks import block_mean
from ctwml_bids.preprocessing.flair_ventricles import flair_ventricles
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on
from ctwml_bids.preprocessing.orthonormal import orthonormal
from ctwml_bids.preprocessing.template_pose import TEMPLATE, template_pose
from ctwml_bids.preprocessing.ventricles import ct_ventricles
from tests.preprocessing.head_phantom import centred_grid, ellipsoid


def scene(lesion_hu=None):
    """Two long spaces of fluid in tissue; the template's are half as wide."""
    grid = centred_grid((100, 120, 50), (1.2, 1.2, 2.5))
    brain = ellipsoid(grid, np.array([58.0, 70.0, 60.0]))
    wide = np.zeros(grid.shape, bool)
    narrow = np.zeros(grid.shape, bool)
    for side in (-1, 1):
        wide |= ellipsoid(grid, np.array([9.0, 30.0, 12.0]), (14 * side, 0, 14))
        narrow |= ellipsoid(grid, np.array([4.5, 26.0, 8.0]), (12 * side, 0, 14))
    hu = np.where(brain, 31.0, -1000.0)
    if lesion_hu is not None:
        for side in (-1, 1):
            hu[ellipsoid(grid, np.array([16.0, 36.0, 18.0]), (18 * side, 0, 14))] = lesion_hu
    hu[wide] = 5.0
    noise = np.random.default_rng(0).normal(0, 4, grid.shape)
    image = image_on((hu + noise).astype(np.float32), grid)
    return image, brain, wide, narrow


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("lesion_hu", [None, 18.0], ids=["normal", "leukoaraiosis"])
def test_ventricles_wider_than_the_template_are_found_whole(lesion_hu):
    image, brain, wide, narrow = scene(lesion_hu)
    grid = grid_of(image)
    found = ct_ventricles(
        image,
        image_on(brain.astype(np.uint8), grid),
        np.eye(4),
        image_on(narrow.astype(np.uint8), grid),
    )
    assert found.shape == image.shape
    assert dice(np.asarray(found.dataobj) > 0, wide) > 0.88


def test_fluid_near_the_surface_stays_out():
    image, brain, wide, narrow = scene()
    grid = grid_of(image)
    data = np.asarray(image.dataobj).copy()
    # A fissure from the ventricle's side to the brain's surface.
    fissure = ellipsoid(grid, np.array([22.0, 4.0, 4.0]), (40, 0, 14)) & brain & ~wide
    data[fissure] = 5
    found = ct_ventricles(
        image_on(data, grid),
        image_on(brain.astype(np.uint8), grid),
        np.eye(4),
        image_on(narrow.astype(np.uint8), grid),
    )
    inside = np.asarray(found.dataobj) > 0
    assert (inside & fissure).sum() < 0.35 * fissure.sum()
    assert dice(inside, wide) > 0.85


# Half axes (mm) of either ventricle: 17 to 260 mL for both.
WIDTHS = [(9, 30, 7), (12, 36, 14), (18, 42, 20), (22, 46, 24), (24, 50, 26)]


@pytest.mark.parametrize("axes", WIDTHS, ids=lambda axes: "x".join(map(str, axes)))
@pytest.mark.parametrize("noise", [2.0, 5.0])
def test_ventricles_of_any_width_are_found_and_sulci_left(axes, noise):
    grid = centred_grid((120, 150, 50), (1.2, 1.2, 2.8))
    brain = ellipsoid(grid, np.array([66.0, 84.0, 64.0]))
    true, narrow, sulci = (np.zeros(grid.shape, bool) for _ in range(3))
    for side in (-1, 1):
        true |= ellipsoid(grid, np.array(axes, float), ((axes[0] + 2) * side, 0, 8))
        narrow |= ellipsoid(grid, np.array([4.5, 26.0, 8.0]), (9 * side, 0, 8))
        # A Sylvian fissure as wide as in atrophy.
        sulci |= ellipsoid(grid, np.array([10.0, 25.0, 5.0]), (60 * side, 0, -15)) & brain
    sulci &= ~true
    hu = np.where(brain, 31.0, -1000.0)
    hu[true | sulci] = 5.0
    hu += np.random.default_rng(0).normal(0, noise, grid.shape)
    found = ct_ventricles(
        image_on(hu.astype(np.float32), grid),
        image_on(brain.astype(np.uint8), grid),
        np.eye(4),
        image_on(narrow.astype(np.uint8), grid),
    )
    inside = np.asarray(found.dataobj) > 0
    assert dice(inside, true) > 0.9
    assert (inside & sulci).sum() < 0.02 * sulci.sum()


@pytest.mark.parametrize("name", ["ct", "flair"])
def test_ventricles_of_simulated_hydrocephalus_are_found_whole(wide_pair, name):
    image, truth = getattr(wide_pair, name), getattr(wide_pair, f"{name}_truth")
    upright, brain, true = (
        orthonormal(part, fill)
        for part, fill in (
            (image_on(np.asarray(image.dataobj, np.float32), grid_of(image)), -1000.0),
            (truth.brain, 0.0),
            (truth.ventricles, 0.0),
        )
    )
    template = nib.load(
        TEMPLATE / "tpl-MNI152NLin2009aSym_res-1_label-lateralventricles_mask.nii.gz"
    )
    find = ct_ventricles if name == "ct" else flair_ventricles
    found = find(upright, brain, getattr(wide_pair, f"template_to_{name}"), template)
    assert dice(np.asarray(found.dataobj) > 0, np.asarray(true.dataobj) > 0.5) > 0.88


def test_no_fluid_gives_an_empty_mask():
    image, brain, _, narrow = scene()
    grid = grid_of(image)
    flat = image_on(np.where(brain, 31, -1000).astype(np.float32), grid)
    found = ct_ventricles(
        flat,
        image_on(brain.astype(np.uint8), grid),
        np.eye(4),
        image_on(narrow.astype(np.uint8), grid),
    )
    assert not np.asarray(found.dataobj).any()


def test_real_atrophied_ventricles_are_found(bids_real, real_brain):
    image, brain = real_brain("sub-ge01", 1.0)
    mask, grid = brain.mask, grid_of(image)
    template = nib.load(
        TEMPLATE / "tpl-MNI152NLin2009aSym_res-1_label-lateralventricles_mask.nii.gz"
    )
    found = np.asarray(ct_ventricles(image, mask, template_pose(mask)[0], template).dataobj) > 0
    reference = bids_real / "derivatives/reference/sub-ge01/anat"
    truth = nib.as_closest_canonical(nib.load(next(reference.glob("*label-ventricle*.nii.gz"))))
    whole = Grid(truth.shape, truth.affine)
    true = block_mean(np.asarray(truth.dataobj) > 0, whole, 1.0)[0] >= 0.5
    assert (found & true).sum() / true.sum() > 0.75
    assert 20 < found.sum() * grid.voxel_ml < 60
