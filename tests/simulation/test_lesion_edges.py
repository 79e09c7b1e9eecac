from __future__ import annotations

import itertools

import numpy as np
from scipy import ndimage

from ctwml_bids.simulation.lesion_edges import darkening


def by_distance(head, lesions) -> dict[int, float]:
    """Mean darkness, over its depth, at whole mm from the border (negative inside)."""
    mask = lesions.lesion > 0.5
    outside = ndimage.distance_transform_edt(~mask, sampling=head.scale)
    inside = ndimage.distance_transform_edt(mask | (head.ventricles > 0.5), sampling=head.scale)
    distance = np.where(mask, 0.5 - inside, outside - 0.5)
    white = head.white > 0.8
    relative = lesions.darkness / lesions.depth
    return {
        mm: float(relative[white & (np.abs(distance - mm) < 0.5)].mean()) for mm in range(-4, 11)
    }


def test_the_drop_fades_over_several_mm_about_the_border(old_head):
    mean = by_distance(*old_head)
    values = [mean[mm] for mm in range(-4, 11)]
    # Few voxels lie deep inside: their mean may waver.
    assert all(later < earlier + 0.02 for earlier, later in itertools.pairwise(values))
    assert 0.35 < mean[0] < 0.65
    assert mean[-4] > 0.75
    # A real CT of severe leukoaraiosis has 0.38 of its drop 2 mm outside, 0.18 at 4 mm.
    assert 0.05 < mean[3] < 0.35
    assert mean[10] < 0.06


def test_a_small_focus_is_faint_but_there(old_head):
    head, lesions = old_head
    focus = np.zeros_like(lesions.lesion)
    centre = np.argwhere((head.white > 0.98) & (ndimage.uniform_filter(head.white, 9) > 0.9))[0]
    grids = np.indices(focus.shape) - centre[:, None, None, None]
    focus[np.linalg.norm(grids, axis=0) < 2] = 1
    dark = darkening(np.random.default_rng(0), head, focus, np.ones_like(focus))
    assert 0.25 < dark[tuple(centre)] < 0.9


def test_without_lesions_nothing_is_darker(old_head):
    head, lesions = old_head
    nothing = np.zeros_like(lesions.lesion)
    assert not darkening(np.random.default_rng(0), head, nothing, nothing + 1).any()
