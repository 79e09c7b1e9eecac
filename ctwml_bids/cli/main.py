"""From a command line to an exit code: check, plan, run, tell."""

from __future__ import annotations

import errno
import logging
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from ctwml_bids import __version__
from ctwml_bids.bids.acquisitions import write_acquisitions
from ctwml_bids.bids.participants import refresh_participants, what_to_know
from ctwml_bids.bids.query import Skipped, Unit, validator_hint
from ctwml_bids.bids.status import UnitResult, rebuild_table
from ctwml_bids.cli.parser import parse
from ctwml_bids.cli.terminal import on_screen
from ctwml_bids.errors import (
    BadDataError,
    CannotCreateError,
    CtwmlError,
    InputOutputError,
    NoInputError,
)
from ctwml_bids.run.ledger import lock_path
from ctwml_bids.run.locks import hold
from ctwml_bids.run.participant import run_participants, write_skipped
from ctwml_bids.run.planning import plan_run
from ctwml_bids.run.preflight import Ready, make_folders, preflight
from ctwml_bids.run.progress import Progress, log_to, start_logging, stop_logging
from ctwml_bids.run.provenance import check_same_run, register_run, run_name
from ctwml_bids.run.rerun import done, why_to_run
from ctwml_bids.run.summary import (
    describe_large,
    describe_machine,
    describe_plan,
    exit_code,
    status_table,
)
from ctwml_bids.settings import Settings

LOG = logging.getLogger("ctwml_bids")
INTERRUPTED, TERMINATED = 130, 143
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR)


class _Terminated(KeyboardInterrupt):
    """SIGTERM, as a scheduler or a container engine sends it: stop as Ctrl-C does."""

    exit_code = TERMINATED


def main(argv: Sequence[str] | None = None) -> int:
    """Run the app.

    Parameters
    ----------
    argv
        The arguments after the program's name; those of this process by default.

    Returns
    -------
    int
        The exit code: 0 done, 1 some unit failed, else as `ctwml_bids --help` lists them.
    """
    return on_screen("ctwml_bids", lambda: _whole_run(argv))


def _whole_run(argv: Sequence[str] | None) -> int:
    """Run the app; any error becomes a message and an exit code."""
    settings, started = None, datetime.now()
    previous = _catch_sigterm()
    try:
        settings = parse(argv)
        return run(settings, started)
    except CtwmlError as error:
        return _complain(str(error), error.exit_code)
    except _Terminated:
        return _complain("stopped by the system (SIGTERM); run again to go on.", TERMINATED)
    except KeyboardInterrupt:
        return _complain("interrupted; run the same command again to go on.", INTERRUPTED)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            return _complain(
                f"the disk is full: {error}. Make room and run the same command again: what is "
                "done is kept.",
                InputOutputError.exit_code,
            )
        if refused := _refused_output(error, settings):
            return _complain(refused, CannotCreateError.exit_code)
        return _unexpected(error, settings, started)
    finally:
        stop_logging()
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)


def run(settings: Settings, started: datetime) -> int:
    """Do what settings say.

    Parameters
    ----------
    settings
        As the command line gave them.
    started
        When the program started; names its files in ``logs/``.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    CtwmlError
        If the run as a whole cannot go on.
    """
    progress = start_logging(settings.verbose)
    ready = preflight(settings)
    if settings.boilerplate_only:
        from ctwml_bids.reports.methods import methods_text

        print(
            methods_text(
                version=__version__,
                template=settings.template,
                normalisation=settings.normalisation,
                models={name: asdict(card) for name, card in ready.cards.items()},
            )
        )
        return 0
    code = 0
    if "participant" in settings.analysis_levels:
        code = _participant(ready, progress, started)
    if "train" in settings.analysis_levels:
        # torch, which it needs, is slow to import, and the participant level must not have it here.
        from ctwml_bids.training.level import run_train

        code = run_train(settings, progress, started) or code
    if "group" in settings.analysis_levels:
        if settings.dry_run:
            print(f"group: would summarise {settings.output_dir}")
            return code
        log_to(_log_file(settings, started))
        # Plotting and tables are slow to import; --help and --dry-run need none.
        from ctwml_bids.group.level import summarise

        try:
            report = summarise(ready)
        except NoInputError as error:
            if not code:
                raise
            # Why no unit finished says more than that none did.
            LOG.error("group: %s", error)
            return code
        LOG.info("group: done, open %s", report)
    return code


