"""Inference with a class of infarcts: mean, spread and what is left out of both classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from ctwml_bids.segmentation import ensemble
from ctwml_bids.segmentation.uresnet import UResNet
from tests.segmentation.test_ensemble import CARD, alone, filled

THREE = replace(
    CARD,
    network={**CARD.network, "classes": 3},
    classes=("background", "WML", "infarct"),
    infarct_threshold=0.5,
)


@pytest.fixture(scope="module")
def three():
    """Two networks of random weights that say all classes somewhere."""
    members = []
    for seed in range(2):
        torch.manual_seed(seed)
        network = UResNet(2, 3).train()
        with torch.no_grad():
            network.head.weight *= 8
            network(torch.randn(8, 2, 48, 48))
        members.append(network.state_dict())
    return ensemble.from_weights(THREE, members, "random")


def test_three_classes_give_mean_and_spread_of_wml_and_of_infarcts(three):
    head = filled()
    said = alone(three, head)
    found = ensemble.predict(three, head, precision="float32")
    np.testing.assert_array_equal(found.probability, said[:, 1].mean(axis=0))
    np.testing.assert_array_equal(found.disagreement, said[:, 1].std(axis=0))
    np.testing.assert_array_equal(found.infarct.probability, said[:, 2].mean(axis=0))
    np.testing.assert_array_equal(found.infarct.disagreement, said[:, 2].std(axis=0))
    masks = ensemble.masks(three.card, found)
    assert all(mask.any() for mask in masks)
    assert not (masks[0] & masks[1]).any()


def test_in_fluid_is_no_infarct_and_an_infarcts_voxels_are_no_island(three):
    head = filled()
    whole = ensemble.predict(three, head)
    fluid = np.zeros(head.shape[1:], bool)
    fluid[:20] = True
    white_matter = np.zeros(head.shape[1:], np.float32)
    card = replace(three.card, island_share=0.9, grid_spacing_mm=(0.1, 0.1, 0.1))
    found = ensemble.predict(
        replace(three, card=card), head, fluid=fluid, white_matter=white_matter
    )
    assert (whole.infarct.probability[fluid] > 0.5).any()
    assert not found.infarct.probability[fluid].any()
    assert not found.infarct.disagreement[fluid].any()
    np.testing.assert_array_equal(
        found.infarct.probability[~fluid], whole.infarct.probability[~fluid]
    )
    is_wml, is_infarct = ensemble.masks(three.card, whole)
    # What is left out in fluid is kept apart, of each class what the other does not have.
    assert (is_infarct & fluid).any()
    for kept, mean, other in (
        (found.fluid, whole.probability, is_infarct),
        (found.infarct.fluid, whole.infarct.probability, is_wml),
    ):
        np.testing.assert_array_equal(kept, np.where(fluid & ~other, mean, 0))
    assert not whole.infarct.fluid.any()
    # All WML lies outside the white matter, in regions too small to stay.
    assert (is_wml & ~fluid).any()
    np.testing.assert_array_equal(
        found.islands[is_wml & ~fluid], whole.probability[is_wml & ~fluid]
    )
    assert not found.islands[is_infarct].any()


def test_with_flip_infarcts_are_mirrored_as_well(three):
    flipping = replace(three, card=replace(three.card, flip=True))
    head = filled((48, 48, 2))
    there, back = (
        ensemble.predict(flipping, np.ascontiguousarray(h), precision="float32").infarct.probability
        for h in (head, head[:, ::-1])
    )
    np.testing.assert_allclose(back[::-1], there, atol=1e-5)


def test_small_regions_of_infarct_are_left_out_and_may_be_wml(three):
    head = filled()
    whole = ensemble.predict(three, head)
    # So high that the mask falls into pieces.
    high = float(np.quantile(whole.infarct.probability, 0.97))
    several = replace(three.card, infarct_threshold=high)
    _, is_infarct = ensemble.masks(several, whole)
    regions, count = ndimage.label(is_infarct, np.ones((3, 3, 3)))
    sizes = ndimage.sum_labels(is_infarct, regions, range(1, count + 1))
    assert count > 2
    assert len(set(sizes)) > 1
    # Half a voxel less than the largest: it alone stays.
    voxel_ml = float(np.prod(three.card.grid_spacing_mm)) / 1000
    card = replace(several, infarct_least_ml=(sizes.max() - 0.5) * voxel_ml)
    found = ensemble.predict(replace(three, card=card), head)
    is_wml, stays = ensemble.masks(card, found)
    large = np.isin(regions, 1 + np.flatnonzero(sizes == sizes.max()))
    np.testing.assert_array_equal(stays, large)
    left_out = is_infarct & ~large
    assert not found.infarct.probability[left_out].any()
    assert not found.infarct.disagreement[left_out].any()
    np.testing.assert_array_equal(
        found.infarct.small, np.where(left_out, whole.infarct.probability, 0)
    )
    np.testing.assert_array_equal(found.probability, whole.probability)
    assert not whole.infarct.small.any()
    assert is_wml[left_out & (whole.probability > card.threshold)].all()
