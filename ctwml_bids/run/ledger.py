"""The state of every unit of a run, kept on disk while its steps start, end and fail."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from ctwml_bids.bids import names, outputs
from ctwml_bids.bids.files import note, sweep, write_text
from ctwml_bids.bids.status import (
    UnitResult,
    UnitStatus,
    now,
    read_quality,
    write_status,
)
from ctwml_bids.bids.units import Skipped, Unit
from ctwml_bids.errors import TemporaryError
from ctwml_bids.run.failures import Failure, failure_of
from ctwml_bids.run.locks import hold
from ctwml_bids.run.preflight import LOCKS, SCRATCH, Ready
from ctwml_bids.run.progress import Progress
from ctwml_bids.run.provenance import hashes, image, versions
from ctwml_bids.run.rerun import request_of, status_path, why_to_run

LOG = logging.getLogger("ctwml_bids")


@dataclass
class _Running:
    """What is known of one unit while it runs."""

    unit: Unit
    status: UnitStatus
    lock: ExitStack
    began: float | None = None
    steps: set[str] = field(default_factory=set)
    failed: bool = False


class Ledger:
    """Takes units for this process, and keeps their status on disk until they have ended.

    Parameters
    ----------
    ready
        The run.
    progress
        What the user sees.
    workflow_name
        Gives the name of a unit's workflow, the second part of its nodes' full names.

    Attributes
    ----------
    results
        How the units that came to an end did so.
    busy
        Label of each unit that another process works on to the reason why it was not taken.
    memory
        Full name of each node that has run to the most memory (GiB) it held.
    """

    def __init__(
        self, ready: Ready, progress: Progress, workflow_name: Callable[[str], str]
    ) -> None:
        self.results: list[UnitResult] = []
        self.busy: dict[str, str] = {}
        self.memory: Mapping[str, float] = {}
        self._ready, self._progress, self._name = ready, progress, workflow_name
        self._hashes = hashes(ready)
        self._versions = versions() | image()
        self._running: dict[str, _Running] = {}

    def is_done(self, unit: Unit) -> bool:
        """Tell whether a unit was finished by an earlier run with the same settings."""
        return not why_to_run(unit, self._ready)

    def begin(self, unit: Unit) -> bool:
        """Take a unit for this process and write that it runs.

        Returns
        -------
        bool
            False if it is not to be run now: another process works on it (it is then in `busy`),
            or has just finished it.
        """
        settings, name = self._ready.settings, self._name(unit.label)
        locks = (lock_path(unit, self._ready), settings.work_dir / SCRATCH / LOCKS / name)
        with ExitStack() as held:
            try:
                held.enter_context(hold(*locks))
            except TemporaryError as error:
                LOG.warning("%s: not run, %s", unit.label, error)
                self.busy[unit.label] = str(error)
                return False
            if self.is_done(unit):
                self.results.append(UnitResult(unit.label, "done", "done before"))
                return False
            path, notes = status_path(unit, self._ready), self._notes(unit)
            status = UnitStatus(
                label=unit.label,
                state="running",
                started=now(),
                model_label=settings.model_label,
                hashes=self._hashes,
                request=request_of(unit, self._ready).described(settings.bids_dir),
                versions=self._versions,
                outputs=outputs.written_before(settings.output_dir, path, notes),
            )
            self._sweep(unit)
            write_status(path, status)
            notes.unlink(missing_ok=True)
            self._running[name] = _Running(unit, status, held.pop_all())
        return True

    def expect(self, nodes: Sequence[str]) -> None:
        """Take note of all nodes that a graph has; a unit is done when all of its are."""
        for node in nodes:
            name, step = parts(node)
            self._running[name].steps.add(step)

    def event(self, node: str, event: str) -> None:
        """Take note of a node that started, ended or failed."""
        name, step = parts(node)
        entry = self._running[name]
        if entry.began is None:
            entry.began = time.monotonic()
            entry.status = replace(entry.status, started=now())
        self._progress.step(entry.unit.label, step, event)
        if event == "end":
            entry.steps.discard(step)
            if not entry.steps and not entry.failed:
                self._done(name)

    def failure(self, node: str, text: str) -> None:
        """Take note of why a node failed; the first failure of a unit is its reason."""
        name, step = parts(node)
        entry = self._running[name]
        if entry.failed:
            return
        failure = failure_of(text)
        LOG.error("%s: %s", entry.unit.label, failure.message)
        # Status and tables are passed on with the results; folders tell of their owner.
        said = failure.message.replace(f"{self._ready.settings.bids_dir}/", "")
        reason = said if failure.exit_code != 1 else f"{step}: {said}"
        self._write_page(entry.unit, step, replace(failure, message=said))
        self._fail(name, reason, failure.error, failure.exit_code)

    def _write_page(self, unit: Unit, step: str, failure: Failure) -> None:
        """Write the page of a unit that failed, in the place of its report."""
        # It takes matplotlib, which a run in which nothing fails does not import here.
        from ctwml_bids.unit.failing import Failed, report_failed

        settings, notes = self._ready.settings, self._notes(unit)
        path = names.report(unit.subject, unit.session, model_label=settings.model_label)
        before = outputs.written_before(self._output_dir, status_path(unit, self._ready), notes)
        try:
            page = report_failed(
                unit,
                Failed(step, failure.message, failure.error, failure.exit_code, now()),
                bids_dir=settings.bids_dir,
                output_dir=self._output_dir,
                version=self._versions["ctwml_bids"],
                has_results=bool({*before} - {str(path)}),
            )
            note(notes, str(path))
            write_text(self._output_dir / path, page)
        # Whatever is wrong with one unit's images or page must not end the run of the others.
        except Exception as error:
            LOG.warning("%s: its page could not be written, %r", unit.label, error)

    def end(self, reason: str, exit_code: int) -> None:
        """Let go of all units; those that have not come to an end failed, for one reason."""
        for name, entry in self._running.items():
            if entry.status.state == "running":
                self._fail(name, reason, "Interrupted", exit_code)
            if entry.failed:
                self._tidy(name, "failed")
            entry.lock.close()
        self._running.clear()

    def _done(self, name: str) -> None:
        unit, former = self._running[name].unit, self._running[name].status.outputs
        notes = self._notes(unit)
        written, complete = outputs.read_notes(notes)
        if complete:
            keep = {*written, *outputs.listed_by_others(status_path(unit, self._ready), notes)}
            gone = outputs.remove_old(self._output_dir, former, keep)
            if gone:
                LOG.info("%s: %d files of its former run removed", unit.label, len(gone))
        else:
            # Without the whole list (a slow network disk) nothing can be called old.
            written = sorted({*former, *written})
        label = self._ready.settings.model_label
        quality = read_quality(self._output_dir, unit.subject, unit.session, model_label=label)
        result = self._close(name, "done", files=written, quality=quality)
        LOG.info("%s: done in %.0f s, quality %s", unit.label, result.seconds, quality or "n/a")
        # All of its steps have ended: nothing needs its scratch or its lock any more.
        self._tidy(name, "done")
        self._running[name].lock.close()

    def _fail(self, name: str, reason: str, error: str, exit_code: int) -> None:
        entry = self._running[name]
        # Its other steps may still be running: scratch and lock stay until `end`.
        entry.failed = True
        self._sweep(entry.unit)
        path, notes = status_path(entry.unit, self._ready), self._notes(entry.unit)
        there = outputs.written_before(self._output_dir, path, notes)
        self._close(name, "failed", reason=reason, error=error, exit_code=exit_code, files=there)

    def _close(
        self,
        name: str,
        state: str,
        *,
        files: list[str],
        quality: str = "",
        reason: str = "",
        error: str = "",
        exit_code: int = 0,
    ) -> UnitResult:
        entry = self._running[name]
        # From its first step: a unit waits until others of its graph have ended.
        seconds = round(time.monotonic() - entry.began, 1) if entry.began is not None else 0.0
        peaks = [peak for node, peak in self.memory.items() if parts(node)[0] == name]
        entry.status = replace(
            entry.status,
            state=state,
            finished=now(),
            seconds=seconds,
            peak_memory_gb=round(max(peaks), 2) if peaks else None,
            outputs=files,
            quality=quality,
            reason=reason,
            error=error,
            exit_code=exit_code,
        )
        write_status(status_path(entry.unit, self._ready), entry.status)
        self._notes(entry.unit).unlink(missing_ok=True)
        shown = {field: vars(entry.status)[field] for field in UnitResult.__dataclass_fields__}
        self.results.append(UnitResult(**shown))
        self._progress.unit(failed=state == "failed")
        return self.results[-1]

    def _tidy(self, name: str, state: str) -> None:
        settings = self._ready.settings
        if settings.keep_work == "never" or (
            settings.keep_work == "on-failure" and state == "done"
        ):
            shutil.rmtree(settings.work_dir / SCRATCH / name, ignore_errors=True)

    def _sweep(self, unit: Unit) -> None:
        """Remove half-written files of a unit whose writer was killed (memory, Ctrl-C)."""
        of = (unit.subject, unit.session)
        for name in (names.stats(*of), names.report(*of)):
            sweep((self._output_dir / name).parent, unit.label)

    @property
    def _output_dir(self) -> Path:
        return self._ready.settings.output_dir

    def _notes(self, unit: Unit) -> Path:
        settings = self._ready.settings
        return settings.output_dir / names.notes(
            unit.subject, unit.session, model_label=settings.model_label
        )


def lock_path(unit: Unit | Skipped, ready: Ready) -> Path:
    """Name the file that is locked by whoever works on a unit, with any model."""
    return ready.settings.output_dir / names.lock(unit.subject, unit.session)


def parts(node: str) -> tuple[str, str]:
    """Split a node's full name into its unit's workflow name and its step."""
    _, name, step = node.split(".", 2)
    return name, step
