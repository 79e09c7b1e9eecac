"""The z-score's mean and SD are those of the brain, whatever lies at its rim."""

from __future__ import annotations

import numpy as np

from ctwml_bids.preprocessing.normalisation import zscore


def test_a_rim_of_bone_in_the_mask_does_not_set_the_zscore():
    rng = np.random.default_rng(0)
    tissue = rng.normal(30, 5, (20, 20, 20)).astype(np.float32)
    mask = np.ones(tissue.shape, dtype=bool)
    with_bone = tissue.copy()
    with_bone[0] = 900.0
    difference = zscore(with_bone, mask)[1:] - zscore(tissue, mask)[1:]
    assert np.abs(difference).max() < 0.1
