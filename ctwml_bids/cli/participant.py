"""The participant level: run every planned unit, and let each tell on disk how it ended."""

from __future__ import annotations

import csv
import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctwml_bids.bids import names
from ctwml_bids.bids.files import sweep
from ctwml_bids.bids.query import Skipped, Unit
from ctwml_bids.cli.preflight import SCRATCH, Ready
from ctwml_bids.cli.progress import Progress
from ctwml_bids.cli.provenance import drop_stale_scratch, hashes, versions
from ctwml_bids.errors import TemporaryError
from ctwml_bids.execution.failures import failure_of
from ctwml_bids.execution.status import (
    UnitResult,
    UnitStatus,
    fingerprint,
    is_done,
    now,
    read_status,
    rebuild_table,
    write_status,
)

LOG = logging.getLogger("ctwml_bids")
# Units in one Nipype graph: enough to keep many CPUs busy, few enough for Nipype to be quick.
BATCH = 20
Build = Callable[[Sequence[Unit]], Any]


@dataclass
class _Running:
    """What is known of one unit while it runs."""

    unit: Unit
    status: UnitStatus
    path: Path
    began: float
    steps: set[str] = field(default_factory=set)
    failed: bool = False


class Ledger:
    """Keeps the status of every running unit on disk as its steps start, end and fail.

    Parameters
    ----------
    ready
        The run.
    progress
        What the user sees.
    workflow_name
        Gives the name of a unit's workflow, the second part of its nodes' full names.
    """

    def __init__(
        self, ready: Ready, progress: Progress, workflow_name: Callable[[str], str]
    ) -> None:
        self.results: list[UnitResult] = []
        self._ready, self._progress, self._name = ready, progress, workflow_name
        self._hashes = hashes(ready)
        self._versions = versions()
        self._running: dict[str, _Running] = {}
        self.memory: Mapping[str, float] = {}

    def is_done(self, unit: Unit) -> bool:
        """Tell whether a unit was finished by an earlier run with the same settings."""
        return is_done(self._path(unit), self._hashes, self._request(unit))

    def begin(self, units: Sequence[Unit]) -> None:
        """Write that units are running."""
        for unit in units:
            status = UnitStatus(
                label=unit.label,
                state="running",
                started=now(),
                model_label=self._ready.settings.desc or "",
                hashes=self._hashes,
                request=self._request(unit),
                versions=self._versions,
            )
            entry = _Running(unit, status, self._path(unit), time.monotonic())
            self._running[self._name(unit.label)] = entry
            self._sweep(unit)
            write_status(entry.path, status)

    def expect(self, nodes: Sequence[str]) -> None:
        """Take note of all nodes that a graph has; a unit is done when all of its are."""
        for node in nodes:
            name, step = _parts(node)
            self._running[name].steps.add(step)

    def event(self, node: str, event: str) -> None:
        """Take note of a node that started, ended or failed."""
        name, step = _parts(node)
        entry = self._running[name]
        self._progress.step(entry.unit.label, step, event)
        if event == "end":
            entry.steps.discard(step)
            if not entry.steps and not entry.failed:
                self._close(name, "done", quality=_quality(self._ready, entry.unit))

    def failure(self, node: str, text: str) -> None:
        """Take note of why a node failed; the first failure of a unit is its reason."""
        name, step = _parts(node)
        entry = self._running[name]
        if entry.failed:
            return
        entry.failed = True
        failure = failure_of(text)
        LOG.error("%s: %s", entry.unit.label, failure.message)
        # Status and tables are passed on with the results; folders tell of their owner.
        said = failure.message.replace(f"{self._ready.settings.bids_dir}/", "")
        reason = said if failure.exit_code != 1 else f"{step}: {said}"
        self._close(name, "failed", reason, failure.error, failure.exit_code)

    def end(self, reason: str, exit_code: int) -> None:
        """Close the units that have not come to an end, for one reason."""
        for name, entry in self._running.items():
            if entry.status.state == "running":
                entry.failed = True
                self._close(name, "failed", reason, "Interrupted", exit_code)
        self._running.clear()

    def _close(
        self,
        name: str,
        state: str,
        reason: str = "",
        error: str = "",
        exit_code: int = 0,
        quality: str = "",
    ) -> None:
        entry = self._running[name]
        if state == "failed":
            self._sweep(entry.unit)
        seconds = round(time.monotonic() - entry.began, 1)
        peaks = [peak for node, peak in self.memory.items() if _parts(node)[0] == name]
        facts = {"state": state, "reason": reason, "error": error, "exit_code": exit_code}
        entry.status = UnitStatus(
            **{
                **vars(entry.status),
                **facts,
                "finished": now(),
                "seconds": seconds,
                "peak_memory_gb": round(max(peaks), 2) if peaks else None,
                "quality": quality,
            }
        )
        write_status(entry.path, entry.status)
        self.results.append(
            UnitResult(label=entry.unit.label, seconds=seconds, quality=quality, **facts)
        )
        if state == "done":
            LOG.info("%s: done in %.0f s, quality %s", entry.unit.label, seconds, quality or "n/a")
        self._progress.unit(failed=state == "failed")

    def _sweep(self, unit: Unit) -> None:
        """Remove half-written files of a unit whose writer was killed (memory, Ctrl-C)."""
        output, of = self._ready.settings.output_dir, (unit.subject, unit.session)
        for name in (names.stats(*of), names.report(*of)):
            sweep((output / name).parent, unit.label)

    def _path(self, unit: Unit) -> Path:
        settings = self._ready.settings
        relative = names.status(unit.subject, unit.session, model_label=settings.desc or "")
        return settings.output_dir / relative

    def _request(self, unit: Unit) -> dict[str, Any]:
        settings = self._ready.settings
        images = [path for path in (unit.ct, unit.flair) if path is not None]
        return {
            "inputs": fingerprint(images, settings.bids_dir),
            "output_spaces": list(settings.output_spaces),
        }


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
    try:
        for first in range(0, len(todo), BATCH):
            batch = todo[first : first + BATCH]
            ledger.begin(batch)
            _run_batch(batch, ready, ledger, build, workflow_name)
            if ready.settings.stop_on_first_crash and any(r.exit_code for r in ledger.results):
                break
    except KeyboardInterrupt:
        ledger.end("interrupted", 130)
        raise
    finally:
        progress.finish()
        ledger.end("the run stopped before this subject was finished", TemporaryError.exit_code)
        rebuild_table(ready.settings.output_dir)
    return results + ledger.results


