"""Networks that trainings begin from, and what those had seen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ctwml_bids.errors import BadDataError
from ctwml_bids.segmentation import model_store


def initial_weights(model: Path, member: int) -> tuple[dict[str, Tensor], str]:
    """Return the weights of one of a model's networks to begin a training from.

    Parameters
    ----------
    model
        Its folder.
    member
        Which network, modulo their number.

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
    return {name: torch.from_numpy(array) for name, array in arrays.items()}, chosen.sha256


def mean_with_beginning(
    weights: Mapping[str, Tensor], model: Path, config: Mapping
) -> dict[str, Tensor]:
    """Return the mean of a network's weights and of those that its training began from.

    Running statistics of batch norms are averaged as well, and not measured again.

    Parameters
    ----------
    weights
        Arrays by name after the training; counters among them are returned as they are.
    model
        Folder of the model that it began from.
    config
        Of the training: "seed" is the member's number, "init" the checksum of its beginning.

    Raises
    ------
    NoInputError, BadDataError
        If there is no such model, it is damaged, or the training began from another network.
    """
    first, checksum = initial_weights(model, config["seed"])
    if config.get("init") != checksum:
        raise BadDataError(
            f"Training {config['seed']} did not begin from a network of {model}: there is no mean "
            "to take with it."
        )
    return {
        name: (first[name].to(now.dtype) + now) / 2 if now.is_floating_point() else now
        for name, now in weights.items()
    }


def with_beginning(facts: dict, model: Path, member: int) -> dict:
    """Add to a training's facts what the network that it began from had seen.

    Parameters
    ----------
    facts
        With "anatomies" and "real_subjects" that were trained on; in the result these are all
        that either training saw, and "began_from" has the facts of the first.
    model, member
        See `initial_weights`.

    Raises
    ------
    BadDataError
        If the model's card does not say it.
    """
    card = model_store.load_card(model)
    members = card.training.get("members")
    if not members:
        raise BadDataError(
            f"The card of {model} does not list what each of its networks was trained on, so that "
            "no shipped network can begin from one of them."
        )
    seen = members[member % len(members)]
    people = {kind: sorted({*facts[kind], *seen[kind]}) for kind in ("anatomies", "real_subjects")}
    return facts | people | {"began_from": {"model": card.name} | seen}
