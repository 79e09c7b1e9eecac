"""One network of a training as an independent unit of work: train, segment, note, tidy up.

A unit's folder holds its checkpoints and its log while it is trained, then the maps of the subjects
that it left out; ``unit.json`` comes last and says that the unit is done.
"""

from __future__ import annotations

import io
import json
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ctwml_bids.bids.files import write_bytes, write_json
from ctwml_bids.errors import BadDataError, NoInputError

DONE = "unit.json"
NETWORK = "network.safetensors"
# Probabilities are kept in steps of 1/1024, as those that the participant level writes.
STEPS = 1024


@dataclass(frozen=True)
class TrainingUnit:
    """A network to train.

    Attributes
    ----------
    repeat, fold
        Of the cross-validation, counted from 1; repeat 0 is the final model, whose members are
        its folds and leave nobody out.
    """

    repeat: int
    fold: int

    @property
    def name(self) -> str:
        """Name of its folder."""
        if self.repeat == 0:
            return f"member-{self.fold:02d}"
        return f"repeat-{self.repeat:02d}_fold-{self.fold:02d}"

    def seed(self, seed: int) -> int:
        """Return its own seed, which differs from that of every other unit."""
        return seed * 1_000_000 + self.repeat * 1000 + self.fold


@dataclass(frozen=True)
class UnitJob:
    """What a unit works on.

    Attributes
    ----------
    unit
        Which.
    folder
        Its own.
    heads
        Folder of the heads on the grid.
    train_on, left_out
        Labels of the units of the data set to train on, and to segment afterwards.
    recipe
        Fields of `cross_validation.Recipe`.
    machine
        Fields of `cross_validation.Machine`.
    seed
        Of the whole training.
    keep_network
        Whether the network is kept.
    """

    unit: TrainingUnit
    folder: Path
    heads: Path
    train_on: Sequence[str]
    left_out: Sequence[str]
    recipe: Mapping[str, Any]
    machine: Mapping[str, Any]
    seed: int
    keep_network: bool


def run_unit(job: UnitJob, on_log: Callable[[dict[str, float]], None]) -> None:
    """Train a unit's network, or go on with it, and segment those that it left out.

    Parameters
    ----------
    job
        The unit.
    on_log
        Called every few steps with step, loss, Dice and rate.

    Raises
    ------
    CtwmlError
        If it cannot be done; what is done is kept.
    """
    from ctwml_bids.training.cross_validation import (
        Machine,
        Recipe,
        compute_precision,
        predict_left_out,
        train_network,
    )
    from ctwml_bids.training.heads import head_name, heads_of
    from ctwml_bids.training.log import LOG_FILE, read_log

    began = time.monotonic()
    recipe, machine = Recipe(**job.recipe), Machine(**job.machine)
    job.folder.mkdir(parents=True, exist_ok=True)
    network = train_network(
        job.heads,
        [name for label in job.train_on for name in heads_of(job.heads, label)],
        recipe,
        seed=job.unit.seed(job.seed),
        member=job.unit.fold - 1,
        folder=job.folder,
        machine=machine,
        on_log=on_log,
    )
    labels = {head_name(label): label for label in job.left_out}
    precision = compute_precision(recipe, machine)
    for name, probability in predict_left_out(network, job.heads, list(labels), recipe, machine):
        _write_map(job.folder, labels[name], probability)
    if job.keep_network:
        _write_network(job.folder / NETWORK, network.weights)
    about = {
        "unit": job.unit.name,
        "trained_on": sorted(network.subjects),
        "segmented": sorted(job.left_out),
        "seed": job.unit.seed(job.seed),
        "device": machine.device,
        "precision": precision,
        "seconds": round(time.monotonic() - began, 1),
        "log": read_log(job.folder / LOG_FILE),
    }
    write_json(job.folder / DONE, about)
    tidy(job.folder)


def tidy(folder: Path) -> None:
    """Remove the checkpoints of a finished unit."""
    for checkpoint in folder.glob("checkpoint*"):
        checkpoint.unlink(missing_ok=True)


def read_done(folder: Path, *, network: bool = False) -> dict[str, Any] | None:
    """Read what a finished unit noted.

    Parameters
    ----------
    folder
        Of the unit.
    network
        Whether its network is needed, too.

    Returns
    -------
    dict or None
        None where it is not finished, or a map of it, or the network, is gone.
    """
    try:
        about = json.loads((folder / DONE).read_text(encoding="utf-8"))
        labels = about["segmented"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if network and not (folder / NETWORK).is_file():
        return None
    return about if all(_map_path(folder, label).is_file() for label in labels) else None


def mean_map(folders: Sequence[Path], label: str) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and SD of a unit's out-of-fold maps over the repeats.

    Parameters
    ----------
    folders
        Of the units that left it out, one for each repeat.
    label
        ``sub-X`` or ``sub-X_ses-Y``.

    Returns
    -------
    mean, disagreement
        float32, (x, y, z) on the network's grid; the SD is the population's, as that over the
        members of an ensemble, and 0 everywhere with one repeat.

    Raises
    ------
    NoInputError, BadDataError
        If a map is missing or damaged.
    """
    total = squares = np.zeros(1)
    for folder in folders:
        path = _map_path(folder, label)
        try:
            with np.load(path) as opened:
                # Whole numbers, whose sums and squares are exact.
                found = opened["probability"].astype(np.int64)
        except FileNotFoundError as error:
            raise NoInputError(f"{path}: this out-of-fold map is missing; {_AGAIN}") from error
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            raise BadDataError(f"{path}: cannot be read ({error}); {_AGAIN}") from error
        if np.size(total) > 1 and found.shape != total.shape:
            raise BadDataError(
                f"{path}: has the shape {found.shape}, others {total.shape}; {_AGAIN}"
            )
        total, squares = total + found, squares + found**2
    mean = total / len(folders)
    variance = np.maximum(squares / len(folders) - mean**2, 0)
    return (mean / STEPS).astype(np.float32), (np.sqrt(variance) / STEPS).astype(np.float32)


_AGAIN = "remove this unit's folder and run `train` again"


def _map_path(folder: Path, label: str) -> Path:
    return folder / "maps" / f"{label}.npz"


def _write_map(folder: Path, label: str, probability: np.ndarray) -> None:
    content = io.BytesIO()
    np.savez_compressed(content, probability=np.round(probability * STEPS).astype(np.uint16))
    write_bytes(_map_path(folder, label), content.getvalue())


def _write_network(path: Path, weights: Mapping[str, Any]) -> None:
    from safetensors.numpy import save

    write_bytes(path, save({name: tensor.numpy() for name, tensor in weights.items()}))


def read_network(folder: Path) -> dict[str, np.ndarray]:
    """Read a unit's network (NoInputError, BadDataError)."""
    from ctwml_bids.segmentation.model_store import load_weights

    if not (folder / NETWORK).is_file():
        raise NoInputError(f"{folder / NETWORK}: this network is missing; {_AGAIN}")
    return load_weights(folder / NETWORK)
