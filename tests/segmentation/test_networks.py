"""Each network describes itself in one entry, and a new one needs no other."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from ctwml_bids.errors import BadDataError
from ctwml_bids.reports.methods import methods
from ctwml_bids.segmentation import ensemble, networks
from ctwml_bids.segmentation.model_card import ModelCard
from ctwml_bids.segmentation.model_store import write_model
from ctwml_bids.segmentation.networks import ARCHITECTURES, DEFAULT, Architecture
from ctwml_bids.training.loop import train
from ctwml_bids.training.patches import PatchConfig
from ctwml_bids.training.recipe import TrainingConfig
from tests.segmentation.toy import toy_head

CARD = ModelCard(
    name="toy",
    modality="ct",
    version="1",
    network={"variant": "toy", "in_channels": 2, "classes": 2},
    channels=("zscore", "hu"),
    threshold=0.5,
    members=(),
    license="none",
)


class Toy(nn.Module):
    """Two convolutions, the first of which halves the image."""

    def __init__(self, in_channels: int, classes: int):
        super().__init__()
        self.entry = nn.Conv2d(in_channels, 4, 4, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.exit = nn.ConvTranspose2d(4, classes, 2, stride=2)

    def forward(self, x):
        return self.exit(torch.relu(self.norm(self.entry(x))))


TOY = Architecture(
    name="toy",
    kind="toy network",
    label="toy",
    citation="Nobody 1999",
    reference="Nobody (1999). Toys.",
    build=Toy,
    stride=2,
    first="entry",
    head="exit",
)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_network_that_is_added_by_its_entry_is_trained_loaded_and_told(
    monkeypatch, tmp_path, precision
):
    monkeypatch.setitem(ARCHITECTURES, "toy", TOY)
    config = TrainingConfig(
        steps=2, batch=2, variant="toy", patches=PatchConfig(size=32, shift=12), precision="float32"
    )
    weights = train([toy_head(0)], config, tmp_path / "run").weights
    write_model(tmp_path / "model", CARD, [{k: v.numpy() for k, v in weights.items()}])
    model = ensemble.load(tmp_path / "model")
    channels = np.asarray(toy_head(1, shape=(47, 55, 3)).channels, dtype=np.float32)
    found = ensemble.predict(model, channels, precision=precision).probability
    assert found.shape == channels.shape[1:]
    assert found[(channels > -3).any(axis=0)].min() > 0
    told = methods(version="1", networks={"ct": TOY}).text()
    assert "toy networks (Nobody 1999)" in told
    assert "Nobody (1999). Toys." in told


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_an_entry_is_true_of_its_network(architecture, classes):
    assert ARCHITECTURES[architecture.name] is architecture
    network = architecture.build(3, classes).eval()
    small = torch.zeros(1, 3, architecture.stride, 3 * architecture.stride)
    with torch.no_grad():
        assert network(small).shape == (1, classes, *small.shape[2:])
        for version in (network, architecture.for_inference(network)):
            passed = []
            for name in (architecture.first, architecture.head):
                version.get_submodule(name).register_forward_hook(
                    lambda _, x, y, name=name, to=passed: to.append((name, x[0], y))
                )
            logits = version(small)
            (first, seen, _), (head, _, said) = passed
            assert (first, head) == (architecture.first, architecture.head)
            assert seen is small
            assert said is logits


def test_a_network_that_is_not_known_is_refused_and_none_is_the_default(tmp_path):
    assert networks.of_card(replace(CARD, network={})).name == DEFAULT
    weights = {k: v.numpy() for k, v in ARCHITECTURES[DEFAULT].build(2, 2).state_dict().items()}
    write_model(tmp_path, replace(CARD, network={**CARD.network, "variant": "x"}), [weights])
    with pytest.raises(BadDataError, match=f"toy is a 'x' network; known are {DEFAULT}, "):
        ensemble.load(tmp_path)


def test_the_entries_need_no_torch():
    code = "import sys, ctwml_bids.segmentation.networks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
