"""Models on disk: a folder with a JSON card and one safetensors file per network.

This module needs no torch, so that a model can be looked at without loading it. Nothing is ever
unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.modality import MODALITIES
from ctwml_bids.reading import read_json
from ctwml_bids.segmentation.model_card import Member, ModelCard, card_from, problems_of

CARD = "card.json"
_SHIPPED = Path(__file__).resolve().parents[1] / "data" / "models"


def default(modality: str) -> Path:
    """Return the folder of the model that is used where none is named.

    Raises
    ------
    NoInputError
        If the installation has no such model.
    """
    folder = _SHIPPED / MODALITIES[modality].model
    if not (folder / CARD).is_file():
        raise NoInputError(
            f"The packaged {modality} model is not at {folder}: install the package again, or "
            "name a model's folder."
        )
    return folder


def load_card(folder: Path) -> ModelCard:
    """Read a model's card and check that every network is there, unchanged.

    Raises
    ------
    NoInputError
        If the folder, the card or a network's file is missing.
    BadDataError
        If the card is not one, or a file differs from its checksum.
    """
    folder = Path(folder)
    card = _parse(folder / CARD)
    for member in card.members:
        path = folder / member.file
        if not path.is_file():
            raise NoInputError(f"The model {card.name} lacks {path}: copy the whole folder again.")
        found = sha256(path)
        if found != member.sha256:
            raise BadDataError(
                f"{path} is not the file that the model's card names (SHA-256 {found[:12]}…, "
                f"expected {member.sha256[:12]}…): it is damaged or was changed; copy it again."
            )
    return card


def load_weights(path: Path) -> dict[str, np.ndarray]:
    """Read a network's arrays by name, as float32.

    Raises
    ------
    BadDataError
        If the file is not safetensors (a pickle, say, which is never opened).
    """
    if Path(path).suffix != ".safetensors":
        raise BadDataError(f"{path} is not a .safetensors file; no other format is opened.")
    try:
        arrays = load_file(path)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        # The last three are of kinds of numbers that NumPy does not have (bfloat16, float8).
        raise BadDataError(f"{path} is not a readable safetensors file: {error}") from error
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def write_model(
    folder: Path, card: ModelCard, networks: Sequence[Mapping[str, np.ndarray]]
) -> ModelCard:
    """Write a model's folder; the card comes last, so that a half-written model has none.

    Parameters
    ----------
    folder
        Made if needed; a model that is there is replaced.
    card
        Its members are ignored and filled in from what is written.
    networks
        Arrays of each network by name. Kernels are stored in float16; vectors (biases, batch
        norm statistics, whose range is wider) in float32; step counters are left out.

    Returns
    -------
    ModelCard
        The card as written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD).unlink(missing_ok=True)
    members = []
    for index, network in enumerate(networks):
        path = folder / f"member-{index:02d}.safetensors"
        arrays = {
            name: np.ascontiguousarray(array, np.float16 if np.ndim(array) > 1 else np.float32)
            for name, array in network.items()
            if not name.endswith("num_batches_tracked")
        }
        save_file(arrays, path)
        path.chmod(0o644)  # safetensors writes for its owner alone; models are shared
        members.append(Member(path.name, sha256(path)))
    for stale in folder.glob("member-*.safetensors"):
        if stale.name not in {member.file for member in members}:
            stale.unlink()
    written = replace(card, members=tuple(members))
    part = folder / f"{CARD}.part"
    part.write_text(json.dumps(asdict(written), indent=2, ensure_ascii=False) + "\n")
    os.replace(part, folder / CARD)
    return written


def sha256(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parse(path: Path) -> ModelCard:
    if not path.is_file():
        raise NoInputError(f"There is no model at {path.parent}: it has no {CARD}.")
    try:
        card = card_from(read_json(path))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadDataError(f"{path} is not a model card of this program: {error}") from error
    if problems := problems_of(card):
        raise BadDataError(f"{path} is not a usable model card: {'; '.join(problems)}.")
    return card
