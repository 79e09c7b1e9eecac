"""The script that submits all stages of jobs, as text."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from ctwml_bids.execution.slurm import SUBMITTED, TASKS, Queued, Site, Stage


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


def chunks(count: int, site: Site) -> list[tuple[int, int]]:
    """Divide tasks into arrays that the site allows.

    Returns
    -------
    list of tuple
        First task of each array, and how many it has.
    """
    size = site.max_array
    return [(first, min(size, count - first)) for first in range(0, count, size)]


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
