"""Training of one network on patches; stops and resumes without a difference.

Adam, by default with unweighted cross-entropy as reported by Guerrero et al. 2018; the learning
rate falls along half a cosine, and the weights that are kept are a running mean over the last
steps. Every random draw of a step comes from (seed, step), so that a resumed training goes on as an
unbroken one would.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ctwml_bids.segmentation import model_store, networks
from ctwml_bids.segmentation.classes import INFARCT, WML
from ctwml_bids.segmentation.precision import choose
from ctwml_bids.training.checkpoint import TrainingState, plain_weights, restore_latest, save
from ctwml_bids.training.head_surgery import with_classes
from ctwml_bids.training.log import LOG_FILE, Overlap, Tally, append_row, cut_log
from ctwml_bids.training.losses import segmentation_loss
from ctwml_bids.training.patches import Augmentation, PatchSampler, TrainingVolume, offsets
from ctwml_bids.training.recipe import TrainingConfig

# Columns of the log → whose Dice is in it.
_DICE = {"dice": WML, "dice_infarct": INFARCT}

Batches = Generator[tuple[np.ndarray, np.ndarray], None, None]


@dataclass(frozen=True)
class TrainingResult:
    """A trained network: weights by name (the running mean), and the log's rows."""

    weights: dict[str, Tensor]
    log: tuple[dict[str, float], ...]


def train(
    volumes: Sequence[TrainingVolume],
    config: TrainingConfig,
    folder: Path | None = None,
    *,
    augment: Augmentation | None = None,
    on_log: Callable[[dict[str, float]], None] | None = None,
    initial: Mapping[str, Tensor] | None = None,
    batches: Callable[[int], Batches] | None = None,
) -> TrainingResult:
    """Train one network, or go on where a checkpoint in ``folder`` ends.

    Parameters
    ----------
    volumes
        Heads on the network's grid.
    config
        How to train.
    folder
        Where the checkpoint (``checkpoint.safetensors``) and the log (``log.tsv``)
        are kept.
    augment
        See `patches.PatchSampler.batch`.
    on_log
        Called with every row of the log.
    initial
        Weights to begin from instead of fresh ones; ``config.init`` names them.
    batches
        Yields the batches from a step on, as `drawn` does, made elsewhere (`prefetch`).

    Raises
    ------
    BadDataError
        If the heads cannot be trained on, or the checkpoint is of another kind of training.
    InputOutputError
        If a checkpoint cannot be written.
    """
    torch.set_num_threads(config.threads)
    slices = len(offsets(config.patches.context))
    state = _initial_state(config, slices * volumes[0].channels.shape[0], initial)
    checkpoint = None
    if folder is not None:
        checkpoint = folder / "checkpoint.safetensors"
        restore_latest(state, checkpoint, config.to_record())
        cut_log(folder / LOG_FILE, state.step)
    rows: list[dict[str, float]] = []
    tally = Tally()
    source = batches(state.step) if batches else drawn(volumes, config, augment, state.step)
    with closing(source):
        for step in range(state.step, config.steps):
            channels, labels = next(source)
            tally.add(*_step(state, channels, labels, step, config))
            last = step + 1 == config.steps
            if (step + 1) % config.log_every == 0 or last:
                rows.append(tally.row(step + 1, learning_rate(config, step)))
                tally = Tally()
                if folder:
                    append_row(folder / LOG_FILE, rows[-1])
                if on_log:
                    on_log(rows[-1])
            if checkpoint and ((step + 1) % config.checkpoint_every == 0 or last):
                save(state, checkpoint, config.to_record())
    return TrainingResult(plain_weights(state.mean), tuple(rows))


