"""The largest CT that is promised: 512 x 512 x 400 voxels."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.preprocessing.ct_brain import ct_mask
from ctwml_bids.preprocessing.grids import Grid
from ctwml_bids.preprocessing.hounsfield import read_ct
from ctwml_bids.preprocessing.normalisation import network_grid, to_grid
from ctwml_bids.templates import packaged

SHAPE = (512, 512, 400)


def finer(image: nib.Nifti1Image) -> nib.Nifti1Image:
    """Cut every voxel of an image into smaller ones, all of its value, to have that shape."""
    array = np.asarray(image.dataobj)
    scale = np.array(image.shape) / SHAPE
    for axis, (size, step) in enumerate(zip(SHAPE, scale, strict=True)):
        array = array.take(((np.arange(size) + 0.5) * step).astype(int), axis=axis)
    # Centres of the small voxels: the first lies half a large one less half a small one outwards.
    affine = image.affine @ np.diag([*scale, 1.0])
    affine[:3, 3] = (image.affine @ [*(scale / 2 - 0.5), 1.0])[:3]
    return nib.Nifti1Image(array, affine)


def centre_mm(mask: nib.Nifti1Image) -> np.ndarray:
    """Return the middle of a mask's box, RAS mm."""
    filled = np.asarray(mask.dataobj) > 0
    ends = [
        np.flatnonzero(filled.any(axis=tuple({0, 1, 2} - {axis})))[[0, -1]] for axis in range(3)
    ]
    return nib.affines.apply_affine(mask.affine, np.mean(ends, axis=1))


@pytest.fixture(scope="module")
def thick(simulated):
    return nib.load(simulated / "sub-01/ct/sub-01_ct.nii.gz")


@pytest.fixture(scope="module")
def thin(thick, tmp_path_factory):
    """The CT with 400 thin slices, as it is read."""
    path = tmp_path_factory.mktemp("thin") / "sub-01_ct.nii"
    nib.save(finer(thick), path)
    loaded = read_ct(path)
    path.unlink()
    return loaded


@pytest.fixture(scope="module")
def brain(thin):
    return ct_mask(thin.image).mask


def test_400_slices_are_read_in_hounsfield_units(thin, thick):
    assert thin.image.shape == thin.native.shape == SHAPE
    spacing = np.linalg.norm(thin.image.affine[:3, :3], axis=0)
    whole = np.linalg.norm(thick.affine[:3, :3], axis=0) * thick.shape
    np.testing.assert_allclose(spacing * SHAPE, whole, rtol=1e-4)
    values = np.asarray(thick.dataobj)
    assert np.asarray(thin.image.dataobj).max() == pytest.approx(values.max())


def test_the_brain_of_400_slices_is_found(brain, simulated):
    truth = simulated / "derivatives/simulation-truth/sub-01/anat"
    true = finer(nib.load(truth / "sub-01_space-CT_desc-brain_mask.nii.gz"))
    # Both closest to RAS: the truth lies on the file's grid.
    true = np.asarray(nib.as_closest_canonical(true).dataobj) > 0
    found = np.asarray(brain.dataobj) > 0
    assert found.shape == true.shape
    assert 2 * np.count_nonzero(found & true) / (found.sum() + true.sum()) > 0.92


def test_400_slices_are_averaged_to_the_networks_grid_as_thick_ones_are(thin, brain, simulated):
    thick = read_ct(simulated / "sub-01/ct/sub-01_ct.nii.gz")
    template_mask = nib.load(packaged().brain_mask)
    whole = network_grid(template_mask)
    # Eight slices in the middle.
    affine = whole.affine.copy()
    affine[:3, 3] += whole.affine[:3, 2] * (whole.shape[2] // 2 - 4)
    grid = Grid((*whole.shape[:2], 8), affine)
    # Brain centre to brain centre; the frame that the program finds is tested elsewhere.
    transform = np.eye(4)
    transform[:3, 3] = centre_mm(brain) - centre_mm(template_mask)
    fine, coarse = (
        to_grid(image, transform, grid, fill=-1000.0) for image in (thin.image, thick.image)
    )
    # Chosen by both: chosen by one, its noise would be what differs.
    inside = np.abs((fine + coarse) / 2 - 40) < 40
    assert inside.sum() * 3 / 1000 > 200
    assert fine[inside].mean() == pytest.approx(coarse[inside].mean(), abs=1.0)
    # Of air, brain and bone; within the brain it is mostly noise.
    assert np.corrcoef(fine.ravel(), coarse.ravel())[0, 1] > 0.98
