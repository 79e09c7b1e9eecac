"""Job arrays for SLURM, one task a unit or a network: what they are made of.

Their scripts are plain bash (`slurm_script`, `slurm_submission`): where this program can only run
in its container, it writes them there, and a shell outside submits them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

# Tasks of an array: name, then the words that the program gets for it.
TASKS = "tasks.tsv"
SUBMIT = "submit.sh"
# Ids of the jobs that the site took.
SUBMITTED = "submitted.tsv"


@dataclass(frozen=True)
class Need:
    """What one task asks for: CPUs, memory in GiB, and time in minutes."""

    cpus: int
    memory_gb: int
    minutes: int


@dataclass(frozen=True)
class Program:
    """How a task starts the program.

    Attributes
    ----------
    folders
        The words ``bids_dir output_dir``.
    options
        Words that every task gets after its own.
    image
        Apptainer image (file, sandbox or address); None to start `command` without a container.
    command
        The program where there is no image.
    read, write
        Files and folders that the container sees under the same path as outside.
    environment
        Variables that the container gets.
    engine_options
        Words for ``apptainer run``, as the user gave them.
    """

    folders: tuple[str, str]
    options: tuple[str, ...] = ()
    image: str | None = None
    command: tuple[str, ...] = ("ctwml_bids",)
    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    engine_options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    """Jobs of one kind.

    Attributes
    ----------
    name
        Of its script.
    words
        The analysis level, and options of this stage.
    need
        Of one of its tasks.
    array
        Whether each line of `TASKS` is a task of it.
    after
        "afterok": it begins once the stage before has succeeded, and is dropped where that has
        not; "afterany": once that has ended, however it did.
    work
        Scratch folder in common; None for one of each task's own, on its machine.
    """

    name: str
    words: tuple[str, ...]
    need: Need
    array: bool = False
    after: str = "afterany"
    work: Path | None = None


@dataclass(frozen=True)
class Site:
    """What a cluster asks for.

    Attributes
    ----------
    sbatch
        Words for every ``sbatch``, as the user gave them; they win over the scripts' requests.
    setup
        Shell lines before the program, such as ``module load apptainer``.
    max_array
        Tasks of an array, at most.
    at_once
        Tasks of an array that run at a time, at most; None for as many as there is room for.
    """

    sbatch: tuple[str, ...] = ()
    setup: str = ""
    max_array: int = 1000
    at_once: int | None = None


@dataclass(frozen=True)
class Queued:
    """How units are noted as queued, so that the group level names those that never begin.

    Attributes
    ----------
    logs
        Folder that has a folder of each unit, named as its task.
    name
        Of the status file in it.
    model_label
        Of the run.
    """

    logs: Path
    name: str
    model_label: str = ""
