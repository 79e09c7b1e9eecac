"""The units that an output folder lacks, as tasks of a job array, and what a task asks for."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ctwml_bids.bids import names
from ctwml_bids.bids.status import rebuild_table
from ctwml_bids.bids.units import Unit
from ctwml_bids.errors import TemporaryError
from ctwml_bids.execution.slurm import Need, Queued, Stage
from ctwml_bids.run.ledger import lock_path
from ctwml_bids.run.locks import hold
from ctwml_bids.run.participant import write_skipped
from ctwml_bids.run.planning import asked_again, plan_run
from ctwml_bids.run.preflight import Ready, preflight
from ctwml_bids.run.provenance import check_same_run
from ctwml_bids.run.rerun import why_to_run
from ctwml_bids.settings import Settings
from ctwml_bids.unit.memory import megavoxels, unit_gb

# docs/hpc.md has what was measured. A unit's largest step is `unit_gb`; the program itself and a
# second small step beside it took the rest.
BESIDE_GB = 1.5
# A pair of 22 million voxels took 1.3 minutes on two idle cores; slow cores, disks and starts of
# the container are in the rest.
UNIT_MINUTES, MEGAVOXEL_MINUTES = 15.0, 0.5
GROUP = Need(cpus=1, memory_gb=2, minutes=30)
GROUP_UNITS_A_MINUTE = 60


@dataclass(frozen=True)
class Missing:
    """What is to be done.

    Attributes
    ----------
    tasks
        For each task its name and the program's words for it.
    stages
        The jobs; one of them is the array of the tasks.
    lines
        What to tell the user.
    queued
        How the units of the tasks are noted once they are submitted; None for networks.
    note
        To be called once the tasks are submitted: writes what else the output folder is to say.
    """

    tasks: list[tuple[str, ...]]
    stages: list[Stage]
    lines: list[str]
    queued: Queued | None = None
    note: Callable[[], object] = lambda: None


def missing_units(settings: Settings, cpus: int) -> Missing:
    """List the units that are not done, one a task, and the group level after them.

    Nothing is written: what is listed here may never be submitted.

    Parameters
    ----------
    settings
        Of one task, for all subjects.
    cpus
        Of one task.

    Raises
    ------
    CtwmlError
        As a run of the participant level, before its first unit.
    """
    ready = preflight(dataclasses.replace(settings, dry_run=True))
    planned = plan_run(settings)
    check_same_run(ready)
    units, skipped = planned.units, planned.skipped
    to_run, lines = [], [planned.matched] if planned.matched else []
    for unit in units:
        if not (why := why_to_run(unit, ready)):
            continue
        if busy := _busy(unit, ready):
            lines.append(f"{unit.label}: left out, {busy}")
            continue
        to_run.append(unit)
        if reason := "; ".join(why):
            lines.append(f"{unit.label}: again, {reason}")
    lines += [f"{item.label}: skipped: {item.reason}" for item in skipped]
    done = len(units) - len(to_run)
    lines.append(f"{len(to_run)} to run, {done} done or at work, {len(skipped)} skipped")
    stages = [
        Stage("participant", ("participant",), unit_need(to_run, settings, cpus), array=True),
        Stage("group", ("group",), group_need(len(units))),
    ]

    def note() -> None:
        write_skipped(skipped, ready, units)
        rebuild_table(settings.output_dir)

    return Missing(
        [_task(unit, settings) for unit in to_run],
        stages if to_run else stages[1:],
        lines,
        queued=_queued(settings),
        note=note,
    )


def unit_need(units: Sequence[Unit], settings: Settings, cpus: int) -> Need:
    """Say what the largest of some units asks for."""
    deformable = settings.normalisation == "syn"
    sizes = [megavoxels(unit.images) for unit in units]
    step = max((unit_gb(size, deformable=deformable) for size in sizes), default=0.0)
    voxels = max((sum(size.values()) for size in sizes), default=0.0)
    return Need(
        cpus,
        math.ceil(step + BESIDE_GB),
        math.ceil(UNIT_MINUTES + MEGAVOXEL_MINUTES * voxels) * (2 if deformable else 1),
    )


def group_need(units: int) -> Need:
    """Say what the group level asks for: its tables take little, its maps read every mask."""
    return dataclasses.replace(
        GROUP, minutes=GROUP.minutes + math.ceil(units / GROUP_UNITS_A_MINUTE)
    )


def _task(unit: Unit, settings: Settings) -> tuple[str, ...]:
    session = ("--session-label", unit.session) if unit.session else ()
    again = ("--rerun", unit.label) if asked_again(unit, settings) else ()
    return (unit.label, "--participant-label", unit.subject, *session, *again)


def _queued(settings: Settings) -> Queued:
    name = names.status("X", None, model_label=settings.model_label).name
    return Queued(settings.output_dir / "logs", name, settings.model_label)


def _busy(unit: Unit, ready: Ready) -> str:
    """Say which process works on a unit; empty if none does. Makes no file."""
    if not (lock := lock_path(unit, ready)).is_file():
        return ""
    try:
        with hold(lock):
            return ""
    except TemporaryError as error:
        return str(error)
