"""The state of every unit on disk: one status.json each, and one table of them all."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ctwml_bids.bids.files import write_json, write_text

# Where the statuses of an output folder are, and the table made from them.
PATTERN = "logs/*/status*.json"
TABLE = Path("logs") / "status.tsv"
COLUMNS = (
    "unit",
    "model_label",
    "state",
    "quality",
    "seconds",
    "peak_memory_gb",
    "error",
    "exit_code",
    "reason",
    "finished",
)


@dataclass(frozen=True)
class UnitStatus:
    """What is known of one unit; times are ISO 8601 in UTC, memory is in GiB.

    Attributes
    ----------
    label
        ``sub-X`` or ``sub-X_ses-Y``.
    state
        "running", "done", "failed" or "skipped".
    reason, error, exit_code
        Why it failed or was skipped: for the user, as a class name, and as a number.
    hashes
        "preprocessing" and "segmentation" to the hashes of the settings.
    request
        What else decides the outputs: the input images (`fingerprint`), output spaces.
    quality
        "pass", "warn" or "fail", the worst quality gate; empty where none was reached.
    model_label
        The ``--desc`` of the run, empty for the first model of an output folder.
    outputs
        The files that it wrote, relative to the output folder; while it runs and after a failure
        those of its former runs that are still there, too.
    """

    label: str
    state: str
    reason: str = ""
    error: str = ""
    exit_code: int = 0
    started: str = ""
    finished: str = ""
    seconds: float | None = None
    peak_memory_gb: float | None = None
    quality: str = ""
    model_label: str = ""
    hashes: dict[str, str] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class UnitResult:
    """How one unit ended in this run."""

    label: str
    state: str
    reason: str = ""
    seconds: float | None = None
    error: str = ""
    exit_code: int = 0
    quality: str = ""


def now() -> str:
    """Give the time as ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def fingerprint(paths: Iterable[Path], root: Path) -> dict[str, list[int]]:
    """Describe input files so that a changed one is noticed without reading it.

    Parameters
    ----------
    paths
        Files below `root`.
    root
        The data set's folder; names are relative to it.

    Returns
    -------
    dict
        Name to [size in bytes, time of change in ns].
    """
    described = {}
    for path in paths:
        facts = path.stat()
        described[os.path.relpath(path, root)] = [facts.st_size, facts.st_mtime_ns]
    return described


def write_status(path: Path, status: UnitStatus) -> None:
    """Write a status atomically: whoever reads sees the old one or the new one, whole."""
    write_json(path, asdict(status))


def read_status(path: Path) -> UnitStatus | None:
    """Read a status; None where there is none, or none that can be read."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        known = {name: raw[name] for name in UnitStatus.__dataclass_fields__ if name in raw}
        return UnitStatus(**known)
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def is_done(
    path: Path, hashes: Mapping[str, str], request: Mapping[str, Any], output_dir: Path
) -> bool:
    """Tell whether a unit was finished with these settings and its files are still there.

    Parameters
    ----------
    path
        The unit's status file.
    hashes, request
        As a status of this run would have them.
    output_dir
        Where the files that it wrote must be.
    """
    status = read_status(path)
    return (
        status is not None
        and status.state == "done"
        and status.hashes == dict(hashes)
        and status.request == json.loads(json.dumps(request))
        and all((output_dir / name).is_file() for name in status.outputs)
    )


def collect(output_dir: Path) -> list[UnitStatus]:
    """Read all statuses of an output folder, by unit and model label."""
    statuses = (read_status(path) for path in output_dir.glob(PATTERN))
    return sorted(
        (status for status in statuses if status is not None),
        key=lambda status: (status.label, status.model_label),
    )


def rebuild_table(output_dir: Path) -> Path:
    """Write ``logs/status.tsv`` from the statuses that are there.

    Returns
    -------
    Path
        The table.
    """
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    for status in collect(output_dir):
        values = {**asdict(status), "unit": status.label}
        writer.writerow([_cell(values[name]) for name in COLUMNS])
    return write_text(output_dir / TABLE, text.getvalue())


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "n/a"
    return " ".join(f"{value:.1f}".split() if isinstance(value, float) else str(value).split())
