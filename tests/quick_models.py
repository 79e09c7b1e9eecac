"""A few networks of each shipped model: much less time, where masks matter less."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ctwml_bids.segmentation import model_store


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
