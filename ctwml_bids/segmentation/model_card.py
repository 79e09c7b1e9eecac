"""The card of a model: what it is, what it expects, and what decides which voxels are lesions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctwml_bids.modality import MODALITIES
from ctwml_bids.segmentation import classes

# An entry of a card, as JSON has it.
Entry = Mapping[str, Any]
# Neighbouring slices, as many as `train --context` takes: a card decides how large a network is.
MOST_CONTEXT = 9
_LISTS = ("channels", "classes", "grid_spacing_mm", "never_trained_on")
# Fields by what their values are.
_TYPES = {
    "text": ("name", "modality", "version", "license"),
    "texts": ("channels", "classes", "never_trained_on"),
    "number": ("threshold", "background"),
    "number or null": ("infarct_threshold", "infarct_least_ml", "island_share"),
    "three sizes": ("grid_spacing_mm",),
    "count": ("context",),
    "true or false": ("flip",),
    "object": ("network", "training", "accuracy"),
}


@dataclass(frozen=True)
class Member:
    """One network of an ensemble: file name in the model's folder, and its SHA-256."""

    file: str
    sha256: str


@dataclass(frozen=True)
class ModelCard:
    """What a model is, what it expects, and what is known about it.

    Attributes
    ----------
    name, version, license
        Of the weights.
    modality
        "ct" or "flair".
    network
        "variant" (a name in `networks.ARCHITECTURES`), "in_channels" and "classes".
    channels
        Names of the input channels (`normalisation.network_input`).
    threshold
        A voxel is a WML where the mean probability is above this (`classes.exclusive_masks`).
    members
        The networks, checksums included.
    background
        Value outside the brain.
    grid_spacing_mm
        Voxel edges of the network's grid along R, A, S.
    context
        Neighbouring slices below, and above, each slice that the network sees along with it.
    flip
        Whether the mean over the image and its left–right mirror image is taken.
    classes
        Names of the output classes, the first two or all of `classes.NAMES`.
    infarct_threshold
        Of infarcts, likewise; None where they are no class of the network.
    infarct_least_ml
        Regions of the infarct mask under this volume (mL, in the template's space) are left out
        (`islands.small_regions`); None: all stay.
    island_share
        Small regions of less than this share in the template's white matter are left out
        (`islands.outside_white_matter`); None: all stay.
    training, accuracy
        How it was trained, and how well it did on what, JSON-able.
    never_trained_on
        Subjects that were kept out of training.
    """

    name: str
    modality: str
    version: str
    network: Entry
    channels: tuple[str, ...]
    threshold: float
    members: tuple[Member, ...]
    license: str
    background: float = -3.0
    grid_spacing_mm: tuple[float, float, float] = (1.0, 1.0, 3.0)
    context: int = 0
    flip: bool = False
    classes: tuple[str, ...] = classes.NAMES[:2]
    infarct_threshold: float | None = None
    infarct_least_ml: float | None = None
    island_share: float | None = None
    training: Entry = field(default_factory=dict)
    accuracy: Entry = field(default_factory=dict)
    never_trained_on: tuple[str, ...] = ()

    @property
    def checksum(self) -> str:
        """SHA-256 over the members' checksums and all that decides what is made of them.

        It names a model in sidecars and settings hashes: the same weights under another threshold
        give other masks.
        """
        decisive = ("network", "channels", "threshold", "background", "grid_spacing_mm", "flip")
        content = {name: getattr(self, name) for name in (*decisive, "context")}
        # Only where they are said: checksums of models without them stay what they were.
        optional = ("island_share", "infarct_threshold", "infarct_least_ml")
        said = {name: getattr(self, name) for name in optional}
        content |= {name: value for name, value in said.items() if value is not None}
        content["members"] = [member.sha256 for member in self.members]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def has_infarcts(self) -> bool:
        """Whether its networks tell infarcts from WML."""
        return classes.NAMES[classes.INFARCT] in self.classes

    @property
    def loss(self) -> str:
        """What its networks were trained to make small; empty where the card does not say."""
        trained = [*(_part(member, "config") for member in self._members_trained)]
        said = [part.get("loss") for part in (*trained, _part(self.training, "protocol"))]
        return next((loss for loss in said if isinstance(loss, str) and loss), "")

    @property
    def seen(self) -> frozenset[str]:
        """``sub-X`` of everyone whose images or anatomy took part in its training."""
        said = [self.training.get("subjects")]
        for member in self._members_trained:
            said += [member.get("anatomies"), member.get("real_subjects")]
        names = [name for part in said if isinstance(part, list | tuple) for name in part]
        return frozenset(n for n in names if isinstance(n, str) and n.startswith("sub-"))

    @property
    def _members_trained(self) -> Sequence[Entry]:
        """What the shipped models' cards say of the training of each network."""
        members = self.training.get("members")
        listed = members if isinstance(members, list | tuple) else ()
        return [member for member in listed if isinstance(member, dict)]


