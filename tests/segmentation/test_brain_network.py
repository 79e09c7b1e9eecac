"""The brain-extraction network: loading, refusing, and learning."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.preprocessing.head_grid import HEAD_SHAPE, HEAD_SPACING_MM
from ctwml_bids.segmentation import brain_network
from ctwml_bids.segmentation.brain_network import BrainNetwork, load, predict, predictor, save
from model_making.training_facts import NEVER


def test_packaged_weights_match_their_card():
    network = load()
    card = json.loads((brain_network.DEFAULT_FOLDER / "card.json").read_text(encoding="utf-8"))
    assert tuple(card["grid"]["shape"]) == HEAD_SHAPE
    assert card["grid"]["spacing_mm"] == HEAD_SPACING_MM
    assert tuple(card["network"]["channels"]) == network.channels
    trained_on = card["training"]["labelled"] + card["training"]["self_labelled"]
    assert not set(trained_on) & set(NEVER)


def test_probability_has_the_input_shape_and_range():
    probability = predictor()(np.zeros(HEAD_SHAPE, dtype=np.float32))
    assert probability.shape == HEAD_SHAPE
    assert probability.dtype == np.float32
    assert 0 <= probability.min() <= probability.max() <= 1


def test_saved_network_predicts_as_before_up_to_half_precision(tmp_path):
    torch.manual_seed(0)
    network = BrainNetwork((4, 8)).eval()
    array = np.random.default_rng(0).random((16, 16, 16), dtype=np.float32)
    save(network, tmp_path, {"name": "small"})
    again = load(tmp_path)
    assert np.abs(predict(network, array) - predict(again, array)).max() < 5e-3


def test_prediction_leaves_the_thread_count_alone(tmp_path):
    before = torch.get_num_threads()
    predict(BrainNetwork((4, 8)).eval(), np.zeros((8, 8, 8), np.float32), threads=before + 1)
    assert torch.get_num_threads() == before


def test_changed_weights_are_refused(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(brain_network.DEFAULT_FOLDER, folder)
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(BadDataError, match="sha256"):
        load(folder)


def test_missing_model_is_named(tmp_path):
    with pytest.raises(NoInputError, match=r"card\.json"):
        load(tmp_path)


def test_card_without_weights_entry_is_refused(tmp_path):
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(BadDataError, match="not the card"):
        load(tmp_path)


def test_card_with_other_channels_is_refused(tmp_path):
    save(BrainNetwork((4, 8)), tmp_path, {"name": "small"})
    card = json.loads((tmp_path / "card.json").read_text())
    card["network"]["channels"] = [8, 16]
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(BadDataError, match="does not fit"):
        load(tmp_path)
