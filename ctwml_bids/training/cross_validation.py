"""Networks of a user's own heads, and their out-of-fold segmentations.

A network carries the names of the subjects that it was trained on, taken from the heads that it
was given; it refuses to segment any of them as left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from ctwml_bids.bids.files import write_json
from ctwml_bids.segmentation import ensemble
from ctwml_bids.segmentation.precision import choose, name_of
from ctwml_bids.training.heads import head_name, heads_of
from ctwml_bids.training.log import LOG_FILE, read_log
from ctwml_bids.training.loop import initial_weights, train
from ctwml_bids.training.mapped_heads import MappedHeads, open_mapped
from ctwml_bids.training.patches import jitter_intensities
from ctwml_bids.training.prefetch import BatchSource, ahead
from ctwml_bids.training.recipe import Recipe, TrainingUnit
from ctwml_bids.training.units import DONE, check_apart, tidy, write_map, write_network


@dataclass(frozen=True)
class Network:
    """A trained network, and who it was trained on.

    Attributes
    ----------
    weights
        By name.
    subjects
        ``sub-X`` of every head that it was trained on.
    name
        For messages.
    """

    weights: Mapping[str, Tensor]
    subjects: frozenset[str]
    name: str


def run_unit(
    unit: TrainingUnit,
    recipe: Recipe,
    *,
    folder: Path,
    heads: Path,
    train_on: Sequence[str],
    left_out: Sequence[str],
    keep_network: bool,
    on_log: Callable[[dict[str, float]], None],
) -> None:
    """Train a unit's network, or go on with it, and segment those that it left out.

    Parameters
    ----------
    unit, recipe
        Which network, and how all are trained.
    folder, heads
        Its own folder, and that of the heads on the grid.
    train_on, left_out
        Labels of the units of the data set to train on, and to segment afterwards.
    keep_network
        Whether the network is kept.
    on_log
        Called every few steps with step, loss, Dice and rate.

    Raises
    ------
    CtwmlError
        If it cannot be done; what is done is kept.
    """
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    of = [name for label in train_on for name in heads_of(heads, label)]
    network = train_network(unit, recipe, folder=folder, heads=heads, names=of, on_log=on_log)
    labels = {head_name(label): label for label in left_out}
    for name, found in predict_left_out(network, heads, list(labels), recipe):
        infarct = None if found.infarct is None else found.infarct.probability
        write_map(folder, labels[name], found.probability, infarct)
    if keep_network:
        write_network(folder, {name: array.numpy() for name, array in network.weights.items()})
    device = recipe.network.device
    about = {
        "unit": unit.name,
        "trained_on": sorted(network.subjects),
        "segmented": sorted(left_out),
        "seed": recipe.seed_of(unit),
        "device": device,
        "precision": name_of(choose(recipe.network.precision, device)),
        "seconds": round(time.monotonic() - began, 1),
        "log": read_log(folder / LOG_FILE),
    }
    write_json(folder / DONE, about)
    tidy(folder)


def train_network(
    unit: TrainingUnit,
    recipe: Recipe,
    *,
    folder: Path,
    heads: Path,
    names: Sequence[str],
    on_log: Callable[[dict[str, float]], None] | None = None,
) -> Network:
    """Train one network, or go on where its checkpoint ends.

    Parameters
    ----------
    unit, recipe
        Which network, and how all are trained.
    folder
        Of its checkpoint and log; its name is that of the network.
    heads, names
        Folder of the heads on the grid, and which to train on.
    on_log
        See `loop.train`.

    Raises
    ------
    BadDataError, InputOutputError, TemporaryError
        See `loop.train` and `prefetch.ahead`.
    """
    config, initial = replace(recipe.network, seed=recipe.seed_of(unit)), None
    if recipe.beginning:
        initial, checksum = initial_weights(recipe.beginning.folder, unit.fold - 1, config.classes)
        config = replace(config, init=checksum)
    batches = None
    if recipe.workers:
        source = BatchSource(heads, tuple(names), config, jitter_intensities)
        batches = partial(ahead, source, recipe.workers)
    result = train(
        MappedHeads(heads, names),
        config,
        folder,
        augment=jitter_intensities,
        on_log=on_log,
        initial=initial,
        batches=batches,
    )
    return Network(result.weights, frozenset(map(subject_of, names)), folder.name)


def predict_left_out(
    network: Network, heads: Path, names: Sequence[str], recipe: Recipe
) -> Iterator[tuple[str, ensemble.Prediction]]:
    """Segment heads of subjects that a network never saw.

    Parameters
    ----------
    network
        The network.
    heads, names
        Folder of the heads on the grid, and which to segment.
    recipe
        As it was trained.

    Yields
    ------
    name, prediction
        Of each head, on the network's grid.

    Raises
    ------
    BadDataError
        If one of the subjects was among those that it was trained on; none is segmented then.
    """
    check_apart(network.subjects, {subject_of(name) for name in names}, network.name)
    model = ensemble.from_weights(recipe.card(), [network.weights], network.name)
    for name in names:
        channels = np.asarray(open_mapped(heads, name).channels, dtype=np.float32)
        found = ensemble.predict(
            model,
            channels,
            device=recipe.network.device,
            threads=recipe.network.threads,
            precision=recipe.network.precision,
        )
        yield name, found


def subject_of(head: str) -> str:
    """Return ``sub-X`` of a head's name, which begins with its unit's label."""
    return head.split("_")[0]
