"""Simulated heads for the shipped models."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ctwml_bids.errors import BadDataError, UsageError
from ctwml_bids.simulation import ct
from model_making import shipped_heads, train_shipped
from model_making.simulated_heads import noise_factor, seen_labels

SEED = 376


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    train_shipped.main(_arguments(folder, "2.9 3.1"))
    return folder


def _arguments(folder, noise):
    return f"heads {folder} --seeds {SEED} {SEED + 1} --ct-noise {noise}".split()


def test_noise_is_multiplied_by_a_factor_spread_evenly_in_its_logarithm():
    factors = [noise_factor(seed, (0.5, 2.0)) for seed in range(400)]
    assert 0.5 <= min(factors) < 0.52
    assert 1.95 < max(factors) <= 2.0
    # Of an even spread between log 0.5 and log 2: a mean of 0, an SD of 2 log 2 / sqrt(12).
    assert np.mean(np.log(factors)) == pytest.approx(0, abs=0.06)
    assert np.std(np.log(factors)) == pytest.approx(0.4, abs=0.03)
    assert noise_factor(0, None) == 1


def test_a_noisy_head_says_how_noisy_and_its_scanner_is_otherwise_the_same(noisy):
    ((_, facts),) = shipped_heads.load_heads(noisy, "ct")
    # What the simulation draws for this person, before the factor.
    drawn = ct.draw_settings(np.random.default_rng([SEED, 5]), facts["age"], facts["lesion_ml"])
    factor = noise_factor(SEED, (2.9, 3.1))
    assert facts["ct_noise_factor"] == factor
    assert facts["ct"]["noise_hu_5mm"] == pytest.approx(factor * drawn.noise)
    assert facts["ct"]["grey_minus_white_hu"] == drawn.contrast
    ((_, of_flair),) = shipped_heads.load_heads(noisy, "flair")
    assert "ct_noise_factor" not in of_flair


def test_heads_with_other_noise_are_not_mixed_and_are_named_in_the_card(noisy, tmp_path):
    train_shipped.main(_arguments(noisy, "2.9 3.1"))
    with pytest.raises(BadDataError, match=r"multiplied by 3\.\d\d, not 1.00"):
        train_shipped.main(f"heads {noisy} --seeds {SEED} {SEED + 1}".split())
    train_shipped.main(
        f"train {noisy} {tmp_path / 'run'} --modality ct --steps 1 --batch 2".split()
    )
    train_shipped.main(
        f"export {tmp_path / 'run'} --to {tmp_path} --name ct-noisy --modality ct".split()
    )
    card = json.loads((tmp_path / "ct-noisy/card.json").read_text())
    assert "CT noise of 3.1 to 3.1 times" in card["training"]["data"]


@pytest.mark.parametrize("noise", ["2.5 0.7", "0 2", "-1 2"])
def test_factors_of_noise_that_cannot_be_are_refused(tmp_path, noise):
    with pytest.raises(UsageError, match="two factors above 0"):
        train_shipped.main(_arguments(tmp_path, noise))


def test_labels_are_left_out_where_a_network_sees_background():
    channels = np.full((2, 12, 12, 2), -3.0, np.float32)
    channels[:, 2:10, 2:10] = 0.5
    channels[:, 5, 5] = -3.0  # fluid as dark as background, with brain around it
    labels = np.full((12, 12, 2), 2, np.uint8)
    seen = seen_labels(labels, channels)
    expected = np.zeros((12, 12), bool)
    expected[2:10, 2:10] = True
    for k in range(2):
        np.testing.assert_array_equal(seen[:, :, k] == 2, expected)
