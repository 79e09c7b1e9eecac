"""Job arrays for SLURM: the text of their scripts, one task a unit or a network.

Nothing here reads, writes or starts anything. The scripts are plain bash: where this program can
only run in its container, it writes them there, and a shell outside submits them.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

# Tasks of an array: name, then the words that the program gets for it.
TASKS = "tasks.tsv"
SUBMIT = "submit.sh"
# Ids of the jobs that the site took.
SUBMITTED = "submitted.tsv"
# Of the job's variables, those by which the program knows what it may use: --cleanenv takes all.
PASSED = (
    "SLURM_CPUS_PER_TASK",
    "SLURM_CPUS_ON_NODE",
    "SLURM_MEM_PER_NODE",
    "SLURM_MEM_PER_CPU",
    "CUDA_VISIBLE_DEVICES",
)


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


def script(stage: Stage, program: Program, site: Site, *, jobs: Path, job_name: str) -> str:
    """Write a stage's batch script.

    Parameters
    ----------
    stage, program, site
        What it does, how, and where.
    jobs
        Folder of the scripts, the list of tasks and the logs.
    job_name
        By which ``squeue`` knows all jobs of the output folder.
    """
    return "\n".join(
        (
            *_header(stage, jobs, job_name),
            "set -e",
            *([site.setup] if site.setup else []),
            *_task(stage, jobs),
            *_scratch(stage),
            'echo "$(date +%Y-%m-%dT%H:%M:%S) $name on $(hostname)'
            ' (start $((${SLURM_RESTART_COUNT:-0} + 1)))"',
            *_start(stage, program),
            "",
        )
    )


def chunks(count: int, site: Site) -> list[tuple[int, int]]:
    """Divide tasks into arrays that the site allows.

    Returns
    -------
    list of tuple
        First task of each array, and how many it has.
    """
    size = site.max_array
    return [(first, min(size, count - first)) for first in range(0, count, size)]


def submission(
    stages: Sequence[Stage],
    tasks: int,
    site: Site,
    *,
    jobs: Path,
    job_name: str,
    queued: Queued | None = None,
) -> str:
    """Write the script that submits all stages, each to begin after the one before.

    A site that takes only some of the arrays gets what comes after them all the same, and the
    script ends with 75 (EX_TEMPFAIL).

    Parameters
    ----------
    stages
        In their order.
    tasks
        Lines of `TASKS`.
    site
        The cluster.
    jobs
        Folder of the scripts; the ids of what was submitted go into ``submitted.tsv`` in it.
    job_name
        Of all jobs of the output folder: what is in the queue already is not submitted again.
    queued
        How the units of an array are noted once the site has taken it; None for no units.
    """
    lines = [
        "#!/bin/bash",
        "# Submits the jobs of this folder, once.",
        "set -e",
        "# Whoever reads what it says may leave: what is submitted is still noted.",
        "trap '' PIPE",
        f"jobs={shlex.quote(str(jobs))}",
        f"site=({shlex.join(site.sbatch)})",
        f"name={job_name}",
        'refuse() { echo "$jobs: $1" >&2; exit 75; }',
        f'[ ! -e "$jobs/{SUBMITTED}" ] || refuse "was submitted before"',
        "queued=$(! command -v squeue > /dev/null || squeue --noheader --name $name --format %A)",
        '[ -z "$queued" ] || refuse "jobs are in the queue: ${queued//$\'\\n\'/ }"',
        "before= left=0",
        "submit() {",
        '    local id; id=$(sbatch --parsable "${site[@]}" --job-name=$name "${@:2}") || return 1',
        "    last=${id%%;*}; ids=$ids:$last",
        f'    printf "%s\\t%s\\n" "$1" "$last" >> "$jobs/{SUBMITTED}"',
        '    printf "%s\\t%s\\n" "$1" "$last" 2> /dev/null || :',
        "}",
        *(_note(queued) if queued else ()),
    ]
    throttle = f"%{site.at_once}" if site.at_once else ""
    for number, stage in enumerate(stages):
        after, path = f"{stage.after}$before" if number else "", f'"$jobs/{stage.name}.sh"'
        lines.append("ids=")
        if not stage.array:
            lines.append(f"submit {stage.name} {_depends(after)}{path}")
        for first, size in chunks(tasks, site) if stage.array else ():
            # With a limit to what runs at a time, one array comes after the other.
            depends = _depends(after, "afterany:$last" if first and throttle else "")
            words = f"{depends}--array=0-{size - 1}{throttle} {path} {first}"
            lines.append(f"[ $left -gt 0 ] || submit {stage.name} {words} || left={tasks - first}")
            if queued:
                lines.append(f"[ $left -gt 0 ] || note {first} {size}")
        lines += ['[ -n "$ids" ] || refuse "the site took nothing"', "before=$ids"]
    told = f"$left of {tasks} tasks were refused; submit them in the same way once these have ended"
    lines.append(f'[ $left -eq 0 ] || refuse "{told}"')
    return "\n".join((*lines, ""))


def _note(queued: Queued) -> list[str]:
    """Write the shell function that notes the units of one array: first line, and how many.

    A unit that has a status keeps it: its task may have begun by now.
    """
    status = {
        "label": "%s",
        "state": "queued",
        "reason": "its job waits in the queue, or never began",
        "started": "%s",
        "model_label": queued.model_label,
    }
    return [
        "note() {",
        "    local unit rest now; now=$(date -u +%Y-%m-%dT%H:%M:%S+00:00)",
        "    while IFS=$'\\t' read -r unit rest; do",
        f'        local folder={shlex.quote(str(queued.logs))}/"$unit"',
        '        mkdir -p "$folder"',
        f'        (set -C; printf {shlex.quote(json.dumps(status))} "$unit" "$now" \\',
        f'            > "$folder/{queued.name}") 2> /dev/null || :',
        f'    done < <(tail -n +$(($1 + 1)) "$jobs/{TASKS}" | head -n "$2")',
        "}",
    ]


def _depends(*conditions: str) -> str:
    if not any(conditions):
        return ""
    return f'"--dependency={",".join(filter(None, conditions))}" --kill-on-invalid-dep=yes '


def _header(stage: Stage, jobs: Path, job_name: str) -> list[str]:
    number = "%A_%a" if stage.array else "%j"
    asked = {
        "job-name": job_name,
        "output": f'"{jobs}/{stage.name}-{number}.log"',
        "open-mode": "append",
        "ntasks": 1,
        "cpus-per-task": stage.need.cpus,
        "mem": f"{stage.need.memory_gb}G",
        "time": stage.need.minutes,
    }
    # What a task has done is kept: it may be stopped, and begun again on another machine.
    return [
        "#!/bin/bash",
        *(f"#SBATCH --{name}={value}" for name, value in asked.items()),
        "#SBATCH --requeue",
    ]


def _task(stage: Stage, jobs: Path) -> list[str]:
    if not stage.array:
        return [f"name={stage.name}", "words=()"]
    return [
        "# The argument is the line, counted from 0, of this array's first task.",
        f"tasks={shlex.quote(str(jobs / TASKS))}",
        "line=$((${1:-0} + SLURM_ARRAY_TASK_ID + 1))",
        'read -r -a words < <(sed -n "${line}p" "$tasks")',
        'name=${words[0]}; words=("${words[@]:1}")',
    ]


_WAIT = (
    "# The program has the signal too and ends in order; this shell waits for it.",
    "trap : TERM",
)


def _scratch(stage: Stage) -> list[str]:
    if stage.work is not None:
        return [f"scratch={shlex.quote(str(stage.work))}", 'mkdir -p -m 700 "$scratch"', *_WAIT]
    return [
        "# On the machine's own disk, where the site says which; gone when the task has ended.",
        'scratch=${SLURM_TMPDIR:-${TMPDIR:-/tmp}}/ctwml-$SLURM_JOB_ID; mkdir -p -m 700 "$scratch"',
        "trap 'rm -rf \"$scratch\"' EXIT",
        *_WAIT,
    ]


def _start(stage: Stage, program: Program) -> list[str]:
    # Words of the task before the options of all, which may take any number of values.
    told = (
        f'{shlex.join((*program.folders, *stage.words))} "${{words[@]}}" -w "$scratch"'
        f" {shlex.join(program.options)}"
    ).rstrip()
    if program.image is None:
        return [f"{shlex.join(program.command)} {told}"]
    given = shlex.join(f"--env={name}={value}" for name, value in program.environment.items())
    binds = [
        *(f"--bind={shlex.quote(f'{path}:{path}:ro')}" for path in program.read),
        *(f"--bind={shlex.quote(f'{path}:{path}')}" for path in program.write),
        '--bind="$scratch:$scratch"',
    ]
    return [
        f'given=({given} --env="TMPDIR=$scratch")',
        f"for variable in {' '.join(PASSED)}; do",
        '    [ -z "${!variable:-}" ] || given+=(--env="$variable=${!variable}")',
        "done",
        "engine=$(command -v apptainer || command -v singularity) || {",
        '    echo "there is no apptainer on $(hostname); a module may have it (--setup)" >&2',
        "    exit 127",
        "}",
        '"$engine" run --containall --no-home --cleanenv --pwd=/ "${given[@]}" \\',
        f"    {' '.join(binds)} \\",
        f"    {shlex.join((*program.engine_options, program.image))} \\",
        f"    {told}",
    ]
