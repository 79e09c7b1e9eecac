"""The batch script of one stage of jobs, as text: how a task finds its words and starts."""

from __future__ import annotations

import shlex
from pathlib import Path

from ctwml_bids.execution.slurm import TASKS, Program, Site, Stage

# Of the job's variables, those by which the program knows what it may use: --cleanenv takes all.
PASSED = (
    "SLURM_CPUS_PER_TASK",
    "SLURM_CPUS_ON_NODE",
    "SLURM_MEM_PER_NODE",
    "SLURM_MEM_PER_CPU",
    "CUDA_VISIBLE_DEVICES",
)
_WAIT = (
    "# The program has the signal too and ends in order; this shell waits for it.",
    "trap : TERM",
)


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
