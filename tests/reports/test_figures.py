from __future__ import annotations

import io

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from ctwml_bids.reports import figures, pictures
from ctwml_bids.reports.canvas import MAX_BYTES

YELLOW, BLUE, PURPLE = (245, 199, 16), (86, 180, 233), (204, 121, 167)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def amount(png: bytes, colour) -> int:
    """Pixels close to a colour."""
    return int((np.abs(pixels(png) - colour).max(axis=2) < 40).sum())


@pytest.fixture(scope="module")
def head():
    """A head-like object: brain of 30 HU in a shell of bone, one dark lesion on the left."""
    shape, spacing = (90, 110, 24), (2.0, 2.0, 6.0)
    axes = np.ogrid[tuple(slice(n) for n in shape)]
    centres = (45, 55, 12)
    radius = np.sqrt(
        sum(
            ((axis - c) * s / r) ** 2
            for axis, c, s, r in zip(axes, centres, spacing, (65, 85, 65), strict=True)
        )
    )
    brain = radius < 1
    image = np.where(brain, 30.0, np.where(radius < 1.1, 900.0, -1000.0))
    lesions = np.zeros(shape, dtype=bool)
    lesions[22:28, 50:60, 10:15] = True
    image[lesions] = 15
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -np.array(centres) * spacing
    return image.astype(np.float32), affine, brain, lesions


def test_outlines_are_drawn_beside_a_plain_slice(head):
    image, affine, brain, lesions = head
    png = figures.mosaic(image, affine, brain=brain, lesions=lesions, count=3)
    nothing = figures.mosaic(image, affine, brain=brain, lesions=np.zeros_like(lesions), count=3)
    assert amount(png, YELLOW) > amount(nothing, YELLOW) + 40
    assert amount(png, BLUE) > 200


