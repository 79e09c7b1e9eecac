"""The model that comes of a training: its networks and its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ctwml_bids.errors import BadDataError, InputOutputError, UsageError
from ctwml_bids.modality import MODALITIES
from ctwml_bids.segmentation import networks
from ctwml_bids.training.jobs import read_network

# The paper names none; uResNet's is this one.
PAPERS_LOSS = "cross-entropy"
NOT_STATED = "not stated: up to the owner of the data it was trained on"


def recipe_of(
    modality: str,
    *,
    steps: int,
    batch: int,
    learning_rate: float | None,
    precision: str,
    context: int | None,
    loss: str | None,
    variant: str | None,
    shipped: Path | None,
) -> dict[str, Any]:
    """Return the fields of a `cross_validation.Recipe`.

    Parameters
    ----------
    modality
        "ct" or "flair".
    steps, batch, learning_rate, precision, context, loss, variant
        As in settings; None for the paper's (a slice at a time, cross-entropy, the standard
        uResNet), or with ``shipped`` for what that model was trained with.
    shipped
        Folder of the model to begin from, whose network and inputs are then taken over; None for
        fresh networks.

    Raises
    ------
    UsageError
        If another context or variant is asked for than the networks to begin from have.
    """
    from ctwml_bids.segmentation.model_store import load_card

    fresh = {
        "variant": variant or networks.DEFAULT,
        "channels": MODALITIES[modality].channels,
        "context": context or 0,
        "flip": False,
        "loss": loss or PAPERS_LOSS,
    }
    rate = 5e-4
    if shipped is not None:
        card = load_card(shipped)
        if context not in (None, card.context):
            raise UsageError(
                f"--context {context}: the networks of {card.name}, which --init shipped begins "
                f"from, see {card.context} slices below and above; leave --context out."
            )
        begun = networks.of_card(card.name, card.network).name
        if variant not in (None, begun):
            raise UsageError(
                f"--network {variant}: those of {card.name}, which --init shipped begins from, are "
                f"{begun!r}; leave --network out, or begin with fresh weights."
            )
        fresh = {
            "variant": begun,
            "channels": card.channels,
            "context": card.context,
            "flip": card.flip,
            "loss": loss or card.loss or PAPERS_LOSS,
        }
        rate = 1e-4
    return {
        "steps": steps,
        "batch": batch,
        "learning_rate": rate if learning_rate is None else learning_rate,
        "precision": precision,
        "init": shipped,
        **fresh,
    }


def check_left_out(
    done: Mapping[str, Any], subjects: Sequence[str], trained_on: Sequence[str]
) -> None:
    """Make sure that a finished unit never saw those whom it segmented.

    Parameters
    ----------
    done
        What it noted.
    subjects
        ``sub-X`` of those that it segmented.
    trained_on
        ``sub-X`` of those that the plan had it trained on.

    Raises
    ------
    BadDataError
        It was trained on one of them, or on others than the plan says.
    """
    from ctwml_bids.training.cross_validation import check_apart

    check_apart(done["trained_on"], subjects, done["unit"])
    if sorted(done["trained_on"]) != sorted(trained_on):
        raise BadDataError(
            f"The network of {done['unit']} was trained on other subjects than the plan has for "
            "it: remove this unit's folder and train it again."
        )


def write_trained_model(
    folder: Path, members: Sequence[Path], recipe: Mapping[str, Any], facts: Mapping[str, Any]
) -> Path:
    """Write the final model.

    Parameters
    ----------
    folder
        Of the model.
    members
        Folders of the units whose networks it is made of.
    recipe
        From `recipe_of`.
    facts
        Fields of the card.

    Raises
    ------
    InputOutputError
        If the disk is full.
    """
    from safetensors import SafetensorError

    from ctwml_bids.segmentation.model_store import write_model
    from ctwml_bids.training.cross_validation import Recipe, card_of

    weights = [read_network(member) for member in members]
    try:
        write_model(folder, card_of(Recipe(**recipe), **facts), weights)
    except SafetensorError as error:
        raise InputOutputError(
            f"{folder}: the model cannot be written ({error}). Make room and run the same command "
            "again, with --only merge: what is done is kept."
        ) from error
    return folder
