"""The participant level: run every planned unit, and write for each how it ended."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ctwml_bids.bids import names
from ctwml_bids.bids.status import (
    UnitResult,
    UnitStatus,
    now,
    read_status,
    rebuild_table,
    write_status,
)
from ctwml_bids.bids.units import Skipped, Unit
from ctwml_bids.errors import BadDataError, TemporaryError
from ctwml_bids.run.ledger import Ledger, lock_path, parts
from ctwml_bids.run.locks import hold
from ctwml_bids.run.planning import asked_again
from ctwml_bids.run.preflight import SCRATCH, Ready
from ctwml_bids.run.progress import Progress
from ctwml_bids.run.provenance import drop_stale_scratch
from ctwml_bids.run.rerun import status_path

if TYPE_CHECKING:
    from nipype.pipeline.engine import Workflow

LOG = logging.getLogger("ctwml_bids")
# Units in one Nipype graph, at least: they are all locked while it runs, and making it takes 0.04 s
# a unit; CPUs wait for its last unit before the next graph begins. Of these, only as many as there
# are CPUs have scratch at a time (`IsolatedMultiProcPlugin`).
BATCH = 20
STOPPED = "the run stopped before this subject was finished"
Build = Callable[[Sequence[Unit]], "Workflow"]


def run_participants(
    units: Sequence[Unit],
    ready: Ready,
    progress: Progress,
    *,
    build: Build,
    workflow_name: Callable[[str], str],
) -> list[UnitResult]:
    """Run units, skipping those that an earlier run finished with the same settings.

    Parameters
    ----------
    units
        What to run.
    ready
        The run, after `preflight`.
    progress
        What the user sees.
    build
        Makes the Nipype workflow of several units, named `SCRATCH`, with one sub-workflow each.
    workflow_name
        Gives the name of a unit's sub-workflow from the unit's label.

    Returns
    -------
    list of UnitResult
        One for each unit: done (also if done before) or failed.
    """
    ledger = Ledger(ready, progress, workflow_name)
    before = [unit for unit in units if ledger.is_done(unit)]
    todo = [unit for unit in units if unit not in before]
    for unit in before:
        LOG.info("%s: was done before with the same settings, skipped", unit.label)
    results = [UnitResult(unit.label, "done", "done before") for unit in before]
    progress.begin(len(todo))
    size = max(BATCH, ready.settings.nprocs)
    try:
        for first in range(0, len(todo), size):
            taken = [unit for unit in todo[first : first + size] if ledger.begin(unit)]
            if taken:
                _run_batch(taken, ready, ledger, build, workflow_name)
            if ready.settings.stop_on_first_crash and any(r.exit_code for r in ledger.results):
                break
    except KeyboardInterrupt as stop:
        # SIGTERM comes as a kind of Ctrl-C with an exit code of its own.
        ledger.end("interrupted", getattr(stop, "exit_code", 130))
        raise
    finally:
        progress.finish()
        ledger.end(STOPPED, TemporaryError.exit_code)
        rebuild_table(ready.settings.output_dir, lazy=True)
    return results + ledger.results + _others(todo, ledger)


def _others(units: Sequence[Unit], ledger: Ledger) -> list[UnitResult]:
    """Tell how the units stand that other processes worked on; they may be done by now."""
    busy = [unit for unit in units if unit.label in ledger.busy]
    return [
        UnitResult(unit.label, "done", "done by another process")
        if ledger.is_done(unit)
        else UnitResult(
            unit.label, "skipped", ledger.busy[unit.label], exit_code=TemporaryError.exit_code
        )
        for unit in busy
    ]


def write_skipped(
    skipped: Sequence[Skipped], ready: Ready, units: Sequence[Unit]
) -> list[UnitResult]:
    """Write the status of what is not run, with its reason.

    Parameters
    ----------
    skipped
        As planned.
    ready
        The run.
    units
        What is run. A subject that is refused as a whole has nothing here: what its sessions left
        before is no more done than it is.
    """
    results = []
    for item in _sessions_before(skipped, ready, units):
        with suppress(TemporaryError), hold(lock_path(item, ready)):
            _write_skipped(item, ready)
    for item in skipped:
        # The state of a unit that another process works on is for that process to tell.
        with suppress(TemporaryError), hold(lock_path(item, ready)):
            _write_skipped(item, ready)
        results.append(UnitResult(item.label, "skipped", item.reason, exit_code=item.exit_code))
    return results


def _sessions_before(
    skipped: Sequence[Skipped], ready: Ready, units: Sequence[Unit]
) -> list[Skipped]:
    """Return the sessions with results of subjects that are refused as a whole."""
    everything: list[Skipped | Unit] = [*skipped, *units]
    planned = Counter(item.subject for item in everything)
    found = []
    for item in skipped:
        refused = item.session is None and item.exit_code == BadDataError.exit_code
        if refused and planned[item.subject] == 1:
            logs = ready.settings.output_dir / names.logs(item.subject, None)
            before = (
                path.name.partition("_ses-")[2] for path in logs.parent.glob(f"{logs.name}_*")
            )
            found += [replace(item, session=session) for session in sorted(before) if session]
    return [item for item in found if read_status(status_path(item, ready)) is not None]


def _write_skipped(item: Skipped, ready: Ready) -> None:
    path = status_path(item, ready)
    before = read_status(path)
    # What an earlier run with other filters finished stays finished. Not so where the images are
    # there and are refused now: what was measured on them before may be wrong.
    is_refused = item.exit_code == BadDataError.exit_code
    if before is not None and before.state == "done" and not is_refused:
        return
    status = UnitStatus(
        item.label,
        "skipped",
        # Status and tables are passed on with the results; folders tell of their owner.
        item.reason.replace(f"{ready.settings.bids_dir}/", ""),
        exit_code=item.exit_code,
        finished=now(),
        model_label=ready.settings.model_label,
        outputs=before.outputs if before else [],
    )
    write_status(path, status)


def _run_batch(
    batch: Sequence[Unit],
    ready: Ready,
    ledger: Ledger,
    build: Build,
    workflow_name: Callable[[str], str],
) -> None:
    # Nipype takes a second to import; a run in which all is done before needs none of it.
    from ctwml_bids.run.nipype_setup import run_workflow

    settings = ready.settings
    units = {workflow_name(unit.label): unit for unit in batch}
    for name, unit in units.items():
        scratch = settings.work_dir / SCRATCH / name
        if asked_again(unit, settings):
            # With --keep-work always, Nipype would take its steps for done.
            shutil.rmtree(scratch, ignore_errors=True)
        drop_stale_scratch(scratch)

    def crash_folder(node: str) -> Path:
        unit = units[parts(node)[0]]
        return settings.output_dir / names.logs(unit.subject, unit.session)

    run_workflow(build(batch), settings, ledger, crash_folder)
    ledger.end(STOPPED, TemporaryError.exit_code)
