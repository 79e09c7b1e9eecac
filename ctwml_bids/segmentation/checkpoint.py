"""The checkpoint of a training: all that it needs to go on as if it had never stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ctwml_bids.errors import BadDataError


@dataclass
class TrainingState:
    """A network in training.

    Attributes
    ----------
    network, mean
        The network, and the running mean of its weights.
    optimiser
        Of the network's parameters.
    step
        Steps done.
    """

    network: nn.Module
    mean: nn.Module
    optimiser: torch.optim.Adam
    step: int = 0


def plain_weights(network: nn.Module) -> dict[str, Tensor]:
    """Return a network's weights and statistics by name, on the CPU."""
    return {
        name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()
    }


def save(state: TrainingState, path: Path, settings: Mapping[str, Any]) -> None:
    """Write weights, running mean, optimiser and step; never a half-written file.

    Parameters
    ----------
    state
        What to write.
    path
        The file; its folder is made if needed.
    settings
        JSON-able; `restore` asks for the same.
    """
    tensors = {f"network.{name}": t for name, t in plain_weights(state.network).items()}
    tensors |= {f"mean.{name}": t for name, t in plain_weights(state.mean).items()}
    for index, moments in state.optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{name}": t.cpu().contiguous() for name, t in moments.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    about = {"step": str(state.step), "config": json.dumps(settings, sort_keys=True)}
    save_file(tensors, part, metadata=about)
    os.replace(part, path)


def restore(state: TrainingState, path: Path, settings: Mapping[str, Any], device: str) -> None:
    """Put a state back to where a checkpoint was written.

    Parameters
    ----------
    state
        Of a network of the same shape; changed in place.
    path
        The checkpoint.
    settings
        Those of the training that goes on.
    device
        Where the network is.

    Raises
    ------
    BadDataError
        If the file is no checkpoint, or one of other settings; the message names them.
    """
    step, written = _about(path)
    if written != settings:
        differing = sorted(key for key in settings if written.get(key) != settings[key])
        raise BadDataError(
            f"{path} is a checkpoint of another training (differs in {', '.join(differing)}): "
            "train into another folder, or remove it to start again."
        )
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "mean": {}, "adam": {}}
    for name, tensor in load_file(path, device=device).items():
        part, rest = name.split(".", 1)
        parts[part][rest] = tensor
    state.network.load_state_dict(parts["network"])
    state.mean.load_state_dict(parts["mean"])
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in parts["adam"].items():
        index, key = name.split(".")
        moments.setdefault(int(index), {})[key] = tensor
    state.optimiser.load_state_dict(state.optimiser.state_dict() | {"state": moments})
    state.step = step


def checkpoint_weights(path: Path) -> tuple[dict[str, Tensor], int]:
    """Return the running-mean weights of a checkpoint, and its step."""
    step, _ = _about(path)
    weights = {
        name.removeprefix("mean."): tensor
        for name, tensor in load_file(path).items()
        if name.startswith("mean.")
    }
    return weights, step


def _about(path: Path) -> tuple[int, dict]:
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
        return int(about["step"]), json.loads(about["config"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise BadDataError(f"{path} is not a checkpoint of this program: {error}") from error
