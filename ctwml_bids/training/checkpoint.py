"""The checkpoint of a training: all that it needs to go on as if it had never stopped."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ctwml_bids.errors import BadDataError, InputOutputError
from ctwml_bids.reading import parse_json

LOG = logging.getLogger("ctwml_bids")
# What the checkpoint before is called, in the same folder.
PREVIOUS = "checkpoint-previous.safetensors"


class CorruptCheckpointError(BadDataError):
    """A checkpoint cannot be read, or its content is not what was written."""


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


def save(state: TrainingState, path: Path, settings: Mapping[str, object]) -> None:
    """Write weights, running mean, optimiser and step; never a half-written file.

    The checkpoint before stays beside it, as `PREVIOUS`.

    Parameters
    ----------
    state
        What to write.
    path
        The file; its folder is made if needed.
    settings
        JSON-able; `restore` asks for the same.

    Raises
    ------
    InputOutputError
        It cannot be written, for instance because the disk is full; the ones before are kept.
    """
    tensors = {f"network.{name}": t for name, t in plain_weights(state.network).items()}
    tensors |= {f"mean.{name}": t for name, t in plain_weights(state.mean).items()}
    for index, moments in state.optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{name}": t.cpu().contiguous() for name, t in moments.items()}
    part = path.with_suffix(".part")
    about = {
        "step": str(state.step),
        "config": json.dumps(settings, sort_keys=True),
        "sha256": _digest(tensors),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, part, metadata=about)
        with part.open("rb+") as opened:
            # A full network disk is noticed before the checkpoint before is moved away.
            os.fsync(opened.fileno())
        if path.is_file():
            os.replace(path, path.with_name(PREVIOUS))
        os.replace(part, path)
    except (SafetensorError, OSError) as error:
        part.unlink(missing_ok=True)
        raise InputOutputError(
            f"{path}: the checkpoint cannot be written ({error}). Make room, or mend the disk, and "
            "run the same command again: it goes on from the checkpoint before."
        ) from error


def restore_latest(state: TrainingState, path: Path, settings: Mapping[str, object]) -> None:
    """Put a state back to the latest checkpoint that is sound, or leave it at the beginning.

    One that is damaged is reported and skipped: every draw follows from seed and step, so that
    the result is the same from any of them.

    Parameters
    ----------
    state, settings
        See `restore`.
    path
        The checkpoint; the one before it lies beside it.

    Raises
    ------
    BadDataError
        If a sound checkpoint is of other settings.
    """
    for candidate in (path, path.with_name(PREVIOUS)):
        if candidate.is_file():
            try:
                return restore(state, candidate, settings)
            except CorruptCheckpointError as error:
                LOG.warning("%s It is not used.", error)
    return None


def restore(state: TrainingState, path: Path, settings: Mapping[str, object]) -> None:
    """Put a state back to where a checkpoint was written.

    Parameters
    ----------
    state
        Of a network of the same shape; changed in place.
    path
        The checkpoint.
    settings
        Those of the training that goes on.

    Raises
    ------
    BadDataError
        If the file is no checkpoint, is damaged (`CorruptCheckpointError`), or is one of other
        settings; the message names them.
    """
    step, written, digest = _about(path)
    if written != settings:
        keys = settings.keys() | written.keys()
        differing = sorted(key for key in keys if written.get(key) != settings.get(key))
        raise BadDataError(
            f"{path} is a checkpoint of another training (differs in {', '.join(differing)}): "
            "train into another folder, or remove it to start again."
        )
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "mean": {}, "adam": {}}
    # Loading copies to where the network is, but for Adam's counters of steps: on a GPU each of
    # them would be waited for at every step.
    for name, tensor in _sound(path, digest).items():
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
    step, _, digest = _about(path)
    weights = {
        name.removeprefix("mean."): tensor
        for name, tensor in _sound(path, digest).items()
        if name.startswith("mean.")
    }
    return weights, step


def _about(path: Path) -> tuple[int, dict, str | None]:
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
        return int(about["step"]), parse_json(about["config"]), about.get("sha256")
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise CorruptCheckpointError(
            f"{path} is not a checkpoint of this program, or is damaged: {error}."
        ) from error


def _sound(path: Path, digest: str | None) -> dict[str, Tensor]:
    """Load a checkpoint's arrays on the CPU; those of old ones, without a digest, are unchecked."""
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CorruptCheckpointError(f"{path} cannot be read: {error}.") from error
    if digest is not None and _digest(tensors) != digest:
        raise CorruptCheckpointError(f"{path} is damaged: its content is not what was written.")
    return tensors


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the names and the bytes of all arrays."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()
