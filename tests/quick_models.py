"""A few networks of each shipped model: much less time, where masks matter less.

And models of three classes that were never trained: what is marked as infarct is chance.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from ctwml_bids.segmentation import model_store
from ctwml_bids.segmentation.classes import NAMES
from ctwml_bids.training.loop import initial_weights


def options(folder: Path, *modalities: str, networks: int = 1) -> list[str]:
    """Write models of few networks, without mirror images, and return the options to use them."""
    for modality in modalities:
        shipped = model_store.default(modality)
        card = dataclasses.replace(model_store.load_card(shipped), flip=False)
        members = [
            model_store.load_weights(shipped / member.file) for member in card.members[:networks]
        ]
        model_store.write_model(folder / modality, card, members)
    return ["--model", *(str(folder / modality) for modality in modalities)]


def three_classes(folder: Path, modality: str, *, threshold: float = 0.3) -> Path:
    """Write a model of one network that calls a part of the shipped one's lesions infarcts.

    The weights of its infarct class are those of WML and noise.
    """
    shipped = model_store.default(modality)
    card = model_store.load_card(shipped)
    weights, _ = initial_weights(shipped, 0, 3)
    network = {name: tensor.numpy() for name, tensor in weights.items()}
    kernel = network["head.weight"]
    noise = np.random.default_rng(0).standard_normal(kernel[1].shape)
    kernel[2] = kernel[1] + noise * np.abs(kernel[1]).mean()
    network["head.bias"][2] = network["head.bias"][1]
    card = dataclasses.replace(
        card,
        name=f"{modality}-three",
        network={**card.network, "classes": 3},
        classes=NAMES,
        threshold=threshold,
        infarct_threshold=0.4,
        flip=False,
        training={},
    )
    model_store.write_model(folder, card, [network])
    return folder
