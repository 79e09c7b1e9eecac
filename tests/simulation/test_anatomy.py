from __future__ import annotations

import numpy as np

from ctwml_bids.simulation import bending
from ctwml_bids.simulation.anatomy import draw_csf_share, draw_ventricles_ml, make_head


def test_ventricles_and_sulci_widen_with_age():
    rng = np.random.default_rng(0)
    medians = [
        np.median([draw_ventricles_ml(rng, age) for _ in range(400)]) for age in (25, 55, 85)
    ]
    assert medians[0] < medians[1] < medians[2]
    assert 10 < medians[0] < 18
    assert 35 < medians[2] < 60
    shares = [np.mean([draw_csf_share(rng, age) for _ in range(400)]) for age in (25, 80)]
    assert 0.09 < shares[0] < 0.12
    assert 0.19 < shares[1] < 0.27


def test_tissues_add_up_and_fill_the_brain(old_head):
    head, _ = old_head
    total = head.grey + head.white + head.csf
    inside = head.brain > 0.99
    assert np.abs(total[inside] - 1).max() < 1e-3
    assert total.max() < 1.001
    assert total.min() > -1e-3


def test_the_head_has_plausible_volumes(old_head):
    head, _ = old_head
    brain = head.brain.sum() * head.voxel_ml
    share = (head.csf * head.brain).sum() / head.brain.sum()
    assert 1050 < brain < 1850
    assert 0.14 < share < 0.34
    assert 12 < head.ventricles.sum() * head.voxel_ml < 100


def test_elastic_warp_keeps_the_pose_of_the_brain():
    rng = np.random.default_rng(3)
    moves = bending.elastic(rng)
    points, inverse = bending.affine_fit()
    for move in moves:
        assert np.abs(inverse @ move.ravel()[points]).max() < 1e-2  # mm, mm per mm
        assert move.ravel()[points].std() > 0.5


def test_heads_differ_by_seed(old_head):
    one, _ = old_head
    two = make_head(np.random.default_rng(2), one.age, one.sex)
    assert not np.allclose(one.scale, two.scale)
    both = (one.white > 0.5).sum() + (two.white > 0.5).sum()
    assert 2 * ((one.white > 0.5) & (two.white > 0.5)).sum() / both < 0.95
