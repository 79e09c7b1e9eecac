from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ctwml_bids.reports.examples import OUTLINE, PANEL, Shown, example, examples

AFFINE = np.diag([2.0, 2.0, 4.0, 1.0])
AFFINE[:3, 3] = (-80, -100, -60)


@pytest.fixture(scope="module")
def head():
    x, y, z = np.indices((80, 100, 30))
    brain = ((x - 40) / 34) ** 2 + ((y - 50) / 42) ** 2 + ((z - 15) / 13) ** 2 < 1
    image = np.where(brain, 30.0, 0.0)
    # Something bright outside the brain, as a face would be.
    image[:, 95:] = 75.0
    lesions = np.zeros_like(brain)
    # Few at one height, many at another, on the patient's left (low x).
    lesions[45:47, 50:52, 8] = True
    lesions[22:32, 44:58, 20] = True
    image[lesions] = 60.0
    return image, brain, lesions


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def yellow(picture):
    return (picture == OUTLINE).all(axis=2)


def test_the_slice_with_most_lesions_is_shown_plain_and_outlined(head):
    image, brain, lesions = head
    picture = pixels(example([Shown("CT", image, lesions, (0, 80))], AFFINE, brain=brain))
    assert picture.shape == (PANEL[0], 2 * PANEL[1], 3)
    plain, outlined = np.split(picture, 2, axis=1)
    assert not yellow(plain).any()
    rows, columns = np.nonzero(yellow(outlined))
    # 14 voxels of 2 mm from front to back at 0.5 mm a pixel, and 10 from side to side.
    assert np.ptp(rows) + 1 == pytest.approx(56, abs=4)
    assert np.ptp(columns) + 1 == pytest.approx(40, abs=4)


def test_the_outline_of_a_bright_lesion_can_be_told_in_grey(head):
    image, brain, lesions = head
    bright = np.where(brain, 75.0, image)
    picture = example([Shown("FLAIR", bright, lesions, (0, 80))], AFFINE, brain=brain)
    grey = np.asarray(Image.open(io.BytesIO(picture)).convert("L"), int)
    plain, outlined = np.split(grey, 2, axis=1)
    apart = np.abs(plain - outlined) > 100
    # A ring of two pixels around a lesion of about 56 by 40.
    assert np.count_nonzero(apart) == pytest.approx(2 * 2 * (56 + 40), rel=0.1)


def test_the_patients_left_is_on_the_right(head):
    image, brain, lesions = head
    picture = pixels(example([Shown("CT", image, lesions, (0, 80))], AFFINE, brain=brain))
    _, outlined = np.split(picture, 2, axis=1)
    assert np.nonzero(yellow(outlined))[1].mean() > PANEL[1] / 2 + 20


def test_nothing_far_from_the_brain_is_shown(head):
    image, brain, lesions = head
    picture = pixels(example([Shown("CT", image, lesions, (0, 80))], AFFINE, brain=brain))
    assert picture[:20].max() == 0


def test_a_mask_that_is_no_brain_shows_nothing(head):
    image, brain, lesions = head
    shown = [Shown("CT", image, lesions, (0, 80))]
    assert example(shown, AFFINE, brain=np.zeros_like(brain)) is None
    assert example(shown, np.diag([4.0, 4, 4, 1]), brain=np.ones_like(brain)) is None


def test_without_lesions_a_slice_is_shown_all_the_same(head):
    image, brain, lesions = head
    picture = pixels(example([Shown("CT", image, 0 * lesions, (0, 80))], AFFINE, brain=brain))
    assert not yellow(picture).any()
    assert picture.max() > 50


def test_examples_of_pairs_have_four_panels_with_headings(head):
    image, brain, lesions = head
    pair = [Shown("CT", image, lesions, (0, 80)), Shown("FLAIR", image, lesions, (0, 80))]
    png = example(pair, AFFINE, brain=brain)
    assert pixels(png).shape[1] == 4 * PANEL[1]
    text = examples([("Fazekas 2", png), ("Fazekas 3", png)]).svg.decode()
    assert all(word in text for word in ("CT, segmented", "FLAIR, segmented", "Fazekas 3"))