def _participant(ready: Ready, progress: Progress, started: datetime) -> int:
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
    log_to(_log_file(settings, started))
    for line in lines:
        LOG.info(line)
    for line in large:
        LOG.warning(line)
    LOG.info(describe_machine(settings))
    if not units or settings.reports_only:
        write_skipped(skipped, ready)
        if units:
            write_acquisitions(settings.output_dir, settings.bids_dir, done(units, ready))
            return _reports_only(units, ready)
        rebuild_table(settings.output_dir)
        raise _nothing_to_run(settings.bids_dir, skipped)
    with register_run(ready, started, [unit for unit in units if reasons[unit.label]]):
        results = write_skipped(skipped, ready)
        results += _run_units(units, ready, progress)
        refresh_participants(settings.output_dir, settings.bids_dir)
        write_acquisitions(settings.output_dir, settings.bids_dir, done(units, ready))
        rebuild_table(settings.output_dir, lazy=True)
    print("\n".join(status_table(results)))
    return exit_code(results, asked=bool(settings.participant_labels or settings.session_labels))


def _nothing_to_run(bids_dir: Path, skipped: Sequence[Skipped]) -> CtwmlError:
    """Make the error of a plan without units; its class is that of what they have in common."""
    reasons = "; ".join(f"{item.label}: {item.reason}" for item in skipped)
    unusable = all(item.exit_code == BadDataError.exit_code for item in skipped)
    kind = BadDataError if unusable else NoInputError
    return kind(f"{bids_dir}: there is nothing to run. {reasons}")


def _reports_only(units: Sequence[Unit], ready: Ready) -> int:
    """Write reports again; a unit without results is told, and the others go on."""
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

    def build(batch: Sequence[Unit]) -> Any:
        seen = [seen_by_steps(unit, ready) for unit in batch]
        return init_participant_wf(units=seen, resources=resources, work_dir=work_dir)

    return run_participants(units, ready, progress, build=build, workflow_name=workflow_name)


def _log_file(settings: Settings, started: datetime) -> Path:
    return settings.output_dir / "logs" / f"{run_name(started)}.log"


def _catch_sigterm() -> Any:
    """Make SIGTERM stop the run in order; None where signals are not ours to handle."""
    if threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def _complain(message: str, code: int) -> int:
    LOG.debug("exit code %d: %s", code, message)
    print(f"ctwml_bids: error: {message}", file=sys.stderr)
    return code


def _refused_output(error: Exception, settings: Settings | None) -> str:
    """Say which file in our own folders may not be written; empty for any other error."""
    if not isinstance(error, OSError) or error.errno not in REFUSED or settings is None:
        return ""
    ours = (settings.output_dir, settings.work_dir)
    if not any(Path(str(error.filename)).is_relative_to(folder) for folder in ours):
        return ""
    return (
        f"{error.filename}: cannot be written ({error.strerror}); give this user the right to "
        "write there, or choose another output folder."
    )


def _unexpected(error: Exception, settings: Settings | None, started: datetime) -> int:
    """Write the traceback of a bug to a file and say where it is; a dry run writes no file."""
    text = "".join(traceback.format_exception(error))
    what = f"unexpected {type(error).__name__}: {error}"
    if settings is not None and not (settings.dry_run or settings.boilerplate_only):
        path = settings.output_dir / "logs" / f"{run_name(started)}_traceback.txt"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError:
            print(text, file=sys.stderr)
        else:
            return _complain(f"{what}. This is a bug; please report it with {path}.", 1)
    else:
        print(text, file=sys.stderr)
    return _complain(f"{what}. This is a bug; please report it.", 1)
