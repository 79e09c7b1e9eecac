"""What a network of a training leaves in its folder, and whom it may segment.

A unit's folder holds its checkpoints and its log while it is trained, then the maps of the subjects
that it left out; ``unit.json`` comes last and says that the unit is done.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from safetensors.numpy import save

from ctwml_bids.bids.files import write_bytes
from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.reading import read_json
from ctwml_bids.segmentation.model_store import load_weights

DONE = "unit.json"
NETWORK = "network.safetensors"
# Probabilities are kept in steps of 1/1024, as those that the participant level writes.
STEPS = 1024
# Arrays in a file of maps.
PROBABILITY, INFARCT = "probability", "infarct"
# What a finished unit noted, as JSON has it (`cross_validation.run_unit`).
Noted = Mapping[str, Any]
_AGAIN = "remove this unit's folder and run `train` again"


def tidy(folder: Path) -> None:
    """Remove the checkpoints of a finished unit."""
    for checkpoint in folder.glob("checkpoint*"):
        checkpoint.unlink(missing_ok=True)


def read_done(folder: Path, *, network: bool = False) -> Noted | None:
    """Read what a finished unit noted.

    Parameters
    ----------
    folder
        Of the unit.
    network
        Whether its network is needed, too.

    Returns
    -------
    mapping or None
        None where it is not finished, or a map of it, or the network, is gone.
    """
    try:
        about = read_json(folder / DONE)
        labels = about["segmented"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if network and not (folder / NETWORK).is_file():
        return None
    return about if all(_map_path(folder, label).is_file() for label in labels) else None


def mean_map(
    folders: Sequence[Path], label: str, of: str = PROBABILITY
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and SD of a unit's out-of-fold maps over the repeats.

    Parameters
    ----------
    folders
        Of the units that left it out, one for each repeat.
    label
        ``sub-X`` or ``sub-X_ses-Y``.
    of
        `PROBABILITY` of WML, or `INFARCT` probability of networks that have the class.

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
                found = opened[of].astype(np.int64)
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


def _map_path(folder: Path, label: str) -> Path:
    return folder / "maps" / f"{label}.npz"


def write_map(
    folder: Path, label: str, probability: np.ndarray, infarct: np.ndarray | None = None
) -> None:
    """Write an out-of-fold map: probability of WML, and perhaps of infarcts, (x, y, z).

    On the network's grid.
    """
    arrays: dict[str, Any] = {PROBABILITY: probability}
    arrays |= {} if infarct is None else {INFARCT: infarct}
    arrays = {name: np.round(array * STEPS).astype(np.uint16) for name, array in arrays.items()}
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_bytes(_map_path(folder, label), content.getvalue())


def write_network(folder: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Keep a unit's network."""
    write_bytes(folder / NETWORK, save(dict(weights)))


def read_network(folder: Path) -> dict[str, np.ndarray]:
    """Read a unit's network (NoInputError, BadDataError)."""
    if not (folder / NETWORK).is_file():
        raise NoInputError(f"{folder / NETWORK}: this network is missing; {_AGAIN}")
    return load_weights(folder / NETWORK)


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


def check_left_out(done: Noted, subjects: Sequence[str], trained_on: Sequence[str]) -> None:
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
    check_apart(done["trained_on"], subjects, done["unit"])
    if sorted(done["trained_on"]) != sorted(trained_on):
        raise BadDataError(
            f"The network of {done['unit']} was trained on other subjects than the plan has for "
            "it: remove this unit's folder and train it again."
        )
