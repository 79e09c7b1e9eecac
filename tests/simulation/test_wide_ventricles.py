"""Heads with hydrocephalus: the volume that was asked for, and a brain that stays in its skull."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from ctwml_bids.simulation import canonical
from ctwml_bids.simulation.anatomy import make_head
from ctwml_bids.simulation.dataset import write_participant
from ctwml_bids.simulation.pair import simulate_pair
from ctwml_bids.simulation.plan import plan_cohort
from ctwml_bids.simulation.wide_ventricles import widened
from tests.simulation.test_pair import array, carried, dice, voxel_ml


# A pair below has 190 mL.
@pytest.mark.parametrize("wanted", [130.0, 250.0])
def test_ventricles_reach_the_volume_and_the_brain_stays_in_its_skull(wanted):
    usual = make_head(np.random.default_rng(9), 70.0, "F")
    wide = make_head(np.random.default_rng(9), 70.0, "F", ventricles_ml=wanted)
    assert wide.ventricles.sum() * wide.voxel_ml == pytest.approx(wanted, rel=0.05)
    assert wide.brain.sum() == pytest.approx(usual.brain.sum(), rel=0.01)
    assert (wide.skull_distance < 0).sum() == pytest.approx((usual.skull_distance < 0).sum(), 0.01)
    # Fluid takes room from tissue and sulci; nothing is both.
    total = wide.grey + wide.white + wide.csf
    assert np.abs(total[wide.brain > 0.99] - 1).max() < 1e-3
    inside = wide.ventricle_distance < -2
    assert (wide.grey + wide.white)[inside].max() < 0.05
    # Nearly one piece on either side, as smooth as ventricles are.
    pieces, _ = ndimage.label(wide.ventricles > 0.5)
    sizes = np.sort(np.bincount(pieces.ravel())[1:])[::-1]
    assert sizes[:2].sum() > 0.98 * sizes.sum()


def test_both_images_of_a_pair_show_the_same_ventricles_and_lesions_beside_them(wide_pair):
    for truth in (wide_pair.ct_truth, wide_pair.flair_truth):
        ventricles = array(truth.ventricles) > 0
        assert ventricles.sum() * voxel_ml(truth.ventricles) == pytest.approx(190, rel=0.1)
        lesions = array(truth.lesions) > 0
        assert lesions.sum() * voxel_ml(truth.lesions) > 10
        assert (lesions & ndimage.binary_erosion(ventricles)).sum() == 0
    moved = carried(wide_pair.ct_truth.ventricles, wide_pair.flair, wide_pair.flair_to_ct)
    assert dice(moved, array(wide_pair.flair_truth.ventricles) > 0) > 0.93
    hu = array(wide_pair.ct)[ndimage.binary_erosion(array(wide_pair.ct_truth.ventricles) > 0)]
    assert -2 < np.median(hu) < 14


@pytest.mark.parametrize("wanted", [0.0, 20.0, 99.0, 301.0, 1500.0])
def test_other_volumes_are_refused(wanted):
    with pytest.raises(ValueError, match="100 to 300 mL"):
        simulate_pair(1, ventricles_ml=wanted)


def test_each_participant_gets_a_volume_of_its_own_between_the_limits(tmp_path, monkeypatch):
    asked = []

    def stop(seed, **options):
        asked.append(options["ventricles_ml"])
        raise KeyError

    monkeypatch.setattr("ctwml_bids.simulation.dataset.simulate_pair", stop)
    for person in plan_cohort(8, 1):
        for _ in range(2):
            with pytest.raises(KeyError):
                write_participant(tmp_path, person, "small", ventricles_ml=(130.0, 250.0))
    assert asked[::2] == asked[1::2]
    assert len(set(asked)) == 8
    assert 130 <= min(asked) < 160 < 220 < max(asked) <= 250


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_ventricles_that_are_wider_already_stay(share):
    base = canonical.canonical_head()
    shape = base.ventricle_distance.shape
    source = list(np.indices(shape, dtype=np.float32))
    now = np.count_nonzero(base.ventricle_distance < 0)
    for before, after in zip(source, widened(source, base, share * now), strict=True):
        np.testing.assert_array_equal(before, after)
