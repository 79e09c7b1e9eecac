"""Where benchmark results go: one JSON each, with command, machine and date."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"


def machine() -> str:
    """Describe this machine in words: processor model, usable cores, system, a GPU if any."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    words = f"{model}, {len(os.sched_getaffinity(0))} cores, {platform.system()}"
    return f"{words}, {torch.cuda.get_device_name()}" if torch.cuda.is_available() else words


def write_result(name: str, result: Any, folder: Path = RESULTS) -> Path:
    """Write one benchmark's result beside what it was measured with."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    record = {
        "command": named(sys.argv),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "result": result,
    }
    path.write_text(json.dumps(record, indent=2) + "\n")
    return path


def named(words: Sequence[str]) -> str:
    """Write a command; folders of one machine say nothing to a reader of the results."""
    return " ".join(["python", *(_named(word) for word in words)])


def _named(argument: str) -> str:
    """Shorten an absolute path to its last part."""
    return Path(argument).name if Path(argument).is_absolute() else argument
