"""Which lines of the readers were reached (with `sys.settrace`, of these modules alone)."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType

# What reads files that users give, or that lie in their folders.
READERS = (
    "bids.acquisitions",
    "bids.dataset",
    "bids.exclusions",
    "bids.fetched",
    "bids.filenames",
    "bids.filters",
    "bids.images",
    "bids.labels",
    "bids.listing",
    "bids.outputs",
    "bids.people",
    "bids.people_tables",
    "bids.query",
    "bids.scans",
    "bids.sidecars",
    "bids.status",
    "bids.tables",
    "bids.unit_folders",
    "image_files",
    "group.cross_validated",
    "group.units",
    "preprocessing.header_checks",
    "preprocessing.hounsfield",
    "preprocessing.images",
    "preprocessing.transforms",
    "reading",
    "run.identity",
    "run.plugin_file",
    "segmentation.model_card",
    "segmentation.model_store",
    "settings.toml",
    "statistics.thresholds",
    "training.cases",
    "training.plan",
    "unit.rewriting",
)


class Lines:
    """Counts the lines of `READERS` that are run in this process."""

    def __init__(self) -> None:
        self._files = {path: name for name, path in files().items()}
        self._seen: dict[str, set[int]] = {name: set() for name in READERS}
        self._told: dict[str, set[int]] = {name: set() for name in READERS}

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what is run inside."""
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(None)

    def new(self) -> dict[str, list[int]]:
        """Return the lines that were not told before."""
        found = {name: self._seen[name] - self._told[name] for name in READERS}
        for name, lines in found.items():
            self._told[name] |= lines
        return {name: sorted(lines) for name, lines in found.items() if lines}

    def _called(self, frame: FrameType, event: str, argument: object):
        name = self._files.get(frame.f_code.co_filename)
        if name is None:
            return None
        seen = self._seen[name]

        def line(frame: FrameType, event: str, argument: object):
            if event == "line":
                seen.add(frame.f_lineno)
            return line

        return line


def files() -> dict[str, str]:
    """Return the file of each reader."""
    found = {}
    for name in READERS:
        spec = importlib.util.find_spec(f"ctwml_bids.{name}")
        assert spec is not None, name
        assert spec.origin is not None, name
        found[name] = spec.origin
    return found


def lines_of(path: str) -> set[int]:
    """Return the numbers of the lines in functions of a module that can be reached."""
    code = compile(Path(path).read_text(encoding="utf-8"), path, "exec")
    found: set[int] = set()

    def gather(code: CodeType) -> None:
        for inner in (one for one in code.co_consts if isinstance(one, CodeType)):
            # The body of a class is run by its import.
            if inner.co_flags & 0x02:
                first = inner.co_firstlineno
                found.update(
                    line for *_, line in inner.co_lines() if line is not None and line != first
                )
            gather(inner)

    gather(code)
    return found
