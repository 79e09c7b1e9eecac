"""All settings of a training as one record, which goes whole from the options to each network."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctwml_bids.segmentation import networks
from ctwml_bids.segmentation.classes import COUNTS, INFARCT, NAMES
from ctwml_bids.segmentation.model_card import ModelCard
from ctwml_bids.training.patches import PatchConfig

# The paper's on CT; of infarcts, until others are found, those of WML.
THRESHOLDS = {"ct": 0.25, "flair": 0.5}
LOSSES = ("cross-entropy", "dice+cross-entropy")
# Checkpoints cost a tenth of a second, and a restart repeats this many steps at most.
CHECKPOINT_EVERY = 100
# Settings that may change between a checkpoint and its resumption without changing the result.
FREE = ("device", "threads", "checkpoint_every", "log_every")


@dataclass(frozen=True)
class TrainingConfig:
    """How one network is trained.

    Attributes
    ----------
    steps, batch
        Optimiser steps, and patches in each.
    learning_rate
        Of Adam at the first step; it falls to 2% of this along half a cosine.
    mean_weight
        Weight of the past in the running mean of the network's weights.
    variant, classes
        A name in `networks.ARCHITECTURES`, and one of `classes.COUNTS`: with two, infarcts are
        background.
    loss
        One of `LOSSES`; the second is nnU-Net's.
    patches
        How patches are drawn.
    seed
        Of the initial weights and of all draws.
    precision
        "auto", "float32" or "bfloat16" (see `precision.choose`).
    init
        What the network begins from, for the record; empty for fresh weights.
    device, threads
        Where, and on how many CPU threads.
    checkpoint_every, log_every
        In steps.
    """

    steps: int = 3000
    batch: int = 32
    learning_rate: float = 5e-4
    mean_weight: float = 0.995
    variant: str = networks.DEFAULT
    classes: int = COUNTS[0]
    loss: str = LOSSES[0]
    patches: PatchConfig = field(default_factory=PatchConfig)
    seed: int = 0
    precision: str = "auto"
    init: str = ""
    device: str = "cpu"
    threads: int = 1
    checkpoint_every: int = CHECKPOINT_EVERY
    log_every: int = 50

    @property
    def architecture(self) -> networks.Architecture:
        """What is known of this kind of network."""
        return networks.ARCHITECTURES[self.variant]

    @property
    def has_infarcts(self) -> bool:
        """Whether infarcts are a class."""
        return self.classes > INFARCT

    def patch_shares(self) -> dict[str, float]:
        """Return what patches are drawn beside → the share of them, 0–1."""
        shares = {"WML": self.patches.lesion_share}
        return shares | ({"infarcts": self.patches.infarct_share} if self.has_infarcts else {})

    def to_dict(self) -> dict[str, Any]:
        """Return all settings, JSON-able; those of infarcts only where these are a class."""
        values = dataclasses.asdict(self)
        if not self.has_infarcts:
            del values["patches"]["infarct_share"]
        return values

    def to_record(self) -> dict[str, object]:
        """Return the settings that a checkpoint's training must have to be gone on with."""
        values = self.to_dict()
        if not self.init:
            del values["init"]  # which checkpoints of fresh networks never had
        return {key: value for key, value in values.items() if key not in FREE}


@dataclass(frozen=True)
class TrainingUnit:
    """One network of a training.

    Attributes
    ----------
    repeat, fold
        Of the cross-validation, counted from 1; repeat 0 is the final model, whose members are
        its folds and leave nobody out.
    """

    repeat: int
    fold: int

    @property
    def name(self) -> str:
        """Name of its folder."""
        if self.is_final:
            return f"member-{self.fold:02d}"
        return f"repeat-{self.repeat:02d}_fold-{self.fold:02d}"

    @property
    def part(self) -> str:
        """Its name as ``--only`` takes it."""
        return f"{self.repeat or 'final'}:{self.fold}"

    @property
    def is_final(self) -> bool:
        """Whether it is a member of the final model."""
        return self.repeat == 0


@dataclass(frozen=True)
class Beginning:
    """A model whose networks those of a training begin from: its folder and its card."""

    folder: Path
    card: ModelCard


@dataclass(frozen=True)
class Recipe:
    """All settings of a training.

    Attributes
    ----------
    version
        Of ctwml_bids.
    modality, labels
        What the networks see, "ct" or "flair", and learn from, "flair" or "manual".
    folds, repeats, members
        Of the cross-validation; networks of the final model.
    template
        By name.
    network
        How each network is trained; its seed is that of the whole training, from which every
        network has its own (`of`).
    channels, flip
        As in `ModelCard`.
    threshold, infarct_threshold
        As in `ModelCard`.
    beginning
        What the networks begin from; None for fresh weights.
    workers
        Processes that make batches; 0: none besides the one that trains.
    """

    version: str
    modality: str
    labels: str
    folds: int
    repeats: int
    members: int
    template: str
    network: TrainingConfig
    channels: tuple[str, ...]
    flip: bool
    threshold: float
    infarct_threshold: float | None = None
    beginning: Beginning | None = None
    workers: int = 0

    @property
    def cross_validation(self) -> list[TrainingUnit]:
        """The networks that leave somebody out."""
        return [
            TrainingUnit(repeat, fold)
            for repeat in range(1, self.repeats + 1)
            for fold in range(1, self.folds + 1)
        ]

    @property
    def final(self) -> list[TrainingUnit]:
        """The networks of the final model."""
        return [TrainingUnit(0, member) for member in range(1, self.members + 1)]

    @property
    def units(self) -> list[TrainingUnit]:
        """All networks."""
        return [*self.cross_validation, *self.final]

    def seed_of(self, unit: TrainingUnit) -> int:
        """Return a network's own seed, which differs from that of every other."""
        return self.network.seed * 1_000_000 + unit.repeat * 1000 + unit.fold

    def card(
        self, *, name: str = "in training", version: str = "1", license: str = "not stated"
    ) -> ModelCard:
        """Return the card of a model that is trained so, without members."""
        images = len(self.channels) * (2 * self.network.patches.context + 1)
        return ModelCard(
            name=name,
            version=version,
            license=license,
            modality=self.modality,
            network={
                "variant": self.network.variant,
                "in_channels": images,
                "classes": self.network.classes,
            },
            channels=self.channels,
            threshold=self.threshold,
            members=(),
            classes=NAMES[: self.network.classes],
            infarct_threshold=self.infarct_threshold,
            context=self.network.patches.context,
            flip=self.flip,
        )

    def to_record(self) -> dict[str, object]:
        """Return the settings that decide the result, JSON-able, as plans and cards have them.

        The threshold is none of them: with another one only the merge is done again.
        """
        # Plans of two classes are what they were before there were three.
        classes = {"classes": self.network.classes} if self.network.has_infarcts else {}
        return {
            "version": self.version,
            "modality": self.modality,
            "labels": self.labels,
            "folds": self.folds,
            "repeats": self.repeats,
            "members": self.members,
            "seed": self.network.seed,
            "template": self.template,
            "steps": self.network.steps,
            "batch": self.network.batch,
            "learning_rate": self.network.learning_rate,
            "precision": self.network.precision,
            "variant": self.network.variant,
            "channels": list(self.channels),
            "context": self.network.patches.context,
            "flip": self.flip,
            "loss": self.network.loss,
            "init": self.beginning.card.checksum if self.beginning else "",
            **classes,
        }
