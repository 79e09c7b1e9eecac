"""The participant level of one run: say the plan, run it, say how it ended."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ctwml_bids.bids.acquisitions import write_acquisitions
from ctwml_bids.bids.participants import refresh_participants, what_to_know
from ctwml_bids.bids.query import Skipped, Unit, validator_hint
from ctwml_bids.bids.status import UnitResult, rebuild_table
from ctwml_bids.errors import BadDataError, CtwmlError, NoInputError, entry
from ctwml_bids.run.ledger import lock_path
from ctwml_bids.run.locks import hold
from ctwml_bids.run.participant import run_participants, write_skipped
from ctwml_bids.run.planning import plan_run
from ctwml_bids.run.preflight import Ready, make_folders
from ctwml_bids.run.progress import Progress, log_file, log_to
from ctwml_bids.run.provenance import check_same_run, register_run
from ctwml_bids.run.rerun import done, why_to_run
from ctwml_bids.run.summary import (
    describe_large,
    describe_machine,
    describe_plan,
    exit_code,
    status_table,
)

if TYPE_CHECKING:
    from nipype.pipeline.engine import Workflow

LOG = logging.getLogger("ctwml_bids")


def run_level(ready: Ready, progress: Progress, started: datetime) -> int:
    """Run the participant level, or with ``--dry-run`` say what it would do.

    Parameters
    ----------
    ready
        The run, after `preflight`.
    progress
        What the user sees.
    started
        When the program started; names its files in ``logs/``.

    Returns
    -------
    int
        The exit code (`summary.exit_code`).

    Raises
    ------
    CtwmlError
        If the level as a whole cannot go on.
    """
    settings = ready.settings
    planned = plan_run(settings)
    units, skipped = planned.units, planned.skipped
    hint = validator_hint(settings.bids_dir, units)
    reasons = {unit.label: why_to_run(unit, ready) for unit in units}
    plan = describe_plan(units, skipped, settings.bids_dir, reasons, dry_run=settings.dry_run)
    people = what_to_know(settings.bids_dir, settings.output_dir)
    lines = [line for line in (planned.matched, *plan, hint, people) if line]
    large = describe_large([unit for unit in units if reasons[unit.label]], settings)
    if settings.dry_run:
        print("\n".join([*lines, *large]))
        check_same_run(ready)
        return 0
    check_same_run(ready)
    make_folders(settings)
    log_to(log_file(settings.output_dir, started))
    for line in lines:
        LOG.info(line)
    for line in large:
        LOG.warning(line)
    LOG.info(describe_machine(settings))
    if not units or settings.reports_only:
        write_skipped(skipped, ready, units)
        if units:
            write_acquisitions(settings.output_dir, settings.bids_dir, done(units, ready))
            return _reports_only(units, ready)
        rebuild_table(settings.output_dir)
        raise _nothing_to_run(settings.bids_dir, skipped)
    with register_run(ready, started, [unit for unit in units if reasons[unit.label]]):
        results = write_skipped(skipped, ready, units)
        results += _run_units(units, ready, progress)
        refresh_participants(settings.output_dir, settings.bids_dir)
        write_acquisitions(settings.output_dir, settings.bids_dir, done(units, ready))
        rebuild_table(settings.output_dir, lazy=True)
    code = exit_code(results, asked=bool(settings.participant_labels or settings.session_labels))
    print("\n".join([*status_table(results), *([f"See {entry(code)}"] if code else [])]))
    return code


def _nothing_to_run(bids_dir: Path, skipped: Sequence[Skipped]) -> CtwmlError:
    """Make the error of a plan without units; its class is that of what they have in common."""
    reasons = "; ".join(f"{item.label}: {item.reason}" for item in skipped)
    unusable = all(item.exit_code == BadDataError.exit_code for item in skipped)
    kind = BadDataError if unusable else NoInputError
    return kind(f"{bids_dir}: there is nothing to run. {reasons}")


def _reports_only(units: Sequence[Unit], ready: Ready) -> int:
    """Write reports again; a unit without results is reported, and the others go on."""
    from ctwml_bids.run.resources import run_facts, seen_by_steps
    from ctwml_bids.unit.rewriting import rewrite_report

    run, code = run_facts(ready), 0
    for unit in units:
        try:
            # Not from the files of a run that is just writing them.
            with hold(lock_path(unit, ready)):
                report = rewrite_report(seen_by_steps(unit, ready), run)
            LOG.info("%s: report written, %s", unit.label, report)
        except CtwmlError as error:
            LOG.error("%s: %s", unit.label, error)
            code = 1
    return code


def _run_units(units: Sequence[Unit], ready: Ready, progress: Progress) -> list[UnitResult]:
    # Nipype takes a second to import; nothing before this needs it.
    from ctwml_bids.run.resources import resources_of, seen_by_steps
    from ctwml_bids.workflows.participant import init_participant_wf
    from ctwml_bids.workflows.unit import workflow_name

    resources, work_dir = resources_of(ready), ready.settings.work_dir

    def build(batch: Sequence[Unit]) -> Workflow:
        seen = [seen_by_steps(unit, ready) for unit in batch]
        return init_participant_wf(units=seen, resources=resources, work_dir=work_dir)

    return run_participants(units, ready, progress, build=build, workflow_name=workflow_name)
