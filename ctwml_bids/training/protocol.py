"""The train level: heads on the grid, networks of every fold, networks of all, one model.

Plain functions without Nipype, each of which goes on where a former run ended: a network that is
half trained by Nipype's rules would be trained anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib

from ctwml_bids.errors import NoInputError
from ctwml_bids.preprocessing.grids import Grid
from ctwml_bids.preprocessing.normalisation import network_grid
from ctwml_bids.training.heads import (
    Case,
    check_unchanged,
    is_laid,
    laid_key,
    lay_case,
)
from ctwml_bids.training.jobs import (
    NETWORK,
    TrainingUnit,
    UnitJob,
    read_done,
    run_unit,
)
from ctwml_bids.training.model import recipe_of
from ctwml_bids.training.plan import Plan

# The paper's on CT.
THRESHOLDS = {"ct": 0.25, "flair": 0.5}
UNITS = "units"
Guard = Callable[[Path], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Training:
    """A training: its plan, and where things are.

    Attributes
    ----------
    plan
        Who and how.
    folder
        Of the plan and the units, in the output folder.
    heads
        Of the heads on the grid, in the work folder.
    template_mask
        Brain mask of the template.
    recipe
        Fields of `cross_validation.Recipe`.
    machine
        Fields of `cross_validation.Machine`.
    keep_networks
        Whether the cross-validation's networks are kept.
    """

    plan: Plan
    folder: Path
    heads: Path
    template_mask: Path
    recipe: Mapping[str, Any]
    machine: Mapping[str, Any]
    keep_networks: bool = False

    @property
    def grid(self) -> Grid:
        """The network's."""
        return network_grid(nib.load(self.template_mask))

    def folder_of(self, unit: TrainingUnit) -> Path:
        """Return the folder of a unit."""
        return self.folder / UNITS / unit.name

    def is_done(self, unit: TrainingUnit) -> bool:
        """Tell whether a unit was finished before."""
        return is_done(self.folder, unit)

    def without_network(self) -> list[str]:
        """Name the units of the cross-validation that are done and whose network was not kept."""
        return [
            unit.name
            for unit in self.plan.folds
            if self.is_done(unit) and not (self.folder_of(unit) / NETWORK).is_file()
        ]


def is_done(folder: Path, unit: TrainingUnit) -> bool:
    """Tell whether a unit of the training in a folder was finished before."""
    return read_done(folder / UNITS / unit.name, network=unit.repeat == 0) is not None


def protocol_of(
    *,
    version: str,
    modality: str,
    labels: str,
    folds: int,
    repeats: int,
    members: int,
    seed: int,
    template: str,
    recipe: Mapping[str, Any],
    init: str,
) -> dict[str, Any]:
    """Return all settings that decide the result, JSON-able; ``init`` is a model's checksum."""
    how = {name: value for name, value in recipe.items() if name != "init"}
    return {
        "version": version,
        "modality": modality,
        "labels": labels,
        "folds": folds,
        "repeats": repeats,
        "members": members,
        "seed": seed,
        "template": template,
        **how,
        "init": init,
    }


def lay_heads(
    training: Training, cases: Sequence[Case], guard: Guard, on_head: Callable[[int, int], None]
) -> None:
    """Lay the heads on the grid that do not lie there yet.

    Parameters
    ----------
    training
        The training.
    cases
        Its units of the data set.
    guard
        Makes a lock on a file, so that tasks that start together do not write the same head.
    on_head
        Called after each head with how many of how many are there.

    Raises
    ------
    NoInputError, BadDataError
        If a file is missing, cannot be used, or is another than when the plan was made.
    """
    grid, channels = training.grid, tuple(training.recipe["channels"])
    by_label = {case.label: case for case in cases}
    for count, (label, facts) in enumerate(training.plan.cases.items(), start=1):
        key = laid_key(facts["identity"], grid, channels)
        if not is_laid(training.heads, label, key):
            if label not in by_label:
                raise NoInputError(
                    f"{training.heads}: the head of {label} is missing, and its files are gone; "
                    "run `participant` again for it."
                )
            with guard(training.heads / "locks" / label):
                if not is_laid(training.heads, label, key):
                    check_unchanged(by_label[label], facts["identity"])
                    lay_case(by_label[label], key, grid, channels, training.heads)
        on_head(count, len(training.plan.cases))


def train_unit(
    training: Training, unit: TrainingUnit, on_log: Callable[[dict[str, float]], None]
) -> None:
    """Train one network and segment those that it leaves out; a member is kept for the model."""
    train_on, left_out = training.plan.labels(unit)
    run_unit(
        UnitJob(
            unit=unit,
            folder=training.folder_of(unit),
            heads=training.heads,
            train_on=train_on,
            left_out=left_out,
            recipe=training.recipe,
            machine=training.machine,
            seed=training.plan.protocol["seed"],
            keep_network=training.keep_networks or unit.repeat == 0,
        ),
        on_log,
    )


__all__ = [
    "THRESHOLDS",
    "Case",
    "Training",
    "TrainingUnit",
    "lay_heads",
    "protocol_of",
    "recipe_of",
    "train_unit",
]
