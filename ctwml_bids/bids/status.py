"""The state of every unit on disk: one status.json each, and one table of them all."""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ctwml_bids.bids import names
from ctwml_bids.bids.files import as_text, read_tsv, write_json, write_text
from ctwml_bids.bids.fingerprints import fingerprints, is_known, is_same_file
from ctwml_bids.reading import is_name, read_json

# Where the statuses of an output folder are, and the table made from them.
PATTERN = "logs/*/status*.json"
TABLE = Path("logs") / "status.tsv"
MANY, YOUNG_S = 500, 60.0
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
        "queued" (handed to a scheduler, never begun), "running", "done", "failed" or "skipped".
    reason, error, exit_code
        Why it failed or was skipped: for the user, as a class name, and as a number.
    hashes
        "preprocessing" and "segmentation" to the hashes of the settings.
    request
        What else decides the outputs, as `Request.described` gives it.
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


_FIELDS = tuple(item.name for item in fields(UnitStatus))


@dataclass(frozen=True)
class Request:
    """What a unit's results depend on besides the settings.

    Attributes
    ----------
    images
        The input images.
    metadata
        Hash of what is used of the CT's sidecar and of scans.tsv.
    output_spaces
        Templates in whose space maps are asked for; the native spaces are not listed.
    fazekas
        Hash of the thresholds from which a Fazekas group is asked for, empty without any.
    """

    images: tuple[Path, ...]
    metadata: str = ""
    output_spaces: tuple[str, ...] = ()
    fazekas: str = ""

    def described(self, bids_dir: Path) -> dict[str, object]:
        """Give it as it stands in a status: images by their names in the data set."""
        return {
            "inputs": fingerprints(self.images, bids_dir),
            "metadata": self.metadata,
            "output_spaces": list(self.output_spaces),
            "fazekas": self.fazekas,
        }


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


def write_status(path: Path, status: UnitStatus) -> None:
    """Write a status atomically: whoever reads sees the old one or the new one, whole."""
    write_json(path, asdict(status))


def read_status(path: Path) -> UnitStatus | None:
    """Read a status; None where there is none, or none that can be read."""
    try:
        raw = read_json(path)
        status = UnitStatus(**{name: raw[name] for name in _FIELDS if name in raw})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return status if _is_sound(status) else None


def _is_sound(status: UnitStatus) -> bool:
    """Tell whether a status that was read has values of the right types, and names of files."""
    texts = ("label", "state", "reason", "error", "started", "finished", "quality", "model_label")
    inputs = status.request.get("inputs", {}) if isinstance(status.request, dict) else None
    return (
        all(isinstance(getattr(status, name), str) for name in texts)
        # It becomes part of names of files.
        and is_name(status.label)
        and "/" not in status.label
        and isinstance(status.exit_code, int)
        and all(
            value is None or (isinstance(value, int | float) and abs(value) < 1e12)
            for value in (status.seconds, status.peak_memory_gb)
        )
        and all(isinstance(part, dict) for part in (status.hashes, status.versions))
        and isinstance(status.outputs, list)
        and all(map(is_name, status.outputs))
        and isinstance(inputs, dict)
        and all(is_known(name, facts) for name, facts in inputs.items())
        and isinstance(status.request.get("output_spaces", []), list)
    )


def read_quality(
    output_dir: Path, subject: str, session: str | None, *, model_label: str = ""
) -> str:
    """Read the worst quality gate of a unit from its table; empty where that does not say."""
    try:
        return read_tsv(output_dir / names.stats(subject, session, model_label=model_label))[0][
            "qc"
        ]
    except (OSError, ValueError, IndexError, KeyError):
        return ""


def what_differs(
    status: UnitStatus,
    hashes: Mapping[str, str],
    request: Request,
    output_dir: Path,
    bids_dir: Path,
) -> list[str]:
    """Say what a finished unit's results lack of what is asked for now; [] if nothing.

    Maps in more spaces than are asked for are no lack, nor is a Fazekas group that is not.

    Parameters
    ----------
    status
        Of the unit's last run, which was done.
    hashes, request
        As a status of this run would have them.
    output_dir
        Where the files that it wrote must be.
    bids_dir
        The data set's folder.
    """
    before, found = status.request, []
    if status.hashes != dict(hashes):
        found.append("other settings")
    inputs = before.get("inputs", {})
    now = {os.path.relpath(path, bids_dir): path for path in request.images}
    found += [f"{name} is used no longer" for name in inputs if name not in now]
    found += [f"{name} was not used before" for name in now if name not in inputs]
    found += [
        f"{name} has changed"
        for name, path in now.items()
        if name in inputs and not is_same_file(path, inputs[name])
    ]
    if before.get("metadata") != request.metadata:
        found.append("what is used of its sidecar or scans.tsv has changed")
    spaces = before.get("output_spaces", ())
    found += [
        f"maps in {name} are asked for" for name in request.output_spaces if name not in spaces
    ]
    if request.fazekas and before.get("fazekas", "") != request.fazekas:
        found.append("a Fazekas group by other thresholds is asked for")
    if missing := [name for name in status.outputs if not (output_dir / name).is_file()]:
        found.append(f"{missing[0]} is gone")
    return found


def collect(output_dir: Path) -> list[UnitStatus]:
    """Read all statuses of an output folder, by unit and model label."""
    return sorted(
        statuses(output_dir),
        key=lambda status: (status.label, status.model_label),
    )


def statuses(output_dir: Path) -> Iterator[UnitStatus]:
    """Read the statuses of an output folder one by one, as they are asked for."""
    found = (read_status(path) for path in sorted(output_dir.glob(PATTERN)))
    return (status for status in found if status is not None)


def rebuild_table(output_dir: Path, *, lazy: bool = False) -> Path:
    """Write ``logs/status.tsv`` from the statuses that are there.

    Parameters
    ----------
    output_dir
        The derivative data set.
    lazy
        Leave a young table of many units as it is: each of thousands of tasks would read the
        statuses of all. The group level brings it up to date.

    Returns
    -------
    Path
        The table.
    """
    table = output_dir / TABLE
    if lazy and table.is_file() and time.time() - table.stat().st_mtime < YOUNG_S:
        with table.open("rb") as opened:
            if sum(1 for _ in opened) > MANY:
                return table
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    for status in collect(output_dir):
        values = {**asdict(status), "unit": status.label}
        writer.writerow([_cell(values[name]) for name in COLUMNS])
    return write_text(table, text.getvalue())


def _cell(value: object) -> str:
    if value is None or value == "":
        return "n/a"
    return f"{value:.1f}" if isinstance(value, float) else as_text(str(value))
