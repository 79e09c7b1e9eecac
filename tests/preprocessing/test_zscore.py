"""The z-score's mean and SD are those of the brain, whatever lies at its rim."""

from __future__ import annotations

import numpy as np

from ctwml_bids.preprocessing import normalisation


    rng = np.random.default_rng(0)
    tissue = rng.normal(30, 5, (20, 20, 20)).astype(np.float32)
    mask = np.ones(tissue.shape, dtype=bool)
    with_bone = tissue.copy()
    with_bone[0] = 900.0
    inner = (slice(1, None), slice(None), slice(None))
    difference = normalisation.zscore(with_bone, mask)[inner] - normalisation.zscore(tissue, mask)[inner]
    assert np.abs(difference).max() < 1.0
