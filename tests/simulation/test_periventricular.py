"""Linings of the ventricles are lesions of the wanted volume; normal rims are neither."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from ctwml_bids.simulation import ct, flair
from ctwml_bids.simulation.lesion_edges import darkening
from ctwml_bids.simulation.lesions import draw_outline, lesion_room, make_lesions
from ctwml_bids.simulation.periventricular import draw_lining, normal_rim


@pytest.fixture(scope="module")
def linings(old_head):
    """Ten linings of an old head with 30 mL of lesions."""
    head, _ = old_head
    return [draw_lining(np.random.default_rng(s), head, head.white, 30.0) for s in range(10)]


def test_most_old_people_have_a_patchy_lining_along_the_walls(old_head, linings):
    head, _ = old_head
    lined = [lining > 0.5 for lining in linings if lining.any()]
    assert len(lined) >= 6
    mm = head.ventricle_distance * head.scale.mean()
    wall = (np.abs(mm) < 0.7) & (head.white > 0.4)
    for lining in lined:
        assert mm[lining].max() <= 3.0
        assert (head.white[lining] > 0.4).all()
        assert (lining & wall).sum() < 0.98 * wall.sum()
        # In patches, not in grains.
        pieces, count = ndimage.label(lining, np.ones((3, 3, 3)))
        assert np.bincount(pieces.ravel())[1:].max() > 0.1 * lining.sum()
        assert count < 60
    volumes = [lining.sum() * head.voxel_ml for lining in lined]
    assert max(volumes) <= 15.0  # half of all
    assert max(volumes) > 3 * min(volumes)


@pytest.mark.parametrize(("age", "volume"), [(80.0, 0.0), (25.0, 30.0)])
def test_lesion_free_and_young_people_have_none(old_head, age, volume):
    head = replace(old_head[0], age=age)
    for seed in range(5):
        lining = draw_lining(np.random.default_rng(seed), head, head.white, volume)
        assert not lining.any()


@pytest.mark.parametrize("volume", [0.0, 0.8, 12.0])
def test_with_its_lining_a_person_has_the_volume_asked_for(old_head, volume):
    head, _ = old_head
    room = lesion_room(head)
    for seed in range(3):
        lesion, _ = draw_outline(np.random.default_rng(seed), head, volume, room)
        found = (lesion > 0.5).sum() * head.voxel_ml
        assert found == pytest.approx(volume, rel=0.02, abs=0.01)
        if volume == 0:
            assert not lesion.any()


def test_linings_stand_out_as_lesions_do_and_rims_of_the_lesion_free_do_less(old_head, linings):
    head, _ = old_head
    rng = np.random.default_rng(3)
    free = make_lesions(np.random.default_rng(1), head, 0.0)
    lining = max(linings, key=lambda field: float(field.sum()))
    darkness = darkening(np.random.default_rng(1), head, lining, free.depth)
    lined = replace(free, lesion=lining, darkness=darkness)
    rims, brights, darks = [], [], []
    for seed in (0, 3):
        settings = replace(flair.draw_settings(np.random.default_rng(seed)), penumbra=0.0)
        inside = (lining > 0.9) & (head.white > 0.95)
        with_rim, with_lining = (
            flair._brain(np.random.default_rng(seed), head, lesions, settings)[inside]
            for lesions in (free, lined)
        )
        rims.append(np.median(with_rim) - 1)
        brights.append(np.median(with_lining) - 1)
        assert np.median(with_lining) - 1 > 0.8 * (settings.lesion - 1)
        of_ct = ct.draw_settings(rng, head.age, 10.0)
        normal, dark = (
            ct._brain(np.random.default_rng(seed), head, lesions, of_ct)[inside]
            for lesions in (free, lined)
        )
        darks.append(np.median(normal - dark) / of_ct.lesion_drop)
    assert np.median(rims) < 0.5 * np.median(brights)
    # As dark as any lesion as thin: on CT a border fades over some millimetres.
    assert min(darks) > 0.35


def test_the_normal_rim_is_thin_and_differs_along_the_wall(old_head):
    head, _ = old_head
    rim = normal_rim(np.random.default_rng(2), head)
    mm = head.ventricle_distance * head.scale.mean()
    at_wall, beyond = rim[np.abs(mm) < 0.5], rim[mm > 6.0]
    assert np.ptp(np.percentile(at_wall, [5, 95])) > 0.5
    assert beyond.max() < 0.1
