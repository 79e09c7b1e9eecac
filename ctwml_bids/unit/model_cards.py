"""Cards of the models that an output folder's units were segmented with: there once for them all.

A unit's statistics name a card by its file and the file's SHA-256. A card that was written stays:
another one of the same name lies beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from ctwml_bids.bids import names
from ctwml_bids.bids.files import json_bytes, write_bytes
from ctwml_bids.errors import BadDataError
from ctwml_bids.reading import parse_json
from ctwml_bids.segmentation.model_card import ModelCard, card_from


def register_cards(output_dir: Path, cards: Iterable[ModelCard]) -> None:
    """Write the cards of a run's models where they are not there yet.

    Parameters
    ----------
    output_dir
        The derivative data set. One process at a time may do this.
    cards
        Of the models.

    Raises
    ------
    CannotCreateError, InputOutputError
        A card cannot be written.
    """
    for card in cards:
        path, content = output_dir / card_file(output_dir, card), json_bytes(asdict(card))
        if _content(path) != content:
            write_bytes(path, content)


def card_file(output_dir: Path, card: ModelCard) -> PurePosixPath:
    """Name the file of a card, relative to the output folder, wherever it is or is to be."""
    content = json_bytes(asdict(card))
    plain = names.model_card(card.name)
    if _content(output_dir / plain) in (None, content):
        return plain
    return names.model_card(card.name, hashlib.sha256(content).hexdigest())


def named(output_dir: Path, card: ModelCard) -> dict[str, object]:
    """Name a model as a unit's statistics do: by its card's file, and the SHA-256 of that.

    With its thresholds, by which `group` says in what units differ.
    """
    stated = {
        "name": card.name,
        "threshold": card.threshold,
        "infarct_threshold": card.infarct_threshold,
        "infarct_least_ml": card.infarct_least_ml,
        "card": card_file(output_dir, card).as_posix(),
        "card_sha256": hashlib.sha256(json_bytes(asdict(card))).hexdigest(),
    }
    return {name: value for name, value in stated.items() if value is not None}


def recalled(output_dir: Path, stated: Mapping[str, Any]) -> tuple[ModelCard, PurePosixPath | None]:
    """Find the card that a unit's statistics name.

    Parameters
    ----------
    output_dir
        The derivative data set.
    stated
        From `named`; or the whole card, as version 0.2 wrote it into the statistics.

    Returns
    -------
    card : ModelCard
        As it was when the unit was segmented.
    file : PurePosixPath or None
        Relative to the output folder; None where the statistics hold it themselves.

    Raises
    ------
    BadDataError
        The card is gone or was changed.
    TypeError, KeyError, ValueError
        It is none that this version knows.
    """
    if "members" in stated:
        return card_from(stated), None
    sha256 = stated["card_sha256"]
    for file in (PurePosixPath(stated["card"]), names.model_card(stated["name"], sha256)):
        content = _content(output_dir / file)
        if content is not None and hashlib.sha256(content).hexdigest() == sha256:
            return card_from(parse_json(content.decode())), file
    raise BadDataError(
        f"{output_dir / stated['card']}: is gone or was changed since this unit was segmented; run "
        f"the participant level with the model {stated['name']}, which writes its card again"
    )


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
