"""How the tasks of a job array start the program: its image, and what is bound into it."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ctwml_bids import templates
from ctwml_bids.cli.values import absolute
from ctwml_bids.errors import NoInputError, UsageError
from ctwml_bids.execution.slurm import Program
from ctwml_bids.run.machine import CONTAINER
from ctwml_bids.settings import Settings

# Where the image looks for other templates, unless it is told.
IMAGE_TEMPLATES = Path("/opt/templateflow")


def program(options: argparse.Namespace, words: tuple[str, ...], settings: Settings) -> Program:
    """Say how tasks start the program, and what its container sees.

    Parameters
    ----------
    options
        Of ctwml-slurm.
    words
        That every task gets.
    settings
        What these say.

    Raises
    ------
    UsageError, NoInputError
        There is no such image or program, or a folder cannot be bound.
    """
    folders = (str(options.bids_dir), str(options.output_dir))
    if options.image is None:
        beside = Path(sys.executable).parent / "ctwml_bids"
        if not beside.is_file():
            raise NoInputError(f"{beside}: is not there; name an image with --image.")
        return Program(folders, words, command=(str(beside),))
    # The file itself: jobs may start days later, when a link names another.
    image = absolute(Path(options.image)).resolve()
    is_address = re.match(r"[a-z-]+://", options.image)
    if not is_address and not image.exists():
        raise NoInputError(f"{image}: there is no such image (--image).")
    named = [Path(word.partition("=")[2] or word) for word in words if "/" in word]
    named += _paths(settings)
    environment = {"CTWML_CONTAINER_URI": options.image if is_address else image_uri(image)}
    if settings.template != templates.DEFAULT:
        home = _template_folder(settings.template)
        environment["TEMPLATEFLOW_HOME"] = str(home)
        named.append(home)
    inside = tuple(dict.fromkeys((options.bids_dir, *(path for path in named if path.exists()))))
    for path in (*inside, options.output_dir):
        if re.search(r"[:,\n]", str(path)):
            raise UsageError(f"{path}: Apptainer cannot bind a path with a colon or a comma.")
    return Program(
        folders=folders,
        options=words,
        image=options.image if is_address else str(image),
        read=inside,
        # The output folder may lie in the data set.
        write=(options.output_dir,),
        environment={name: value for name, value in environment.items() if value},
        engine_options=split("--apptainer", options.apptainer),
    )


def _paths(settings: Settings) -> list[Path]:
    """Return what the settings read, a configuration file's included."""
    single = (
        settings.bids_filter_file,
        settings.participants_file,
        settings.fazekas_file,
        *(Path(text) for text in (settings.fazekas_thresholds, *settings.exclude) if text),
    )
    every = (*settings.models, *settings.derivatives.values(), *filter(None, single))
    return [path for path in every if path.is_absolute()]


def _template_folder(template: str) -> Path:
    """Return the TemplateFlow folder, which has to be where all machines see it."""
    home = templates.home_folder()
    if CONTAINER in os.environ and home == IMAGE_TEMPLATES:
        raise UsageError(
            f"--template {template}: from inside of the image, bind the TemplateFlow folder under "
            "its own path and name it: apptainer exec --bind FOLDER --env TEMPLATEFLOW_HOME=FOLDER "
            "..., so that the tasks find it, too."
        )
    return home


def image_uri(image: Path) -> str:
    """Name an image with its checksum; a sandbox is a folder, and has none."""
    if not image.is_file():
        return image.name
    with image.open("rb") as opened:
        return f"{image.name}@sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"


def split(option: str, given: Sequence[str]) -> tuple[str, ...]:
    """Read the words of an option that is given in one piece, as a shell does."""
    try:
        return tuple(word for one in given for word in shlex.split(one))
    except ValueError as error:
        raise UsageError(f"{option} {' '.join(given)}: {error}") from error
