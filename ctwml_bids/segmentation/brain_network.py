"""The brain-extraction network: a small 3D U-Net on a coarse grid, one logit for "brain"."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.reading import read_json
from ctwml_bids.segmentation.model_store import sha256
from ctwml_bids.segmentation.precision import cpu_threads

DEFAULT_FOLDER = Path(__file__).resolve().parents[1] / "data" / "models" / "flair-brain"


class BrainNetwork(nn.Module):
    """U-Net with two convolutions a level, group normalisation and trilinear upsampling.

    Parameters
    ----------
    channels
        Feature maps at each level, finest first; every level after the first halves the grid, so
        the input's sides must be multiples of 2^(levels - 1).
    """

    def __init__(self, channels: tuple[int, ...] = (8, 16, 32, 64)) -> None:
        super().__init__()
        self.channels = tuple(channels)
        inputs = (1, *self.channels[:-1])
        self.down = nn.ModuleList(_block(a, b) for a, b in zip(inputs, self.channels, strict=True))
        pairs = list(zip(self.channels[:-1], self.channels[1:], strict=True))
        self.up = nn.ModuleList(_block(a + b, a) for a, b in reversed(pairs))
        self.head = nn.Conv3d(self.channels[0], 1, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map (batch, 1, x, y, z) intensities to logits of the same shape."""
        features = []
        for level, block in enumerate(self.down):
            image = block(image if level == 0 else nn.functional.max_pool3d(image, 2))
            features.append(image)
        for block, skip in zip(self.up, reversed(features[:-1]), strict=True):
            size = skip.shape[2:]
            image = nn.functional.interpolate(image, size, mode="trilinear", align_corners=False)
            image = block(torch.cat([skip, image], dim=1))
        return self.head(image)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for first in (inputs, outputs):
        layers += [
            nn.Conv3d(first, outputs, 3, padding=1, bias=False),
            nn.GroupNorm(min(8, outputs), outputs),
            nn.LeakyReLU(0.1, inplace=True),
        ]
    return nn.Sequential(*layers)


def predict(network: BrainNetwork, array: np.ndarray, *, threads: int = 1) -> np.ndarray:
    """Probability of brain.

    Parameters
    ----------
    network
        As from `load`.
    array
        float32 (x, y, z), a head on the network's grid (`preprocessing.head_grid.network_view`).
    threads
        CPU threads for the convolutions.

    Returns
    -------
    numpy.ndarray
        float32 (x, y, z) in [0, 1].
    """
    with cpu_threads(threads), torch.inference_mode():
        batch = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))[None, None]
        return torch.sigmoid(network(batch))[0, 0].numpy()


def predictor(
    folder: Path = DEFAULT_FOLDER, *, threads: int = 1
) -> Callable[[np.ndarray], np.ndarray]:
    """Load a brain network as the function that ``flair_mask`` asks for."""
    return partial(predict, load(folder), threads=threads)


def save(network: BrainNetwork, folder: Path, card: dict) -> None:
    """Write weights (float16 safetensors) and the model card (JSON) with their checksum."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    path = folder / "weights.safetensors"
    save_file(weights, path)
    path.chmod(0o644)  # safetensors writes for its owner alone; models are shared
    card = {
        **card,
        "network": {"variant": "unet3d", "channels": list(network.channels)},
        "weights": {"file": path.name, "sha256": sha256(path)},
    }
    text = json.dumps(card, indent=2, ensure_ascii=False)
    (folder / "card.json").write_text(text + "\n", encoding="utf-8")


def identity(folder: Path = DEFAULT_FOLDER) -> dict:
    """Return a brain network's ``name`` and ``files``: weights → SHA-256, as its card has them."""
    card = read_json(Path(folder) / "card.json")
    return {"name": card["name"], "files": {card["weights"]["file"]: card["weights"]["sha256"]}}


def load(folder: Path = DEFAULT_FOLDER) -> BrainNetwork:
    """Load a brain network, ready for `predict`.

    Parameters
    ----------
    folder
        Holds ``card.json`` and the weights that it names.

    Raises
    ------
    NoInputError
        When the card or the weights are not there.
    BadDataError
        When the card cannot be read, or the weights are not those it describes.
    """
    card_path = Path(folder) / "card.json"
    if not card_path.is_file():
        raise NoInputError(f"no brain-extraction model at {folder}: card.json is missing")
    try:
        card = read_json(card_path)
        weights, channels = card["weights"], tuple(card["network"]["channels"])
        path, wanted = card_path.parent / weights["file"], weights["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadDataError(
            f"{card_path} is not the card of a brain-extraction model ({error!r}); "
            "reinstall the package or name another model"
        ) from error
    if not path.is_file():
        raise NoInputError(f"the weights {path} that {card_path} names are missing")
    found = sha256(path)
    if found != wanted:
        raise BadDataError(
            f"{path} is not the file its card describes (sha256 {found[:12]}…, card says "
            f"{wanted[:12]}…): it was changed or cut short; reinstall the package"
        )
    network = BrainNetwork(channels)
    try:
        network.load_state_dict({k: v.float() for k, v in load_file(path).items()})
    except (RuntimeError, SafetensorError) as error:
        raise BadDataError(f"{path} does not fit the network in {card_path}: {error}") from error
    return network.eval()