def initial_weights(model: Path, member: int, classes: int) -> tuple[dict[str, Tensor], str]:
    """Return the weights of one of a model's networks to begin a training from.

    Parameters
    ----------
    model
        Its folder.
    member
        Which network, modulo their number; and the seed of what is fresh.
    classes
        That the training has. Where the network has others, its head is made anew, with what it
        knows of the classes that both have (`head_surgery`).

    Returns
    -------
    weights, checksum
        The arrays by name, and the SHA-256 of the network's file.

    Raises
    ------
    NoInputError, BadDataError
        If there is no such model, or it is damaged.
    """
    card = model_store.load_card(model)
    chosen = card.members[member % len(card.members)]
    arrays = model_store.load_weights(model / chosen.file)
    weights = {name: torch.from_numpy(array) for name, array in arrays.items()}
    if classes != len(card.classes):
        architecture = networks.of_card(card)
        fresh = _fresh(architecture, card.network["in_channels"], classes, member)
        weights = with_classes(weights, fresh.state_dict(), architecture.head)
    return weights, chosen.sha256


def drawn(
    volumes: Sequence[TrainingVolume],
    config: TrainingConfig,
    augment: Augmentation | None,
    first: int,
) -> Batches:
    """Yield the batches of a training from step ``first`` on, without an end."""
    sampler = PatchSampler(volumes, config.patches, config.classes)
    for step in itertools.count(first):
        rng = np.random.default_rng([config.seed, step])
        yield sampler.batch(rng, config.batch, augment)


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Half a cosine from the first rate to 2% of it."""
    share = 0.5 * (1 + math.cos(math.pi * step / max(config.steps, 1)))
    return config.learning_rate * (0.02 + 0.98 * share)


def _initial_state(
    config: TrainingConfig, channels: int, initial: Mapping[str, Tensor] | None
) -> TrainingState:
    architecture = config.architecture
    network = _fresh(architecture, channels, config.classes, config.seed)
    if initial is not None:
        networks.load(network, initial, config.init)
    # torch's own annotation of Module.to leaves memory_format out.
    network.to(config.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean = architecture.build(channels, config.classes).to(config.device)
    mean.load_state_dict(network.state_dict())
    # Not fused: a resumed training then differed from one that nobody had stopped.
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    return TrainingState(network, mean, optimiser)


def _fresh(
    architecture: networks.Architecture, channels: int, classes: int, seed: int
) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return architecture.build(channels, classes)


def _step(
    state: TrainingState,
    channels: np.ndarray,
    labels: np.ndarray,
    step: int,
    config: TrainingConfig,
) -> tuple[Tensor, dict[str, Overlap]]:
    """One optimiser step; returns the loss and the overlap of each lesion class.

    They stay on the device: to ask a GPU for a number is to wait for it.
    """
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(config, step)
    x = torch.from_numpy(channels).to(config.device, memory_format=torch.channels_last)
    y = torch.from_numpy(labels).to(config.device)
    dtype = choose(config.precision, config.device)
    state.network.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed * 1_000_003 + step)  # for dropout
        with torch.autocast(
            torch.device(config.device).type, torch.bfloat16, enabled=dtype is torch.bfloat16
        ):
            logits = state.network(x)
        loss = segmentation_loss(logits.float(), y, config.loss)
        state.optimiser.zero_grad()
        loss.backward()
        state.optimiser.step()
    state.step = step + 1
    _update_mean(state, config.mean_weight)
    with torch.no_grad():
        best = logits.argmax(1)
        overlaps = {
            name: (2 * (found & wanted).sum(), found.sum() + wanted.sum())
            for name, lesion in _DICE.items()
            if lesion < config.classes
            for found, wanted in [(best == lesion, y == lesion)]
        }
        return loss.detach(), overlaps


def _update_mean(state: TrainingState, weight: float) -> None:
    """Move the running mean; early on it forgets faster, so that the start leaves no trace."""
    keep = min(weight, (1 + state.step) / (10 + state.step))
    means, nows = state.mean.state_dict().values(), state.network.state_dict().values()
    pairs = list(zip(means, nows, strict=True))
    moving = [pair for pair in pairs if pair[0].is_floating_point()]
    with torch.no_grad():
        # One call for all: a step has a hundred arrays, most of them small.
        torch._foreach_lerp_([mean for mean, _ in moving], [now for _, now in moving], 1 - keep)
        for mean, now in pairs:
            if not mean.is_floating_point():
                mean.copy_(now)
