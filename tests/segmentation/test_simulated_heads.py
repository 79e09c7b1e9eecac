"""Simulated heads for the shipped models."""

from __future__ import annotations

import numpy as np
import pytest

from ctwml_bids.segmentation import shipped_heads, train_shipped
from ctwml_bids.simulation import ct


def test_a_head_with_more_noise_is_the_same_head(tmp_path):
    seed = 376
    train_shipped.main(f"heads {tmp_path} --seeds {seed} {seed + 1} --ct-noise 3 3".split())
    ((volume, facts),) = shipped_heads.load_heads(tmp_path, "ct")
    # What the simulation draws for this person, before the factor.
    drawn = ct.draw_settings(np.random.default_rng([seed, 5]), facts["age"], facts["lesion_ml"])
    assert facts["ct"]["noise_hu_5mm"] == pytest.approx(3 * drawn.noise)
    assert facts["ct"]["grey_minus_white_hu"] == drawn.contrast
    ((flair, other),) = shipped_heads.load_heads(tmp_path, "flair")
    assert other["ct"] == facts["ct"]
    assert volume.channels.shape == (2, *volume.labels.shape)
    assert flair.channels.shape == (1, *flair.labels.shape)
