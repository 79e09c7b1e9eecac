"""What a unit must have from a former run to count as done, and whether it has it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ctwml_bids.bids import names
from ctwml_bids.bids.pairing import told_days
from ctwml_bids.bids.sidecars import used
from ctwml_bids.bids.status import Request, read_status, what_differs
from ctwml_bids.bids.units import Skipped, Unit
from ctwml_bids.run.planning import asked_again
from ctwml_bids.run.preflight import Ready
from ctwml_bids.run.provenance import hashes
from ctwml_bids.settings import content_hash

# What a unit of an earlier run in another state is to be called.
_BEFORE = {
    "failed": "it failed before",
    "skipped": "it was skipped before",
    "queued": "it waits in a queue, or its job never began",
    "running": "its last run did not come to an end, or is still running",
}


def request_of(unit: Unit, ready: Ready) -> Request:
    """Gather what a unit's results depend on besides the settings.

    Of sidecars only what is used (`sidecars.USED`) counts, and of scans.tsv how far apart CT and
    FLAIR are, where the report says it. Which images were chosen shows in their names; what there
    was besides them, as the notes tell it, does not count.

    Parameters
    ----------
    unit
        As planned.
    ready
        The run.
    """
    seen = {"ct": used(unit.ct_sidecar), "days": told_days(unit)}
    if of_flair := used(unit.flair_sidecar):
        seen["flair"] = of_flair
    return Request(
        images=tuple(path for path in (unit.ct, unit.flair) if path is not None),
        metadata=content_hash(seen),
        output_spaces=ready.settings.template_spaces,
        fazekas=content_hash(ready.fazekas.described()) if ready.fazekas else "",
    )


def why_to_run(unit: Unit, ready: Ready) -> list[str]:
    """Say why a unit is to be run although a former run may have finished it.

    Returns
    -------
    list of str
        Reasons; [] if it is done. One that was never run has the reason "".
    """
    settings = ready.settings
    status = read_status(status_path(unit, ready))
    if status is None or status.state != "done":
        return [_BEFORE.get(status.state, "") if status else ""]
    asked = ["--rerun asks for it"] if asked_again(unit, settings) else []
    return asked + what_differs(
        status, hashes(ready), request_of(unit, ready), settings.output_dir, settings.bids_dir
    )


def done(units: Sequence[Unit], ready: Ready) -> list[Unit]:
    """Return the units with results: not the failed, nor those that another process works on."""
    statuses = [(unit, read_status(status_path(unit, ready))) for unit in units]
    return [unit for unit, status in statuses if status is not None and status.state == "done"]


def status_path(unit: Unit | Skipped, ready: Ready) -> Path:
    """Name a unit's status file."""
    settings = ready.settings
    status = names.status(unit.subject, unit.session, model_label=settings.model_label)
    return settings.output_dir / status