def write_skipped(skipped: Sequence[Skipped], ready: Ready) -> list[UnitResult]:
    """Write the status of what is not run, with its reason.

    Parameters
    ----------
    skipped
        As planned.
    ready
        The run.
    """
    label = ready.settings.desc or ""
    results = []
    for item in skipped:
        status = UnitStatus(
            item.label,
            "skipped",
            item.reason,
            exit_code=item.exit_code,
            finished=now(),
            model_label=label,
        )
        path = ready.settings.output_dir / names.status(
            item.subject, item.session, model_label=label
        )
        before = read_status(path)
        # What an earlier run with other filters finished stays finished.
        if before is None or before.state != "done":
            write_status(path, status)
        results.append(UnitResult(item.label, "skipped", item.reason, exit_code=item.exit_code))
    return results


def _run_batch(
    batch: Sequence[Unit],
    ready: Ready,
    ledger: Ledger,
    build: Build,
    workflow_name: Callable[[str], str],
) -> None:
    # Nipype takes a second to import; a run in which all is done before needs none of it.
    from ctwml_bids.cli.nipype_setup import run_workflow

    settings = ready.settings
    units = {workflow_name(unit.label): unit for unit in batch}
    for name in units:
        drop_stale_scratch(settings.work_dir / SCRATCH / name)

    def crash_folder(node: str) -> Path:
        unit = units[_parts(node)[0]]
        return settings.output_dir / names.logs(unit.subject, unit.session)

    done_before = len(ledger.results)
    run_workflow(build(batch), settings, ledger, crash_folder)
    for result in ledger.results[done_before:]:
        _tidy(settings.work_dir / SCRATCH / workflow_name(result.label), result, settings.keep_work)


def _tidy(folder: Path, result: UnitResult, keep: str) -> None:
    if keep == "never" or (keep == "on-failure" and result.state == "done"):
        shutil.rmtree(folder, ignore_errors=True)


def _quality(ready: Ready, unit: Unit) -> str:
    """Read the worst quality gate from the unit's statistics table; empty where there is none."""
    label = ready.settings.desc or ""
    table = names.stats(unit.subject, unit.session, model_label=label)
    try:
        with (ready.settings.output_dir / table).open(encoding="utf-8", newline="") as stream:
            return next(csv.DictReader(stream, delimiter="\t"))["qc"]
    except (OSError, StopIteration, KeyError):
        return ""


def _parts(node: str) -> tuple[str, str]:
    """Split a node's full name into its unit's workflow name and its step."""
    _, name, step = node.split(".", 2)
    return name, step