def test_sides_follow_the_convention(head):
    # The lesion is on the patient's left; of each pair only the right panel has outlines.
    image, affine, brain, lesions = head
    array = pixels(figures.mosaic(image, affine, brain=brain, lesions=lesions, count=1))
    outlined = array[: array.shape[0] - 40, array.shape[1] // 2 :]
    yellow = np.argwhere(np.abs(outlined - YELLOW).max(axis=2) < 40)
    assert yellow[:, 1].mean() / outlined.shape[1] > 0.55


def test_the_window_is_level_35_width_80():
    assert figures.CT_WINDOW == (35 - 40, 35 + 40)


def test_maps_show_where_the_probability_is(head):
    image, affine, brain, lesions = head
    certain = lesions.astype(np.float32)
    nothing = np.zeros_like(certain)
    shown, empty = (
        pixels(
            figures.maps(image, affine, brain=brain, probability=p, disagreement=nothing, count=3)
        )
        for p in (certain, nothing)
    )
    changed = (shown != empty).any(axis=2)
    assert changed.sum() > 200
    # The lesion's side of the left panels only: nothing changes in the panels of disagreement.
    width = shown.shape[1] // 6
    assert not any(changed[:, k * width : (k + 1) * width].any() for k in (1, 3, 5))


def test_a_shifted_ct_is_seen_in_the_checkerboard(head):
    image, affine, brain, _ = head
    flair = np.where(brain, 100.0, 20.0)
    right = figures.registration(image, flair, affine, brain=brain, count=3)
    wrong = figures.registration(np.roll(image, 6, axis=0), flair, affine, brain=brain, count=3)
    first, second = pixels(right), pixels(wrong)
    rows = first.shape[0] // 4
    board = slice(2 * rows, 3 * rows)
    assert (first[board] != second[board]).any(axis=2).mean() > 0.01


def test_flicker_frames_show_the_same_slices_of_both(head):
    image, affine, brain, _ = head
    flair = np.where(brain, 100.0, 20.0)
    first, second = figures.flicker_frames(image, flair, affine, brain=brain, count=3)
    assert pixels(first).shape == pixels(second).shape
    assert first != second


@pytest.mark.parametrize("mask", ["empty", "whole head"])
def test_without_a_usable_brain_mask_nothing_of_the_head_is_shown(mask):
    shape = (64, 64, 40)
    brain = np.zeros(shape, bool) if mask == "empty" else np.ones(shape, bool)
    affine = np.diag([3.5, 3.5, 6.0, 1.0])
    image = np.random.default_rng(0).normal(30, 10, shape)
    notice = figures.mosaic(image, affine, brain=brain, lesions=brain)
    other = figures.mosaic(image + 20, affine, brain=brain, lesions=brain)
    assert notice == other  # no pixel depends on the image
    assert pixels(notice).shape[0] < 120
    frames = figures.flicker_frames(image, image, affine, brain=brain)
    assert len(set(frames)) == 1


def test_pictures_stay_small_even_of_pure_noise():
    rng = np.random.default_rng(0)
    shape = (256, 300, 30)
    brain = np.zeros(shape, dtype=bool)
    brain[40:216, 40:260, 3:27] = True
    affine = np.diag([0.8, 0.8, 4.0, 1.0])
    noise = rng.uniform(-5, 75, shape).astype(np.float32)
    png = figures.mosaic(noise, affine, brain=brain, lesions=noise > 60)
    assert len(png) <= MAX_BYTES


def test_the_same_input_gives_the_same_bytes(head):
    image, affine, brain, lesions = head
    once = figures.mosaic(image, affine, brain=brain, lesions=lesions, count=3)
    assert once == figures.mosaic(image, affine, brain=brain, lesions=lesions, count=3)


def test_a_flat_image_has_a_window():
    low, high = figures.image_window(np.full((3, 3, 3), 7.0), np.ones((3, 3, 3)))
    assert low < high


def test_real_ct_fits_its_limits_and_shows_no_more_than_the_head(bids_real):
    loaded = nib.load(bids_real / "sub-ge01" / "ct" / "sub-ge01_ct.nii.gz")
    image = np.asarray(loaded.dataobj, dtype=np.float32)[::2, ::2]
    affine = loaded.affine @ np.diag([2.0, 2.0, 1.0, 1.0])
    soft = ndimage.binary_erosion((image > 5) & (image < 70), iterations=3)
    labels, _ = ndimage.label(soft)
    brain = labels == np.bincount(labels[labels > 0]).argmax()
    brain = ndimage.binary_dilation(brain, iterations=3)
    picture = pictures.segmentation("CT", image, affine, brain=brain, lesions=brain & (image < 20))
    assert len(picture.png) <= MAX_BYTES
    assert "level 35 HU" in picture.caption
    grey = pixels(picture.png).mean(axis=2)
    assert 0.1 < (grey > 40).mean() < 0.9


def test_up_to_three_masks_are_outlined_and_named(head):
    image, affine, brain, lesions = head
    larger = ndimage.binary_dilation(brain, iterations=3)
    one = figures.outlines(image, affine, brain=brain, masks=(("a", brain),), count=3)
    three = figures.outlines(
        image,
        affine,
        brain=brain,
        masks=(("a", brain), ("b", lesions), ("c", larger)),
        count=3,
    )
    assert amount(one, BLUE) > 200
    assert amount(one, YELLOW) == amount(one, PURPLE) == 0
    assert amount(three, YELLOW) > 40
    assert amount(three, PURPLE) > 100


def test_pictures_of_masks_and_normalisation_say_what_each_line_is(head):
    image, affine, brain, _ = head
    larger = ndimage.binary_dilation(brain, iterations=2)
    masks = pictures.brain_masks(image, affine, own=brain, carried=larger, used=brain)
    fit = pictures.normalisation("CT", image, affine, brain=brain, template_brain=larger)
    assert "purple, dotted" in masks.caption
    assert "blue, solid" in fit.caption
    assert fit.title == "Normalisation of CT"
    assert amount(fit.png, BLUE) > 200
    empty = np.zeros_like(brain)
    hidden = pictures.normalisation("CT", image, affine, brain=empty, template_brain=larger)
    assert amount(hidden.png, BLUE) == 0
