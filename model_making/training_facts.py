"""What a network of a shipped model was trained on and how: kept beside it, told in its card."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path

import torch

from ctwml_bids.errors import BadDataError
from ctwml_bids.segmentation import model_store
from ctwml_bids.segmentation.classes import INFARCT, NAMES, WML
from ctwml_bids.simulation.canonical import MIRRORED
from ctwml_bids.simulation.patterns import NO_PATTERN
from ctwml_bids.training.patches import TrainingVolume
from ctwml_bids.training.recipe import FREE, TrainingConfig

FACTS = "facts.json"
# Subjects that the program is tested on: neither their images nor their anatomies train anything.
NEVER = (
    "sub-ge01", "sub-dv01", "sub-sr01", "sub-ll12", "sub-ll20",
    "anat-05", "anat-11", "anat-17", "anat-20",
)  # fmt: skip
# What trainings from before it was recorded are taken to have; the others go uncompared there.
_FORMER = {"augment": "intensities"}


def describe(
    chosen: Sequence[tuple[TrainingVolume, dict]],
    config: TrainingConfig,
    augment: str,
    leave_out: Sequence[str],
) -> dict:
    """Return the facts of a training: counts, whom it sees in which form, settings; JSON-able.

    Parameters
    ----------
    chosen
        Heads with their facts, from `train_shipped.choose_heads`.
    config, augment, leave_out
        As the network is trained with.
    """
    volumes = [volume for volume, _ in chosen]
    names = {volume.name for volume in volumes}
    shapes = {
        infarct["shape"].removesuffix(MIRRORED)
        for _, row in chosen
        for infarct in row.get("infarcts", ())
        if "shape" in infarct
    }
    factors = [row["ct_noise_factor"] for _, row in chosen if "ct_noise_factor" in row]
    return {
        "heads": len({person_of(volume) for volume in volumes}),
        "volumes": len(names),
        "volumes_sha256": names_sha256(names),
        "volumes_without_lesion": sum(not (volume.labels == WML).any() for volume in volumes),
        "anatomies": sorted(
            {
                name
                for _, row in chosen
                if "subject" not in row
                for name in (anatomy(row), pattern(row))
                if name
            }
        ),
        "real_subjects": sorted(
            {row[key] for _, row in chosen for key in ("subject", "texture") if key in row}
        ),
        "leave_out": sorted(leave_out),
        "config": config.to_dict(),
        "augment": augment,
        "torch": torch.__version__,
        **({"ct_noise_factors": [min(factors), max(factors)]} if factors else {}),
        **({"infarct_shapes": len(shapes)} if shapes else {}),
        **({"volumes_with_infarct": _with_infarct(volumes)} if config.has_infarcts else {}),
    }


def _with_infarct(volumes: Sequence[TrainingVolume]) -> int:
    return len({volume.name for volume in volumes if (volume.labels == INFARCT).any()})


def with_beginning(facts: dict, model: Path, member: int) -> dict:
    """Add to a training's facts what the network that it began from had seen.

    Parameters
    ----------
    facts
        With "anatomies" and "real_subjects" that were trained on; in the result these are all
        that either training saw, and "began_from" has the facts of the first, with those classes
        that are fresh because it did not know them.
    model, member
        See `loop.initial_weights`.

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
    fresh = [name for name in NAMES[: facts["config"]["classes"]] if name not in card.classes]
    began = {"model": card.name} | seen | ({"fresh_classes": fresh} if fresh else {})
    people = {kind: sorted({*facts[kind], *seen[kind]}) for kind in ("anatomies", "real_subjects")}
    return facts | people | {"began_from": began}


def names_sha256(names: Collection[str]) -> str:
    """Return the SHA-256 of the names of the heads that a network was trained on."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()


def settle(folder: Path, facts: dict) -> None:
    """Write the facts of a training that begins; check them where one goes on.

    Which torch and which device it began on stays as it was written first.

    Raises
    ------
    BadDataError
        If the folder has another training; the message names what differs.
    """
    path = folder / FACTS
    if path.is_file():
        before, now = (_compared(found) for found in (json.loads(path.read_text()), facts))
        if differing := sorted(key for key in before if before[key] != now.get(key)):
            raise BadDataError(
                f"{folder} has another training (differs in {', '.join(differing)}): train into "
                "another folder, or remove it to start again."
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(facts, indent=2))
    os.replace(part, path)


def _compared(facts: dict) -> dict:
    """Return what may not differ when a training goes on, settings by their own names."""
    facts = _FORMER | facts
    config = {"init": ""} | facts.pop("config")
    settings = {key: value for key, value in config.items() if key not in FREE}
    facts.pop("torch", None)
    return json.loads(json.dumps(facts | settings))  # tuples become lists, as in the file


def anatomy(facts: dict) -> str:
    """Return whose folds a simulated head has: "template" or a subject."""
    return facts.get("anatomy", "template").removesuffix(MIRRORED)


def pattern(facts: dict) -> str | None:
    """Return whose lesions gave those of a simulated head their pattern."""
    name = facts.get("lesion_pattern", NO_PATTERN).removesuffix(MIRRORED)
    return None if name == NO_PATTERN else name


def shown_in(facts: dict) -> set[str]:
    """Return everyone whose image, anatomy, lesions or fine structure a head has."""
    others = (facts.get("subject"), facts.get("texture"), pattern(facts))
    return {anatomy(facts), *(name for name in others if name)}


def person_of(volume: TrainingVolume) -> str:
    """Return the part of a head's name that its poses and copies share."""
    return volume.name.split("_")[0]
