"""What a training is made from, settled before anything is written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctwml_bids import __version__, templates
from ctwml_bids.bids import names
from ctwml_bids.bids.exclusions import strangers
from ctwml_bids.bids.people import refused_in, units_in
from ctwml_bids.cli.exclusions import excluded
from ctwml_bids.cli.machine import choose_device
from ctwml_bids.errors import UsageError
from ctwml_bids.segmentation import model_store
from ctwml_bids.settings import Settings
from ctwml_bids.workflows import training as steps
from ctwml_bids.workflows.people_tables import Sources, read_sources
from ctwml_bids.workflows.training_cases import Wanted
from ctwml_bids.workflows.training_plan import Plan

# The folder in the work folder that heads on the grid are in.
SCRATCH = "train_heads"
# As its data sets say.
SIMULATOR = "ctwml-simulate"
# Processes that make patches, at most: a batch takes one CPU 5 to 13 ms, so that 8 make 600 a
# second, more than a GPU trains on.
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
    cautions
        Sentences on what the accuracy does not mean, for the log and the report.
    """

    settings: Settings
    wanted: Wanted
    template_mask: Path
    recipe: dict[str, Any]
    machine: dict[str, Any]
    protocol: dict[str, Any]
    threshold: float
    init: model_store.ModelCard | None
    cautions: tuple[str, ...] = ()

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
    if settings.labels == "manual" and "masks" not in settings.derivatives:
        raise UsageError("--labels manual: say where the masks are with -d masks=PATH.")
    if settings.labels == "flair" and settings.modality == "flair":
        raise UsageError(
            "--modality flair: networks would learn from what networks say of the same images; "
            "give manual masks, with --labels manual -d masks=PATH."
        )
    if settings.threshold and settings.modality not in settings.threshold:
        raise UsageError(
            f"--threshold {', '.join(settings.threshold)}: the networks see the "
            f"{settings.modality.upper()}; give --threshold {settings.modality}=P."
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
        context=settings.context,
        loss=settings.loss,
        variant=settings.network,
        shipped=shipped,
    )
    return Setup(
        settings=settings,
        wanted=_wanted(settings, template.name, card),
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
        threshold=settings.threshold.get(settings.modality, _threshold(settings.modality, card)),
        init=card,
        cautions=_cautions(settings.bids_dir, card),
    )


def of_people(setup: Setup, plan: Plan) -> list[str]:
    """Say what is to be known of the tables of people."""
    people, absent = setup.wanted.people, setup.wanted.absent
    lines = [
        f"{label}: to be left out ({why}), not in the data set" for label, why in absent.items()
    ]
    for table in people.tables:
        lines += table.told_strangers("not in the data set")
    unrated = [label for label, case in plan.cases.items() if case["fazekas"] is None]
    if people.column is not None and unrated:
        lines.append(
            f"{len(unrated)} of {len(plan.cases)} images have no Fazekas grade (column "
            f"{people.column}: {', '.join(unrated[:3])}{', ...' if len(unrated) > 3 else ''}), so "
            "that volumes stratify"
        )
    return lines


def _wanted(settings: Settings, template: str, card: model_store.ModelCard | None) -> Wanted:
    """Say which units are wanted, by the tables of people and the options (raises CtwmlError)."""
    units = units_in(settings.bids_dir)
    people = read_sources(
        settings.bids_dir / "participants.tsv",
        Sources(settings.participants_file, settings.fazekas_file, settings.fazekas_column),
        units,
        refused=refused_in(settings.bids_dir, settings.output_dir),
    )
    exclude = people.excluded | excluded(settings.exclude)
    return Wanted(
        bids_dir=settings.bids_dir,
        output_dir=settings.output_dir,
        modality=settings.modality,
        labels=settings.labels,
        template=template,
        masks=settings.derivatives.get("masks"),
        subjects=settings.participant_labels,
        sessions=settings.session_labels,
        exclude=_saw(card) | dict(exclude.reasons),
        absent=strangers(exclude, units),
        people=people,
        include_failed_qc=settings.include_failed_qc,
    )


def _threshold(modality: str, init: model_store.ModelCard | None) -> float:
    """Return the paper's threshold; networks that go on from others keep to theirs.

    A threshold belongs to a loss: with Dice in it, probabilities lie at 0 and 1.
    """
    return init.threshold if init else steps.THRESHOLDS[modality]


def _saw(init: model_store.ModelCard | None) -> dict[str, str]:
    """Return whom the networks to begin from saw: none of them can be left out any more."""
    if init is None:
        return {}
    why = f"the networks of {init.name} saw a subject of this name (without --init it can stay)"
    return dict.fromkeys(sorted(init.seen), why)


def _cautions(bids_dir: Path, init: model_store.ModelCard | None) -> tuple[str, ...]:
    """Say where the networks to begin from know the heads of the data set in another way."""
    if init is None or "simulat" not in str(init.training.get("data")):
        return ()
    if not any(maker == SIMULATOR for maker in _makers(bids_dir)):
        return ()
    return (
        f"The networks begin from {init.name}, which was trained on simulated heads, and these "
        "are simulated, too: with the same anatomy under other lesions. What is left out of "
        "a fold is not wholly new to its network, so that the accuracy is too high.",
    )


def _makers(bids_dir: Path) -> list[str]:
    """Return the programs that a data set says it was made by."""
    try:
        text = (bids_dir / "dataset_description.json").read_text(encoding="utf-8-sig")
        return [str(maker["Name"]) for maker in json.loads(text)["GeneratedBy"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


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
