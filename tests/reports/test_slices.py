from __future__ import annotations

import numpy as np
import pytest

from ctwml_bids.reports.slices import MARGIN_MM, RIM_MM, backdrop, cut, plan_view

SPACING = (0.9, 0.9, 5.0)


def ellipsoid(shape, centre, radii, spacing=SPACING):
    axes = np.ogrid[tuple(slice(n) for n in shape)]
    return (
        sum(
            ((axis - c) * s / r) ** 2
            for axis, c, s, r in zip(axes, centre, spacing, radii, strict=True)
        )
        <= 1
    )


@pytest.fixture
def brain():
    return ellipsoid((200, 240, 30), (100, 120, 15), (65, 80, 60))


@pytest.fixture
def affine():
    return np.array([[0.9, 0, 0, -90], [0, 0.9, 0, -108], [0, 0, 5, -75], [0, 0, 0, 1.0]])


def test_slices_spread_over_the_brain_from_below(brain, affine):
    view = plan_view(brain, affine, count=8)
    has_brain = brain.any(axis=(0, 1))
    assert len(view.indices) == 8
    assert all(has_brain[index] for index in view.indices)
    assert list(view.heights_mm) == sorted(view.heights_mm)
    assert view.heights_mm[0] == pytest.approx(view.indices[0] * 5 - 75)


def test_a_brain_of_few_slices_shows_them_all(affine):
    brain = np.zeros((50, 50, 30), dtype=bool)
    brain[20:30, 20:30, 10:13] = True
    assert plan_view(brain, affine, count=12).indices == (10, 11, 12)


def test_the_picture_is_cropped_to_the_brain_on_square_pixels(brain, affine):
    view = plan_view(brain, affine, pixel_mm=1.0)
    width, height = 130 + 2 * MARGIN_MM, 160 + 2 * MARGIN_MM
    assert view.shape == pytest.approx((width, height), abs=3)
    middle = cut(brain, view)[len(view.indices) // 2] > 0.5
    # The cut area in mm² is that of the mask's own slice.
    index = view.indices[len(view.indices) // 2]
    assert middle.sum() == pytest.approx(brain[:, :, index].sum() * 0.81, rel=0.02)


def test_positions_survive_the_cut(brain, affine):
    spot = np.zeros(brain.shape, dtype=np.float32)
    spot[60:64, 150:154, 15] = 1
    view = plan_view(brain, affine, count=30, pixel_mm=0.9)
    panel = cut(spot, view)[view.indices.index(15)]
    centre = np.argwhere(panel > 0.5).mean(axis=0) * 0.9
    box_start = np.array([np.flatnonzero(brain.any(axis=(1, 2)))[0], 0])
    box_start[1] = np.flatnonzero(brain.any(axis=(0, 2)))[0]
    expected = (np.array([61.5, 151.5]) - box_start + 0.5) * 0.9 + MARGIN_MM - 0.45
    assert centre == pytest.approx(expected, abs=0.3)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
@pytest.mark.parametrize("flip", [(), (0,), (0, 1, 2)])
def test_every_orientation_shows_the_same_slices(brain, affine, order, flip):
    image = np.arange(brain.size, dtype=np.float32).reshape(brain.shape)
    straight = cut(image, plan_view(brain, affine))
    turned_affine = affine.copy()
    turned_affine[:, :3] = affine[:, list(order)]
    shape = np.array(brain.shape)[list(order)]
    for axis in flip:
        turned_affine[:3, 3] += turned_affine[:3, axis] * (shape[axis] - 1)
        turned_affine[:3, axis] *= -1
    turned_brain = np.flip(np.transpose(brain, order), flip)
    turned = np.flip(np.transpose(image, order), flip)
    assert np.allclose(cut(turned, plan_view(turned_brain, turned_affine)), straight)


def test_a_face_before_the_brain_is_blanked(brain, affine):
    # Everything is bright; only the brain and a rim of it may be seen.
    image = np.full(brain.shape, 100.0)
    view = plan_view(brain, affine, pixel_mm=1.0)
    shown = backdrop(image, view, (0.0, 100.0)) > 0
    for panel, index in zip(shown, view.indices, strict=True):
        inside = cut(brain, view)[view.indices.index(index)] > 0.5
        rows = np.flatnonzero(inside.any(axis=0))
        visible = np.flatnonzero(panel.any(axis=0))
        assert visible.max() <= rows.max() + RIM_MM + 1
        assert visible.min() >= rows.min() - RIM_MM - 1


def test_thin_slices_are_averaged_for_display_only():
    rng = np.random.default_rng(0)
    brain = np.zeros((60, 60, 100), dtype=bool)
    brain[10:50, 10:50, 10:90] = True
    noise = rng.normal(0, 1, brain.shape).astype(np.float32)
    view = plan_view(brain, np.diag([1, 1, 0.6, 1.0]), count=5, pixel_mm=1.0)
    assert cut(noise, view, slab=True).std() < 0.6 * cut(noise, view).std()


def test_an_empty_mask_is_refused(affine):
    with pytest.raises(ValueError, match="empty"):
        plan_view(np.zeros((5, 5, 5)), affine)
