"""What a network knows of its classes outlives a new head."""

from __future__ import annotations

import pytest
import torch

from ctwml_bids.segmentation.model_card import ModelCard
from ctwml_bids.segmentation.model_store import write_model
from ctwml_bids.segmentation.networks import ARCHITECTURES
from ctwml_bids.training.loop import initial_weights


def network(architecture, classes: int, seed: int = 3):
    """One whose norms have statistics of their own, as a trained one has."""
    torch.manual_seed(seed)
    made = architecture.build(2, classes).train()
    with torch.no_grad():
        for _ in range(3):
            made(torch.randn(4, 2, 32, 32))
    return made.eval()


def model_of(made, architecture, classes: int, folder):
    card = ModelCard(
        name="before",
        modality="ct",
        version="1",
        network={"variant": architecture.name, "in_channels": 2, "classes": classes},
        channels=("zscore", "hu"),
        threshold=0.5,
        members=(),
        license="none",
        classes=("background", "WML", "infarct")[:classes],
        infarct_threshold=0.5 if classes == 3 else None,
    )
    write_model(folder, card, [{k: v.numpy() for k, v in made.state_dict().items()}])
    return folder


def logits(architecture, weights, classes: int):
    made = architecture.build(2, classes)
    made.load_state_dict(weights, strict=False)
    torch.manual_seed(0)
    with torch.no_grad():
        return made.eval()(torch.randn(2, 2, 32, 32))


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_with_a_third_class_the_logits_of_the_two_stay_and_its_own_are_fresh(
    architecture, tmp_path
):
    folder = model_of(network(architecture, 2), architecture, 2, tmp_path)
    before = logits(architecture, initial_weights(folder, 0, 2)[0], 2)
    grown, checksum = initial_weights(folder, 0, 3)
    after = logits(architecture, grown, 3)
    torch.testing.assert_close(after[:, :2], before)
    assert after[:, 2].std() > 0
    assert after[:, 2].abs().max() < 2
    again, other = (logits(architecture, initial_weights(folder, m, 3)[0], 3) for m in (0, 1))
    assert torch.equal(after, again)
    assert not torch.equal(after[:, 2], other[:, 2])
    assert checksum == initial_weights(folder, 0, 2)[1]


@pytest.mark.parametrize("name", ["standard", "plain-unet"])
def test_without_the_third_class_the_logits_of_the_two_stay(name, tmp_path):
    architecture = ARCHITECTURES[name]
    folder = model_of(network(architecture, 3), architecture, 3, tmp_path)
    before = logits(architecture, initial_weights(folder, 0, 3)[0], 3)
    after = logits(architecture, initial_weights(folder, 0, 2)[0], 2)
    torch.testing.assert_close(after, before[:, :2])
