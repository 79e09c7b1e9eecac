"""One network of each shipped model: a quarter or a tenth of the time, where masks matter less."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ctwml_bids.segmentation import model_store


def options(folder: Path, *modalities: str) -> list[str]:
    """Write models of one network, without its mirror image, and return the options to use them."""
    for modality in modalities:
        shipped = model_store.default(modality)
        card = dataclasses.replace(model_store.load_card(shipped), flip=False)
        network = model_store.load_weights(shipped / card.members[0].file)
        model_store.write_model(folder / modality, card, [network])
    return ["--model", *(str(folder / modality) for modality in modalities)]
