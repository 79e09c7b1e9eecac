"""Networks of a user's own heads, and what each says of subjects that it never saw.

A network carries the names of the subjects that it was trained on, taken from the heads that it
was given; it refuses to segment any of them as left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from ctwml_bids.errors import BadDataError
from ctwml_bids.segmentation import ensemble, model_store
from ctwml_bids.segmentation.precision import choose
from ctwml_bids.training import beginnings
from ctwml_bids.training.loop import TrainingConfig, train
from ctwml_bids.training.mapped_heads import MappedHeads, open_mapped
from ctwml_bids.training.patches import PatchConfig, jitter_intensities
from ctwml_bids.training.prefetch import BatchSource, ahead

# Checkpoints cost a tenth of a second, and a restart repeats this many steps at most.
CHECKPOINT_EVERY, LOG_EVERY = 100, 50
LESION_SHARE = 0.5


@dataclass(frozen=True)
class Recipe:
    """What all networks of a model have in common.

    Attributes
    ----------
    steps, batch, learning_rate, precision
        As in `training.TrainingConfig`.
    variant, channels, context, flip
        As in `model_store.ModelCard`.
    loss
        As in `training.TrainingConfig`.
    init
        Folder of the model whose networks they begin from, or None for fresh ones.
    """

    steps: int
    batch: int
    learning_rate: float
    precision: str
    variant: str
    channels: tuple[str, ...]
    context: int
    flip: bool
    loss: str = "cross-entropy"
    init: Path | None = None


@dataclass(frozen=True)
class Machine:
    """Where networks are trained: device, CPU threads, processes that make batches (0: none)."""

    device: str = "cpu"
    threads: int = 1
    workers: int = 0


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


def subject_of(head: str) -> str:
    """Return ``sub-X`` of a head's name, which begins with its unit's label."""
    return head.split("_")[0]


def train_network(
    heads: Path,
    names: Sequence[str],
    recipe: Recipe,
    *,
    seed: int,
    member: int,
    folder: Path,
    machine: Machine,
    on_log: Callable[[dict[str, float]], None] | None = None,
) -> Network:
    """Train one network, or go on where its checkpoint ends.

    Parameters
    ----------
    heads, names
        Folder of the heads on the grid, and which to train on.
    recipe
        How.
    seed
        Of the weights and of every draw.
    member
        Which network of ``recipe.init`` to begin from, modulo their number.
    folder
        Of its checkpoint and log; its name is that of the network.
    machine
        Where.
    on_log
        See `training.train`.

    Raises
    ------
    BadDataError, InputOutputError, TemporaryError
        See `training.train` and `prefetch.ahead`.
    """
    initial, init = beginnings.initial_weights(recipe.init, member) if recipe.init else (None, "")
    config = TrainingConfig(
        steps=recipe.steps,
        batch=recipe.batch,
        learning_rate=recipe.learning_rate,
        variant=recipe.variant,
        loss=recipe.loss,
        patches=PatchConfig(lesion_share=LESION_SHARE, context=recipe.context),
        seed=seed,
        precision=recipe.precision,
        init=init,
        device=machine.device,
        threads=machine.threads,
        checkpoint_every=CHECKPOINT_EVERY,
        log_every=LOG_EVERY,
    )
    batches = None
    if machine.workers:
        source = BatchSource(
            heads, tuple(names), config.patches, config.batch, seed, jitter_intensities
        )
        batches = partial(ahead, source, machine.workers, steps=config.steps)
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
    network: Network, heads: Path, names: Sequence[str], recipe: Recipe, machine: Machine
) -> Iterator[tuple[str, np.ndarray]]:
    """Segment heads of subjects that a network never saw.

    Parameters
    ----------
    network
        The network.
    heads, names
        Folder of the heads on the grid, and which to segment.
    recipe, machine
        As it was trained.

    Yields
    ------
    name, probability
        Of each head; float32, (x, y, z) on the network's grid, 0 outside the brain.

    Raises
    ------
    BadDataError
        If one of the subjects was among those that it was trained on; none is segmented then.
    """
    check_apart(network.subjects, {subject_of(name) for name in names}, network.name)
    model = ensemble.from_weights(card_of(recipe), [network.weights], network.name)
    for name in names:
        channels = np.asarray(open_mapped(heads, name).channels, dtype=np.float32)
        found = ensemble.predict(
            model,
            channels,
            device=machine.device,
            threads=machine.threads,
            precision=recipe.precision,
        )
        yield name, found.probability


def compute_precision(recipe: Recipe, machine: Machine) -> str:
    """Name the number format that the convolutions run in: "float32" or "bfloat16"."""
    return str(choose(recipe.precision, machine.device)).removeprefix("torch.")


def check_apart(trained_on: Collection[str], left_out: Collection[str], what: str) -> None:
    """Refuse to segment a subject with a network that saw it.

    Parameters
    ----------
    trained_on, left_out
        Subjects that a network was trained on, and those that it is to segment.
    what
        The network, for the message.

    Raises
    ------
    BadDataError
        If a subject is in both.
    """
    if both := sorted(set(trained_on) & set(left_out)):
        raise BadDataError(
            f"The network of {what} was trained on {', '.join(both)}, which it is to segment as if "
            "it had never seen them: the split leaks. Remove this unit's folder and train it again."
        )


def card_of(recipe: Recipe, **facts: object) -> model_store.ModelCard:
    """Return the card of a model made by a recipe, without members; ``facts`` are its fields."""
    about = {
        "name": "in training",
        "modality": "ct" if "hu" in recipe.channels else "flair",
        "version": "1",
        "threshold": 0.5,
        "license": "not stated",
        **facts,
    }
    return model_store.ModelCard(
        network={
            "variant": recipe.variant,
            "in_channels": len(recipe.channels) * (2 * recipe.context + 1),
            "classes": 2,
        },
        channels=recipe.channels,
        members=(),
        context=recipe.context,
        flip=recipe.flip,
        **about,
    )
