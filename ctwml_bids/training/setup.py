"""What a training is made from, settled before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ctwml_bids import __version__, templates
from ctwml_bids.bids import names
from ctwml_bids.bids.dataset import made_by_program, said_of
from ctwml_bids.bids.exclusions import excluded, strangers
from ctwml_bids.bids.people_tables import Sources, read_sources
from ctwml_bids.bids.unit_folders import refused_in, units_in
from ctwml_bids.errors import UsageError
from ctwml_bids.image_files import load_nifti
from ctwml_bids.modality import MODALITIES
from ctwml_bids.preprocessing.grids import Grid
from ctwml_bids.preprocessing.normalisation import network_grid
from ctwml_bids.run.machine import choose_device
from ctwml_bids.segmentation import model_store, networks
from ctwml_bids.segmentation.classes import NAMES
from ctwml_bids.segmentation.model_card import ModelCard
from ctwml_bids.settings import Settings
from ctwml_bids.training.cases import Wanted, find_cases
from ctwml_bids.training.heads import Case
from ctwml_bids.training.patches import PatchConfig
from ctwml_bids.training.plan import Plan
from ctwml_bids.training.recipe import (
    LOSSES,
    THRESHOLDS,
    Beginning,
    Recipe,
    TrainingConfig,
    TrainingUnit,
)
from ctwml_bids.training.units import Noted, read_done

UNITS = "units"
# The folder in the work folder that heads on the grid are in.
SCRATCH = "train_heads"
# As its data sets say.
SIMULATOR = "ctwml-simulate"
# Processes that make patches, at most: a batch takes one CPU 5 to 13 ms, so that 8 make 600 a
# second, more than a GPU trains on.
MOST_WORKERS = 8


@dataclass(frozen=True)
class Training:
    """What is known of a training besides its plan, and where things are.

    Attributes
    ----------
    settings
        Of the run.
    recipe
        How networks are trained.
    wanted
        Which units of the data set.
    template_mask
        Brain mask of the template.
    cautions
        Sentences on what the accuracy does not mean, for the log and the report.
    """

    settings: Settings
    recipe: Recipe
    wanted: Wanted
    template_mask: Path
    cautions: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The label of its results, as in `Settings`."""
        return self.settings.model_label

    @property
    def model_name(self) -> str:
        """Name of the model that comes of it."""
        return f"{self.label or 'trained'}-{self.recipe.modality}"

    @property
    def folder(self) -> Path:
        """Folder of the plan, the units and the model."""
        return self.settings.output_dir / names.training_folder(self.recipe.modality, self.label)

    @property
    def heads(self) -> Path:
        """Folder of the heads on the grid."""
        return self.settings.work_dir / SCRATCH / self.folder.relative_to(self.settings.output_dir)

    @cached_property
    def grid(self) -> Grid:
        """The network's."""
        return network_grid(load_nifti(self.template_mask))

    def folder_of(self, unit: TrainingUnit) -> Path:
        """Return the folder of a unit."""
        return self.folder / UNITS / unit.name

    def done(self, unit: TrainingUnit) -> Noted | None:
        """Return what a unit noted, None where it is not finished."""
        return read_done(self.folder_of(unit), network=unit.is_final)

    def is_done(self, unit: TrainingUnit) -> bool:
        """Tell whether a unit was finished before."""
        return self.done(unit) is not None


def settle_with_cases(settings: Settings) -> tuple[Training, list[Case], dict[str, str]]:
    """Settle a training and find whom it is trained on, which decides its classes.

    Returns
    -------
    training
        With the classes that its cases have (`for_cases`).
    cases, left_out
        From `find_cases`.

    Raises
    ------
    CtwmlError
        The first thing found that would make it fail, with its exit code.
    """
    training = settle(settings)
    cases, left_out = find_cases(training.wanted)
    return for_cases(training, cases), cases, left_out


def settle(settings: Settings) -> Training:
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
    recipe = _recipe(settings, template.name)
    card = recipe.beginning.card if recipe.beginning else None
    return Training(
        settings=settings,
        recipe=recipe,
        wanted=_wanted(settings, template.name, card),
        template_mask=template.brain_mask,
        cautions=_cautions(settings.bids_dir, card),
    )


def for_cases(training: Training, cases: Sequence[Case]) -> Training:
    """Return the training of three classes where manual masks have infarcts, else of two.

    Cautions tell what the masks of infarcts mean, or that begun networks lose the class.

    Parameters
    ----------
    training
        From `settle`.
    cases
        Whom it is trained on.
    """
    count = sum(case.infarcts is not None for case in cases)
    recipe, begun = training.recipe, training.recipe.beginning
    if not count:
        if begun is None or not begun.card.has_infarcts:
            return training
        lost = (
            f"The networks begin from {begun.card.name}, which tells infarcts apart, and no image "
            "has a manual mask of infarcts: they unlearn that class, and infarcts become "
            "background as far as the lesions to learn from leave them out."
        )
        return replace(training, cautions=(*training.cautions, lost))
    threshold = begun.card.infarct_threshold if begun else None
    if threshold is None:
        threshold = THRESHOLDS[recipe.modality]
    network = replace(recipe.network, classes=len(NAMES))
    recipe = replace(recipe, network=network, infarct_threshold=threshold)
    caution = f"{count} of {len(cases)} images have a manual mask of infarcts"
    if count < len(cases):
        caution += "; the others are taken to have no infarct"
    return replace(training, recipe=recipe, cautions=(*training.cautions, f"{caution}."))


