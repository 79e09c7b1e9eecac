"""ANTs applies the written files in the order that docs/outputs.md gives."""

from __future__ import annotations

from pathlib import Path

import ants
import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine
from scipy import ndimage

from ctwml_bids.preprocessing import transforms
from ctwml_bids.preprocessing.deformable import Deformation, displacement, warp_to_template
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on
from ctwml_bids.preprocessing.nine_parameters import compose

TEMPLATE = Grid(
    (24, 26, 22), np.array([[2.0, 0, 0, -23], [0, 2, 0, -30], [0, 0, 2, -20], [0, 0, 0, 1]])
)
NINE = compose([1.15, 0.9, 1.05], [14.0, -9.0, 6.0], [0.15, -0.1, 0.2])


@pytest.fixture
def image() -> nib.Nifti1Image:
    """Make blobs around where the template's grid comes to lie."""
    affine = np.diag([1.6, 1.8, 2.5, 1.0])
    affine[:3, 3] = apply_affine(NINE, [0.0, -5, 0]) - affine[:3, :3] @ [22, 22, 14]
    blobs = ndimage.gaussian_filter(np.random.default_rng(5).random((44, 44, 28)), 2.5)
    return image_on((1000 * blobs).astype(np.float32), Grid((44, 44, 28), affine))


@pytest.fixture
def field() -> nib.Nifti1Image:
    """Displace by up to 5 mm, differently from place to place."""
    noise = np.random.default_rng(6).standard_normal((*TEMPLATE.shape, 1, 3))
    smooth = ndimage.gaussian_filter(noise, (5, 5, 5, 0, 0))
    image = nib.Nifti1Image((5 * smooth / np.abs(smooth).max()).astype(np.float32), TEMPLATE.affine)
    image.header.set_intent(1007)
    return image


def by_ants(fixed: nib.Nifti1Image, moving: nib.Nifti1Image, files: list[Path]) -> np.ndarray:
    grids = transforms.to_ants(fixed), transforms.to_ants(moving)
    return ants.apply_transforms(*grids, [str(file) for file in files]).numpy()


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Mean difference where both images see, in percent of the image's SD."""
    both = (ours > 0) & (theirs > 0)
    assert both.mean() > 0.5
    return 100 * float(np.abs(ours - theirs)[both].mean() / ours[both].std())


def test_from_the_templates_grid_the_field_comes_first(tmp_path, image, field):
    transforms.write_itk(tmp_path / "nine.txt", NINE)
    field.to_filename(tmp_path / "field.nii.gz")
    files = [tmp_path / "field.nii.gz", tmp_path / "nine.txt"]
    template = image_on(np.zeros(TEMPLATE.shape, np.float32), TEMPLATE)
    ours = warp_to_template(image, NINE, Deformation(field, field), TEMPLATE)
    assert difference(ours, by_ants(template, image, files)) < 0.1
    assert difference(ours, by_ants(template, image, files[::-1])) > 5


def test_from_the_images_grid_the_nine_parameters_come_first(tmp_path, image, field):
    to_template = np.linalg.inv(NINE)
    transforms.write_itk(tmp_path / "nine.txt", to_template)
    field.to_filename(tmp_path / "field.nii.gz")
    files = [tmp_path / "nine.txt", tmp_path / "field.nii.gz"]
    blobs = ndimage.gaussian_filter(np.random.default_rng(7).random(TEMPLATE.shape), 2)
    atlas = image_on((1000 * blobs).astype(np.float32), TEMPLATE)
    grid = grid_of(image)
    points = apply_affine(to_template @ grid.affine, np.indices(grid.shape).reshape(3, -1).T)
    points = points + displacement(field, points)
    indices = apply_affine(np.linalg.inv(TEMPLATE.affine), points).T
    ours = ndimage.map_coordinates(np.asarray(atlas.dataobj), indices, order=1)
    ours = ours.reshape(grid.shape)
    theirs, swapped = (by_ants(image, atlas, order) for order in (files, files[::-1]))
    seen = (ours > 300) & (theirs > 300) & (swapped > 300)
    assert seen.mean() > 0.1
    spread = ours[seen].std()
    assert np.median(np.abs(ours - theirs)[seen]) < 0.001 * spread
    assert np.median(np.abs(ours - swapped)[seen]) > 0.05 * spread
