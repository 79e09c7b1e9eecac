from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine

from ctwml_bids import templates
from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing import deformable, nine_parameters, normalisation
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on, resample


@pytest.fixture(scope="module")
def template_mask() -> nib.Nifti1Image:
    """The template's brain mask at 2 mm."""
    return at_2mm(nib.load(templates.packaged().brain_mask))


def at_2mm(image: nib.Nifti1Image) -> nib.Nifti1Image:
    grid = Grid(tuple(n // 2 for n in image.shape), image.affine @ np.diag([2.0, 2, 2, 1]))
    array = np.asarray(image.dataobj, dtype=np.float32)
    return image_on(resample(array, image.affine, grid, average=True), grid)


def surface_points(mask: nib.Nifti1Image) -> np.ndarray:
    inside = np.asarray(mask.dataobj) > 0.5
    edge = inside & ~np.roll(inside, 1, axis=0) | inside & ~np.roll(inside, -1, axis=2)
    return apply_affine(mask.affine, np.argwhere(edge))


def posed(mask: nib.Nifti1Image, matrix: np.ndarray, cut: tuple[float, float] = (0, 0)):
    """The template's brain under a transform, on a 2 × 2 × 5 mm grid; cut in mm off both ends."""
    box = apply_affine(matrix, surface_points(mask))
    low, high = box.min(axis=0) - 15, box.max(axis=0) + 15
    if any(cut):
        low[2], high[2] = low[2] + 15 + cut[0], high[2] - 15 - cut[1]
    spacing = np.array([2.0, 2.0, 5.0])
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = low
    grid = Grid(tuple(int(n) for n in np.ceil((high - low) / spacing)), affine)
    array = np.asarray(mask.dataobj, dtype=np.float32)
    native = resample(array, mask.affine, grid, np.linalg.inv(matrix)) > 0.5
    return image_on(native.astype(np.uint8), grid)


KNOWN = nine_parameters.compose([0.9, 1.15, 1.05], [25, -30, 15], np.deg2rad([18, -8, 12]))


@pytest.fixture(scope="module")
def found_whole(template_mask):
    return nine_parameters.nine_parameter(posed(template_mask, KNOWN), template_mask, seed=3)


@pytest.mark.parametrize("cut", [(0, 0), (40, 0), (0, 25)])
def test_known_nine_parameters_are_found_even_where_the_image_ends(template_mask, found_whole, cut):
    found = found_whole
    if any(cut):
        native = posed(template_mask, KNOWN, cut)
        found = nine_parameters.nine_parameter(native, template_mask)
    points = surface_points(template_mask)
    error = np.linalg.norm(apply_affine(found, points) - apply_affine(KNOWN, points), axis=1)
    assert error.mean() < 1.5


def test_result_is_a_translation_a_rotation_and_scales_without_shear(found_whole):
    found = found_whole
    scales, translations, rotations, shears = nine_parameters.decompose(found)
    assert np.allclose(shears, 0, atol=1e-9)
    assert np.allclose(nine_parameters.compose(scales, translations, rotations), found, atol=1e-9)
    axes = found[:3, :3] / np.linalg.norm(found[:3, :3], axis=0)
    assert np.allclose(axes.T @ axes, np.eye(3), atol=1e-9)


def test_same_seed_gives_the_same_matrix(template_mask, found_whole):
    again = nine_parameters.nine_parameter(posed(template_mask, KNOWN), template_mask, seed=3)
    assert np.array_equal(found_whole, again)


def test_empty_mask_is_refused(template_mask):
    empty = image_on(np.zeros((9, 9, 9), np.uint8), Grid((9, 9, 9), np.eye(4)))
    with pytest.raises(BadDataError, match="empty"):
        nine_parameters.nine_parameter(empty, template_mask)


def test_network_grid_covers_the_brain_and_is_mirror_symmetric(template_mask):
    grid = normalisation.network_grid(template_mask)
    assert grid.shape[0] % 8 == 0
    assert grid.shape[1] % 8 == 0
    assert np.allclose(grid.spacing, [1, 1, 3])
    ends = apply_affine(grid.affine, [[0, 0, 0], np.array(grid.shape) - 1])
    points = surface_points(template_mask)
    assert (points.min(axis=0) > ends[0] + 4).all()
    assert (points.max(axis=0) < ends[1] - 4).all()
    assert ends[0][0] == pytest.approx(-ends[1][0], abs=1.0)


def test_a_smooth_image_returns_from_the_grid_as_it_went(template_mask):
    native_grid = Grid((50, 60, 40), np.diag([3.0, 3, 4, 1]))
    native_grid.affine[:3, 3] = [-75, -90, -60]
    xyz = apply_affine(native_grid.affine, np.indices(native_grid.shape).reshape(3, -1).T)
    smooth = (xyz @ [0.5, -0.2, 0.3] + 40).reshape(native_grid.shape).astype(np.float32)
    image = image_on(smooth, native_grid)
    matrix = nine_parameters.compose([1.02, 0.97, 1.0], [3, -2, 4], [0.05, 0.02, -0.04])
    grid = normalisation.network_grid(template_mask, (2.0, 2.0, 3.0))
    there = normalisation.to_grid(image, matrix, grid, fill=0)
    back = normalisation.from_grid(there, grid, matrix, native_grid)
    middle = (slice(15, 35), slice(20, 40), slice(12, 28))
    # Linear interpolation keeps a linear image; any error of the geometry would show.
    assert np.abs(back - smooth)[middle].max() < 0.01
    assert back.shape == native_grid.shape
    assert back.dtype == np.float32


def test_white_matter_may_be_where_it_was_in_the_frame_of_a_shifted_template(template_mask):
    guide = templates.packaged()
    images = nib.load(guide.wm), nib.load(guide.ventricles)
    native = nine_parameters.compose([1.1, 0.9, 1.2], [5, -3, 8], [0.1, -0.2, 0.05])
    shift = np.eye(4)
    shift[:3, 3] = 12, -35, 20
    moved = nib.Nifti1Image(np.asarray(template_mask.dataobj), shift @ template_mask.affine)
    grid, moved_grid = (normalisation.network_grid(mask) for mask in (template_mask, moved))

    here = normalisation.white_matter_on_grid(*images, grid, native, native)
    there = normalisation.white_matter_on_grid(
        *images, moved_grid, native @ np.linalg.inv(shift), native
    )

    np.testing.assert_allclose(there, here, atol=1e-4)


@pytest.mark.parametrize(
    ("where", "mm", "expected"),
    [
        ("corona radiata", (-26, -20, 32), 0.95),
        ("Sylvian fissure", (-44, -15, 8), 0.0),
        ("trigone", (-26, -46, 8), 1.0),
        ("behind the trigone", (-30, -58, 5), 1.0),
    ],
)
def test_white_matter_may_be_beside_the_lateral_ventricles_too(template_mask, where, mm, expected):
    guide = templates.packaged()
    images = nib.load(guide.wm), nib.load(guide.ventricles)
    grid = normalisation.network_grid(template_mask)
    found = normalisation.white_matter_on_grid(*images, grid, np.eye(4), np.eye(4))
    voxel = tuple(np.round(apply_affine(np.linalg.inv(grid.affine), mm)).astype(int))
    assert found[voxel] == pytest.approx(expected, abs=0.06), where


def test_thin_slices_are_averaged_over_the_slab():
    affine = np.diag([1.0, 1, 0.5, 1])
    stripes = np.zeros((8, 8, 60), np.float32)
    stripes[:, :, ::2] = 100.0
    grid = Grid((8, 8, 10), np.diag([1.0, 1, 3, 1]))
    values = normalisation.to_grid(
        image_on(stripes, Grid((8, 8, 60), affine)), np.eye(4), grid, fill=0
    )
    assert np.allclose(values[2:-2, 2:-2, 1:-1], 50.0, atol=1.0)


def test_probability_lands_on_sheared_and_flipped_native_grids():
    affine = np.array([[-1.0, 0, 0, 20], [0, 1, 0.3, -20], [0, 0, 2, -20], [0, 0, 0, 1]])
    native = Grid((40, 40, 20), affine)
    grid = Grid(
        (40, 40, 40), np.array([[1.0, 0, 0, -20], [0, 1, 0, -20], [0, 0, 1, -20], [0, 0, 0, 1]])
    )
    xyz = apply_affine(grid.affine, np.indices(grid.shape).reshape(3, -1).T)
    values = normalisation.from_grid(xyz[:, 1].reshape(grid.shape), grid, np.eye(4), native)
    index = (17, 15, 9)
    assert values[index] == pytest.approx(apply_affine(affine, index)[1], abs=1e-3)


def test_hu_channel_is_the_formula_inside_and_background_outside():
    hu = np.array([30.0, 40.0, 200.0, -500.0, 35.0])
    mask = np.array([1, 1, 1, 1, 0])
    assert np.allclose(normalisation.hu_channel(hu, mask), [0, 1, 3, -3, -3])


def test_channels_are_stacked_in_the_models_order():
    rng = np.random.default_rng(0)
    hu, mask = rng.normal(32, 5, (6, 6, 6)), np.ones((6, 6, 6))
    stack = normalisation.network_input(hu, mask, ["hu", "zscore"])
    assert stack.shape == (2, 6, 6, 6)
    assert np.array_equal(stack[0], normalisation.hu_channel(hu, mask))
    assert np.array_equal(stack[1], normalisation.zscore(hu, mask))
    with pytest.raises(BadDataError, match="gradient"):
        normalisation.network_input(hu, mask, ["gradient"])


def test_syn_brings_a_bent_brain_closer_and_its_fields_undo_each_other(template_mask):
    t1w = at_2mm(nib.load(templates.packaged().t1w))
    grid = grid_of(t1w)
    points = apply_affine(grid.affine, np.indices(grid.shape).reshape(3, -1).T)
    bend = np.zeros_like(points)
    bend[:, 1] = 5 * np.sin(points[:, 2] / 25)
    where = apply_affine(np.linalg.inv(grid.affine), points + bend).T
    bent = [
        image_on(
            deformable.ndimage.map_coordinates(
                np.asarray(image.dataobj, np.float32), where, order=1
            ).reshape(grid.shape),
            grid,
        )
        for image in (t1w, template_mask)
    ]
    warp = deformable.syn(t1w, template_mask, *bent, np.eye(4), levels=("20x10", "4x2", "2x1vox"))
    before = np.abs(np.asarray(t1w.dataobj) - np.asarray(bent[0].dataobj))
    after = np.asarray(t1w.dataobj) - deformable.warp_to_template(bent[0], np.eye(4), warp, grid)
    inside = np.asarray(template_mask.dataobj) > 0.5
    assert np.abs(after)[inside].mean() < 0.7 * before[inside].mean()
    some = points[inside.ravel()][::500]
    there = some + deformable.displacement(warp.forward, some)
    back = there + deformable.displacement(warp.inverse, there)
    assert np.linalg.norm(back - some, axis=1).mean() < 0.5
    # Forward points where the anatomy went: template points → bent points.
    truth = -5 * np.sin(some[:, 2] / 25)
    assert np.corrcoef((there - some)[:, 1], truth)[0, 1] > 0.9


def test_rounded_probabilities_stay_within_half_a_step():
    probability = np.random.default_rng(0).random(1000, dtype=np.float32)
    rounded = normalisation.rounded(probability)
    assert rounded.dtype == np.float32
    np.testing.assert_allclose(rounded, probability, atol=0.5 / 1024 + 1e-7)
    assert len(np.unique(rounded)) <= 1025
    assert normalisation.rounded(np.float32(0.25)) == 0.25