def _recipe(settings: Settings, template: str) -> Recipe:
    """Put together how networks are trained.

    What is not asked for is the paper's (a slice at a time, cross-entropy, the default network),
    or with ``--init shipped`` what the shipped networks have.

    Raises
    ------
    UsageError
        If another context or network is asked for than the networks to begin from have.
    """
    modality = settings.modality
    variant, context = settings.network or networks.DEFAULT, settings.context or 0
    loss, rate, threshold = settings.loss or LOSSES[0], 5e-4, THRESHOLDS[modality]
    channels, flip, beginning = MODALITIES[modality].channels, False, None
    if settings.init == "shipped":
        folder = model_store.default(modality)
        card = model_store.load_card(folder)
        beginning = Beginning(folder, card)
        variant, context = _as_begun(settings, card)
        # A threshold belongs to a loss: with Dice in it, probabilities lie at 0 and 1.
        loss, rate, threshold = settings.loss or card.loss or LOSSES[0], 1e-4, card.threshold
        channels, flip = card.channels, card.flip
    device, threads, workers = _machine(settings)
    return Recipe(
        version=__version__,
        modality=modality,
        labels=settings.labels,
        folds=settings.folds,
        repeats=settings.repeats,
        members=settings.members,
        template=template,
        network=TrainingConfig(
            steps=settings.steps,
            batch=settings.batch,
            learning_rate=rate if settings.learning_rate is None else settings.learning_rate,
            variant=variant,
            loss=loss,
            patches=PatchConfig(context=context),
            seed=settings.random_seed,
            precision=settings.precision,
            device=device,
            threads=threads,
        ),
        channels=channels,
        flip=flip,
        threshold=settings.threshold.get(modality, threshold),
        beginning=beginning,
        workers=workers,
    )


def _as_begun(settings: Settings, card: ModelCard) -> tuple[str, int]:
    """Return variant and context of the networks to begin from; others are refused."""
    if settings.context not in (None, card.context):
        raise UsageError(
            f"--context {settings.context}: the networks of {card.name}, which --init shipped "
            f"begins from, see {card.context} slices below and above; leave --context out."
        )
    begun = networks.of_card(card).name
    if settings.network not in (None, begun):
        raise UsageError(
            f"--network {settings.network}: those of {card.name}, which --init shipped begins "
            f"from, are {begun!r}; leave --network out, or begin with fresh weights."
        )
    return begun, card.context


def _machine(settings: Settings) -> tuple[str, int, int]:
    """Return device, CPU threads, and processes that make batches."""
    threads = settings.inference_threads
    if settings.dry_run:
        return settings.device, threads, 0
    device = choose_device(settings.device)
    # On a CPU, patches take a hundredth of a step: processes for them only where CPUs are idle.
    idle = max(0, settings.nprocs - (1 if device == "cuda" else threads))
    return device, threads, min(idle, MOST_WORKERS if device == "cuda" else 1)


def of_people(training: Training, plan: Plan) -> list[str]:
    """Say what is to be known of the tables of people."""
    people, absent = training.wanted.people, training.wanted.absent
    lines = [
        f"{label}: to be left out ({why}), not in the data set" for label, why in absent.items()
    ]
    for table in people.tables:
        lines += table.told_strangers("not in the data set")
    unrated = [label for label, case in plan.cases.items() if case.fazekas is None]
    if people.column is not None and unrated:
        lines.append(
            f"{len(unrated)} of {len(plan.cases)} images have no Fazekas grade (column "
            f"{people.column}: {', '.join(unrated[:3])}{', ...' if len(unrated) > 3 else ''}), so "
            "that volumes stratify"
        )
    return lines


def _wanted(settings: Settings, template: str, card: ModelCard | None) -> Wanted:
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
        masks=settings.derivatives["masks"] if settings.labels == "manual" else None,
        subjects=settings.participant_labels,
        sessions=settings.session_labels,
        exclude=_saw(card) | dict(exclude.reasons),
        absent=strangers(exclude, units),
        people=people,
        include_failed_qc=settings.include_failed_qc,
    )


def _saw(init: ModelCard | None) -> dict[str, str]:
    """Return whom the networks to begin from saw: none of them can be left out any more."""
    if init is None:
        return {}
    why = f"the networks of {init.name} saw a subject of this name (without --init it can stay)"
    return dict.fromkeys(sorted(init.seen), why)


def _cautions(bids_dir: Path, init: ModelCard | None) -> tuple[str, ...]:
    """Say where the networks to begin from know the heads of the data set in another way."""
    if init is None or "simulat" not in str(init.training.get("data")):
        return ()
    if not made_by_program(said_of(bids_dir), SIMULATOR):
        return ()
    return (
        f"The networks begin from {init.name}, which was trained on simulated heads, and these "
        "are simulated, too: with the same anatomy under other lesions. What is left out of "
        "a fold is not wholly new to its network, so that the accuracy is too high.",
    )
