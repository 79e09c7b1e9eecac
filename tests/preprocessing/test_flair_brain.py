"""Brain masks of FLAIR images: phantoms with a known brain, and real heads."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing.brain_border import follow_tissue
from ctwml_bids.preprocessing.distances import closed
from ctwml_bids.preprocessing.flair_brain import extracted_support, flair_mask
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on
from ctwml_bids.preprocessing.head_grid import (
    HEAD_SHAPE,
    head_grid,
    network_view,
    place_head_grid,
    survey,
)
from ctwml_bids.segmentation.brain_network import predictor


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.sum(a & b) / (a.sum() + b.sum())


def phantom(
    spacing=(2.0, 2.0, 5.0), centre=(10.0, -5.0, 20.0)
) -> tuple[nib.Nifti1Image, np.ndarray]:
    """A brain of 65 mm radius, 5 mm of dark skull, 6 mm of scalp, with noise; and the brain."""
    shape = tuple(int(n) for n in np.round(np.array([190, 210, 190]) / spacing))
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = np.asarray(centre) - (np.asarray(shape) - 1) / 2 * spacing
    axes = [s * (np.arange(n) - (n - 1) / 2) for s, n in zip(spacing, shape, strict=True)]
    radius = np.sqrt(sum(a**2 for a in np.meshgrid(*axes, indexing="ij")))
    values = np.select([radius < 65, radius < 70, radius < 76], [400.0, 60.0, 500.0], 0.0)
    values += np.abs(np.random.default_rng(0).normal(0, 10, shape))
    return image_on(values.astype(np.float32), Grid(shape, affine)), radius < 65


def rough_ball(view: np.ndarray) -> np.ndarray:
    """Stand in for the network: a ball 1 mm too small around the middle of the head.

    Its probability falls from 0.7 to 0.5 within a millimetre, as the network's does on real heads.
    """
    x, y, z = np.nonzero(view > 0.3)
    middle = [(axis.min() + axis.max()) / 2 for axis in (x, y, z)]
    squares = [(np.arange(n) - m) ** 2 for n, m in zip(view.shape, middle, strict=True)]
    radius = 4.0 * np.sqrt(sum(np.meshgrid(*squares, indexing="ij")))
    return (1 / (1 + np.exp((radius - 64.0) / 1.2))).astype(np.float32)


def test_border_follows_the_image_where_the_network_is_a_little_off():
    image, brain = phantom()
    result = flair_mask(image, rough_ball)
    mask = np.asarray(result.mask.dataobj) > 0
    assert dice(mask, brain) > 0.97
    assert result.facts["method"] == "network"
    assert result.facts["brain_ml"] == pytest.approx(mask.sum() * 0.02, abs=0.1)
    assert result.mask.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(result.mask.affine, image.affine)


def test_orientation_of_the_file_does_not_matter():
    image, _ = phantom()
    turned = image.as_reoriented(np.array([[1, -1], [2, 1], [0, -1]]))
    mask = flair_mask(image, rough_ball).mask
    other = nib.as_closest_canonical(flair_mask(turned, rough_ball).mask)
    assert dice(np.asarray(mask.dataobj) > 0, np.asarray(other.dataobj) > 0) > 0.99


def test_network_grid_is_centred_on_the_head_with_its_top_in_view():
    image, _ = phantom(centre=(40.0, -70.0, 300.0))
    grid = head_grid(image)
    view = network_view(image, grid)
    assert view.shape == HEAD_SHAPE
    middle = grid.affine @ [*(np.asarray(HEAD_SHAPE) - 1) / 2, 1]
    np.testing.assert_allclose(middle[:2], (40.0, -70.0), atol=5)
    assert np.any(view[:, :, -6:] > 0.5)
    assert not np.any(view[:, :, -2:] > 0.5)


def test_image_without_a_head_is_refused():
    grid = Grid((20, 20, 20), np.eye(4))
    noise = np.random.default_rng(0).random(grid.shape, dtype=np.float32)
    with pytest.raises(BadDataError, match="no head"):
        flair_mask(image_on(noise, grid), rough_ball)


def test_a_head_in_which_the_network_sees_no_brain_is_refused():
    image, _ = phantom()
    with pytest.raises(BadDataError, match="mL of brain"):
        flair_mask(image, np.zeros_like)


def test_slab_with_blanked_air_is_not_taken_for_an_extracted_brain():
    image, _ = phantom()
    array = np.asarray(image.dataobj).copy()
    array[array < 50] = 0
    slab = array[:, :, 13:25]
    grid = Grid(slab.shape, image.affine)
    assert 800 < np.sum(slab > 0) * grid.voxel_ml < 2000
    assert extracted_support(slab, grid) is None


def test_grid_placement_ignores_a_long_neck():
    head = np.zeros((48, 64, 90), dtype=bool)
    head[10:40, 12:56, 45:80] = True
    head[18:30, 12:30, :45] = True
    grid = Grid(head.shape, np.diag([4.0, 4.0, 4.0, 1.0]))
    placed = place_head_grid(head, grid)
    middle = placed.affine @ [*(np.asarray(HEAD_SHAPE) - 1) / 2, 1]
    assert middle[1] == pytest.approx(4 * 33.5, abs=6)


def test_survey_covers_the_whole_oblique_field_of_view():
    image, _ = phantom()
    angle = np.radians(20)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    oblique = image_on(np.asarray(image.dataobj), Grid(image.shape, turn @ image.affine))
    array, grid = survey(oblique)
    full = np.asarray(image.dataobj).sum() * grid_of(image).voxel_ml
    assert array.sum() * grid.voxel_ml == pytest.approx(full, rel=0.03)


def test_closing_bridges_a_sulcus_and_does_not_stick_to_the_edge():
    mask = np.zeros((40, 40, 10), dtype=bool)
    mask[5:35, 5:35, 2:8] = True
    mask[19:21, 5:35, 2:8] = False
    result = closed(mask, 4.0, np.ones(3))
    assert result[19:21, 10:30, 4:6].all()
    assert not result[:5].any()
    assert not result[:, :, 0].any()


def test_regrowing_recovers_a_lobe_that_the_rough_mask_cut_off():
    image, brain = phantom()
    spacing = grid_of(image).spacing
    rough = brain.copy()
    rough[:, 68:] = False
    array = np.asarray(image.dataobj)
    result = follow_tissue(array, rough, spacing, reach_mm=40.0, core_mm=6.0, brightest=1.5)
    assert dice(rough, brain) < 0.95
    assert dice(result, brain) > 0.97


@pytest.mark.parametrize("subject", ["sub-lj07", "sub-lj19"])
def test_brain_extracted_image_is_kept_as_it_is(bids_real, subject):
    image = nib.load(bids_real / subject / "anat" / f"{subject}_FLAIR.nii.gz")
    result = flair_mask(image, predict=np.zeros_like)
    assert result.facts["method"] == "kept"
    assert 1000 < result.facts["brain_ml"] < 1900
    array = np.asarray(image.dataobj)
    support = array != array[0, 0, 0]
    mask = np.asarray(result.mask.dataobj) > 0
    assert np.sum(support & ~mask) < 0.001 * support.sum()


def test_held_out_head_is_masked_like_its_reference(bids_real):
    stem = "sub-ll20/ses-2/anat/sub-ll20_ses-2"
    image = nib.load(bids_real / f"{stem}_FLAIR.nii.gz")
    reference = nib.load(
        bids_real / "derivatives" / "reference" / f"{stem}_space-FLAIR_desc-brain_mask.nii.gz"
    )
    result = flair_mask(image, predictor())
    mask = np.asarray(result.mask.dataobj) > 0
    assert dice(mask, np.asarray(reference.dataobj) > 0) > 0.92


@pytest.mark.parametrize("subject", ["sub-mb104252", "sub-mb105911"])
def test_whole_head_without_fat_suppression_gives_a_plausible_brain(bids_real, subject):
    image = nib.load(bids_real / subject / "anat" / f"{subject}_FLAIR.nii.gz")
    facts = flair_mask(image, predictor()).facts
    assert 1100 < facts["brain_ml"] < 1800
    assert facts["border_dice"] > 0.93
