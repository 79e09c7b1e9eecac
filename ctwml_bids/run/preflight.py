"""What is checked before anything runs, so that no run fails after hours on a typing error."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ctwml_bids import templates
from ctwml_bids.bids import names
from ctwml_bids.bids.dataset import check_output_dir
from ctwml_bids.bids.exclusions import excluded, strangers
from ctwml_bids.bids.people import read_people
from ctwml_bids.bids.people_tables import Sources, read_sources
from ctwml_bids.bids.unit_folders import refused_in, units_in
from ctwml_bids.errors import (
    CannotCreateError,
    InputOutputError,
    NoInputError,
    TemporaryError,
    UsageError,
)
from ctwml_bids.modality import IMAGES
from ctwml_bids.run.locks import hold
from ctwml_bids.run.machine import choose_device, free_gb, prepare_environment
from ctwml_bids.segmentation import model_store
from ctwml_bids.segmentation.model_card import ModelCard
from ctwml_bids.settings import Settings

if TYPE_CHECKING:
    from ctwml_bids.statistics.thresholds import ThresholdSet

# Space (GiB) that one unit takes. Scratch was 2.7 with a CT of 512 x 512 x 400 and its FLAIR.
WORK_GB = 3.0
OUTPUT_GB = 0.2
# The folder inside the work folder that is ours: only this is ever emptied.
SCRATCH = "participant_wf"
# The folder in it whose files are locked while a process works in the scratch of that name.
LOCKS = "locks"


@dataclass(frozen=True)
class Ready:
    """A run that may start: settings with everything settled, the template and the models.

    Attributes
    ----------
    settings
        With device, work folder and model folders settled.
    template
        None where no image is processed.
    cards
        "ct" and "flair" to the `ModelCard` of that model; empty where no image is processed.
    fazekas
        Thresholds from which Fazekas groups are stated, None without any.
    """

    settings: Settings
    template: templates.Template | None = None
    cards: Mapping[str, ModelCard] = field(default_factory=dict)
    fazekas: ThresholdSet | None = None

    @property
    def checksums(self) -> dict[str, str]:
        """Model name to its checksum: weights, and how they are used."""
        return {name: card.checksum for name, card in self.cards.items()}


def preflight(settings: Settings) -> Ready:
    """Check and settle everything that can be known before the first image is read.

    Nothing is created; `make_folders` does that once the plan is known too.

    Raises
    ------
    CtwmlError
        The first thing found that would make the run fail, with its exit code.
    """
    names.check_model_label(settings.model_label)
    # The group level reads the output folder, and of the data set participants.tsv if it is there.
    participant = "participant" in settings.analysis_levels
    check_folders(settings, images=participant or "train" in settings.analysis_levels)
    prepare_environment(settings.work_dir)
    check_tables(settings)
    fazekas = _fazekas(settings.fazekas_thresholds)
    if not participant:
        return Ready(settings, fazekas=fazekas)
    check_spaces(settings)
    if settings.use_plugin is not None:
        # Nipype takes a second to import: only those who name a plugin wait for it here.
        from ctwml_bids.run.plugin_file import read_plugin

        read_plugin(settings.use_plugin)
    settings, cards = choose_models(settings)
    template = templates.get(settings.template)
    if not settings.dry_run:
        settings = dataclasses.replace(settings, device=choose_device(settings.device))
    return Ready(settings, template, cards, fazekas)


def _fazekas(given: str | None) -> ThresholdSet | None:
    """Read the thresholds that groups are stated from, where there are any."""
    if given is None:
        return None
    # SciPy, which it needs, is slow to import.
    from ctwml_bids.statistics.thresholds import read_thresholds

    return read_thresholds(given)


def check_folders(settings: Settings, *, images: bool) -> None:
    """Check input, output and scratch folders against each other and the disk.

    Parameters
    ----------
    settings
        The settings of the run.
    images
        Whether images of the data set will be read.

    Raises
    ------
    NoInputError
        If a file or folder to read is missing.
    CannotCreateError
        If the output or the scratch folder is in a place where it must not be.
    """
    if images and not settings.bids_dir.is_dir():
        raise NoInputError(f"{settings.bids_dir}: there is no such folder (bids_dir).")
    if not images and not settings.output_dir.is_dir():
        raise NoInputError(
            f"{settings.output_dir}: there is no such folder; the group level reads the results "
            "of the participant level from it."
        )
    tables = (settings.participants_file, settings.fazekas_file)
    for path in (settings.bids_filter_file, settings.use_plugin, *tables):
        if path is not None and not path.is_file():
            what = "is a folder, and a file is needed" if path.is_dir() else "there is no such file"
            raise NoInputError(f"{path}: {what}.")
    for name, path in settings.derivatives.items():
        if not path.is_dir():
            raise NoInputError(f"{path}: there is no such folder (--derivatives {name}).")
    if images:
        check_output_dir(settings.bids_dir, settings.output_dir, create=False)
    work, raw = settings.work_dir.resolve(), settings.bids_dir.resolve()
    if work == raw or raw in work.parents:
        raise CannotCreateError(
            f"{settings.work_dir}: the work folder is inside the data set; name another with -w."
        )
    if work == Path.cwd().resolve():
        raise CannotCreateError(
            f"{settings.work_dir}: the work folder is the current folder; name another with -w, "
            "such as a new folder below it."
        )


def check_tables(settings: Settings) -> None:
    """Read the tables and lists that options name: none is to stop a run after hours.

    Raises
    ------
    CtwmlError
        If one cannot be read; or, where the group is to be summarised after its participants, if
        it does not fit the subjects that are there.
    """
    left_out = excluded(settings.exclude)
    refused = refused_in(settings.bids_dir, settings.output_dir)
    for path in (settings.participants_file, settings.fazekas_file):
        if path is not None:
            read_people(path, refused=refused)
    if {"participant", "group"} <= set(settings.analysis_levels):
        units = units_in(settings.bids_dir) | units_in(settings.output_dir)
        people = read_sources(
            settings.bids_dir / "participants.tsv",
            Sources(settings.participants_file, settings.fazekas_file, settings.fazekas_column),
            units,
            refused=refused,
        )
        strangers(people.excluded | left_out, units)


def check_spaces(settings: Settings) -> None:
    """Check that every output space is one that this run makes.

    Raises
    ------
    UsageError
        If it is not.
    """
    known = ("CT", "FLAIR", settings.template)
    unknown = [space for space in settings.output_spaces if space not in known]
    if unknown:
        raise UsageError(
            f"--output-spaces {' '.join(unknown)}: known are {', '.join(known)} "
            "(another template needs --template)."
        )


def choose_models(settings: Settings) -> tuple[Settings, dict[str, ModelCard]]:
    """Find the model for CT and the model for FLAIR, and check their files.

    Returns
    -------
    settings
        With the models' folders, and of the thresholds those that are not the model's own.
    cards
        "ct" and "flair" → the card, with the threshold that is used.

    Raises
    ------
    UsageError
        If two models for the same image are named, or one for images that --ignore leaves out.
    NoInputError, BadDataError
        If a model is not there, or was changed.
    """
    folders: dict[str, Path] = {}
    cards: dict[str, ModelCard] = {}
    for folder in settings.models:
        card = model_store.load_card(folder)
        if card.modality in settings.ignore:
            raise UsageError(
                f"--model {folder}: it is a {card.modality} model, and --ignore {card.modality} "
                "leaves these images out; leave out one of the two options."
            )
        if card.modality in folders:
            raise UsageError(
                f"--model: both {folders[card.modality]} and {folder} are {card.modality} models."
            )
        folders[card.modality], cards[card.modality] = folder, card
    for modality in IMAGES:
        if modality not in folders:
            folders[modality] = model_store.default(modality)
            cards[modality] = model_store.load_card(folders[modality])
    other = {
        modality: value
        for modality, value in settings.threshold.items()
        if value != cards[modality].threshold
    }
    ordered = {
        modality: dataclasses.replace(
            cards[modality], threshold=other.get(modality, cards[modality].threshold)
        )
        for modality in IMAGES
    }
    return dataclasses.replace(
        settings, model_ct=folders["ct"], model_flair=folders["flair"], threshold=other
    ), ordered


def make_folders(settings: Settings) -> None:
    """Look for free space, then create the output and the scratch folder.

    Raises
    ------
    CannotCreateError
        If one cannot be created or written to.
    InputOutputError
        If a disk is too full for even one unit.
    """
    output, work = settings.output_dir, settings.work_dir
    for folder, need, what in ((output, OUTPUT_GB, "output"), (work, WORK_GB, "work")):
        free = free_gb(folder)
        if free < need:
            raise InputOutputError(
                f"{folder}: {free:.1f} GB are free where the {what} folder is; one subject takes "
                f"about {need:g} GB. Make room, or name another folder."
            )
    check_output_dir(settings.bids_dir, output)
    try:
        work.mkdir(parents=True, exist_ok=True)
        # Whole heads lie here, faces included: nobody else on a shared machine may read them.
        (work / SCRATCH).mkdir(mode=0o700, exist_ok=True)
        (work / SCRATCH).chmod(0o700)
    except OSError as error:
        raise CannotCreateError(
            f"{work}: the work folder cannot be created ({error.strerror}); name another with -w."
        ) from error
    if not os.access(work, os.W_OK | os.X_OK):
        raise CannotCreateError(f"{work}: the work folder cannot be written to.")
    if settings.clean_workdir:
        _empty(work / SCRATCH)


def _empty(scratch: Path) -> None:
    """Remove the scratch of all units except those that another process is working on."""
    for folder in sorted(scratch.glob("*/")):
        if folder.name != LOCKS:
            with suppress(TemporaryError), hold(scratch / LOCKS / folder.name):
                shutil.rmtree(folder, ignore_errors=True)
