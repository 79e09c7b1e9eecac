"""What a training is made from, settled before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctwml_bids import __version__, templates
from ctwml_bids.bids import names
from ctwml_bids.cli.exclusions import excluded
from ctwml_bids.cli.machine import choose_device
from ctwml_bids.errors import UsageError
from ctwml_bids.segmentation import model_store
from ctwml_bids.settings import Settings
from ctwml_bids.workflows import training as steps
from ctwml_bids.workflows.training_cases import Wanted, read_exclusions

# The folder in the work folder that heads on the grid are in.
SCRATCH = "train_heads"
# Processes that make patches, at most: 8 kept a GPU's 100 steps a second busy.
MOST_WORKERS = 8


@dataclass(frozen=True)
class Setup:
    """What is known of a training before its plan.

    Attributes
    ----------
    settings
        Of the run.
    wanted
        Which units of the data set.
    template_mask
        Brain mask of the template.
    recipe, machine
        Fields of `cross_validation.Recipe` and `.Machine`.
    protocol
        All settings that decide the result.
    threshold
        A voxel is a lesion where the mean probability is above this.
    init
        Card of the model that the networks begin from; None for fresh ones.
    """

    settings: Settings
    wanted: Wanted
    template_mask: Path
    recipe: dict[str, Any]
    machine: dict[str, Any]
    protocol: dict[str, Any]
    threshold: float
    init: model_store.ModelCard | None

    @property
    def folder(self) -> Path:
        """Folder of the plan, the units and the model."""
        of = names.training_folder(self.settings.modality, self.settings.desc or "")
        return self.settings.output_dir / of

    @property
    def heads(self) -> Path:
        """Folder of the heads on the grid."""
        of = names.training_folder(self.settings.modality, self.settings.desc or "")
        return self.settings.work_dir / SCRATCH / of


def settle(settings: Settings) -> Setup:
    """Check the settings of a training against each other and the machine.

    Raises
    ------
    CtwmlError
        The first thing found that would make it fail, with its exit code.
    """
    masks = settings.derivatives.get("masks")
    if settings.labels == "manual" and masks is None:
        raise UsageError("--labels manual: say where the masks are with -d masks=PATH.")
    if settings.labels == "flair" and settings.modality == "flair":
        raise UsageError(
            "--modality flair: networks would learn from what networks say of the same images; "
            "give manual masks, with --labels manual -d masks=PATH."
        )
    template = templates.get(settings.template)
    shipped = model_store.default(settings.modality) if settings.init == "shipped" else None
    card = model_store.load_card(shipped) if shipped else None
    recipe = steps.recipe_of(
        settings.modality,
        steps=settings.steps,
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        precision=settings.precision,
        shipped=shipped,
    )
    return Setup(
        settings=settings,
        wanted=Wanted(
            bids_dir=settings.bids_dir,
            output_dir=settings.output_dir,
            modality=settings.modality,
            labels=settings.labels,
            template=template.name,
            masks=masks,
            subjects=settings.participant_labels,
            sessions=settings.session_labels,
            exclude=read_exclusions(settings.bids_dir, excluded(settings.exclude)),
            include_failed_qc=settings.include_failed_qc,
        ),
        template_mask=template.brain_mask,
        recipe=recipe,
        machine=_machine(settings),
        protocol=steps.protocol_of(
            version=__version__,
            modality=settings.modality,
            labels=settings.labels,
            folds=settings.folds,
            repeats=settings.repeats,
            members=settings.members,
            seed=settings.random_seed,
            template=template.name,
            recipe=recipe,
            init=card.checksum if card else "",
        ),
        threshold=settings.threshold or steps.THRESHOLDS[settings.modality],
        init=card,
    )


def _machine(settings: Settings) -> dict[str, Any]:
    if settings.dry_run:
        return {}
    device = choose_device(settings.device)
    threads = settings.inference_threads
    # On a CPU, patches take a hundredth of a step: processes for them only where CPUs are idle.
    idle = settings.nprocs - (1 if device == "cuda" else threads)
    return {
        "device": device,
        "threads": threads,
        "workers": max(0, min(idle, MOST_WORKERS)) if device == "cuda" else min(max(idle, 0), 1),
    }