def card_from(values: Entry) -> ModelCard:
    """Make a card from what `dataclasses.asdict` made of one, by way of JSON.

    Raises
    ------
    TypeError, KeyError
        If a field is missing, is one too many, or has a value of another type.
    """
    if not isinstance(values, dict):
        raise TypeError("it is no object {...}")
    for name in (*_LISTS, "members"):
        if not isinstance(values.get(name, ()), list | tuple):
            raise TypeError(f"{name} is no list")
    tuples = {name: tuple(values[name]) for name in _LISTS if name in values}
    members = tuple(Member(**member) for member in values["members"])
    card = ModelCard(**{**values, **tuples, "members": members})
    _check_types(card)
    return card


def _part(entry: Entry, key: str) -> Entry:
    """Return the object under a key of an entry, {} where there is none."""
    found = entry.get(key)
    return found if isinstance(found, dict) else {}


def _check_types(card: ModelCard) -> None:
    """Refuse a card with a value of another type than its field's (TypeError)."""
    fits = {
        "text": lambda value: isinstance(value, str),
        "texts": lambda value: all(isinstance(one, str) for one in value),
        "number": _is_number,
        "number or null": lambda value: value is None or _is_number(value),
        "three sizes": lambda v: len(v) == 3 and all(_is_number(one) and one > 0 for one in v),
        "count": lambda value: type(value) is int and 0 <= value <= MOST_CONTEXT,
        "true or false": lambda value: isinstance(value, bool),
        "object": lambda value: isinstance(value, dict),
    }
    for kind, names in _TYPES.items():
        for name in names:
            if not fits[kind](getattr(card, name)):
                raise TypeError(f"{name} is {getattr(card, name)!r:.80}; expected {kind}")
    for member in card.members:
        if not (isinstance(member.file, str) and isinstance(member.sha256, str)):
            raise TypeError("a network's file, or its sha256, is no text")
    if not isinstance(card.network.get("variant", ""), str):
        raise TypeError("network has a variant that is no text")


def _is_number(value: object) -> bool:
    # A whole number of JSON may be too large for a float.
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and -1e9 < value < 1e9  # type: ignore[operator]


def problems_of(card: ModelCard) -> list[str]:
    """Say why a card would fail later, or reach outside its folder; empty if it would not."""
    problems = []
    if card.modality not in MODALITIES:
        problems.append(f"modality {card.modality!r} is none of {', '.join(MODALITIES)}")
    if not card.members:
        problems.append("it names no network")
    if any(Path(member.file).name != member.file for member in card.members):
        problems.append("a network's file is not a plain name in the model's folder")
    for name in ("in_channels", "classes"):
        if type(card.network.get(name)) is not int:
            problems.append(f"network has no whole number of {name}")
    expected = len(card.channels) * (2 * card.context + 1)
    if expected != card.network.get("in_channels"):
        problems.append(
            f"{len(card.channels)} channels and {card.context} neighbouring slices are named, "
            f"which is {expected} images; the network takes {card.network.get('in_channels')}"
        )
    if card.classes not in [classes.NAMES[:count] for count in classes.COUNTS]:
        problems.append(
            f"the classes {', '.join(map(str, card.classes))} are neither {classes.NAMES[:2]} nor "
            f"{classes.NAMES}"
        )
    if len(card.classes) != card.network.get("classes"):
        problems.append(
            f"{len(card.classes)} classes are named; the network has {card.network.get('classes')}"
        )
    if card.has_infarcts != (card.infarct_threshold is not None):
        problems.append("infarct_threshold goes with the class infarct, and only with it")
    if card.infarct_least_ml is not None and not (card.has_infarcts and card.infarct_least_ml > 0):
        problems.append("infarct_least_ml is a volume above 0, and goes with the class infarct")
    for name in ("threshold", "infarct_threshold", "island_share"):
        value = getattr(card, name)
        if value is not None and not 0 < value < 1:
            problems.append(f"{name} {value} is not between 0 and 1")
    return problems
