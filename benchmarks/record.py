"""Where benchmark results go: one JSON each, with command, machine and date."""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def machine() -> str:
    """Describe this machine in words: processor model, usable cores, system."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{model}, {len(os.sched_getaffinity(0))} cores, {platform.system()}"


def write_result(name: str, result: Any) -> Path:
    """Write one benchmark's result beside what it was measured with."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    record = {
        # Folders of one machine say nothing to a reader of the results.
        "command": " ".join(["python", *(_named(argument) for argument in sys.argv)]),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "result": result,
    }
    path.write_text(json.dumps(record, indent=2) + "\n")
    return path


def _named(argument: str) -> str:
    """Shorten an absolute path to its last part."""
    return Path(argument).name if Path(argument).is_absolute() else argument
