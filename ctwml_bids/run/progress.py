"""What a user sees of a run: one line per unit and step, a bar on a terminal, a log file."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TextIO

LOG = logging.getLogger("ctwml_bids")
BAR_WIDTH = 20


class Progress(logging.Handler):
    """A log handler for the screen that keeps a bar below the lines where it is a terminal.

    Parameters
    ----------
    stream
        Where lines go; the bar is only drawn on a terminal.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.total = self.done = self.failed = 0
        self._running: dict[tuple[str, str], float] = {}

    def begin(self, total: int) -> None:
        """Start counting a number of units."""
        self.total, self.done, self.failed = total, 0, 0
        self._draw()

    def step(self, unit: str, step: str, event: str) -> None:
        """Tell that a step of a unit began ("start"), ended ("end") or failed ("exception")."""
        began = self._running.pop((unit, step), None)
        if event == "start":
            self._running[unit, step] = time.monotonic()
            LOG.debug("%s  %s  started", unit, step)
        elif event == "exception":
            LOG.error("%s  %s  failed%s", unit, step, _after(began))
        elif began is None:
            LOG.info("%s  %s  was done before", unit, step)
        else:
            LOG.info("%s  %s  done%s", unit, step, _after(began))
        self._draw()

    def unit(self, *, failed: bool) -> None:
        """Count one unit that came to its end."""
        self.done += 1
        self.failed += failed
        self._draw()

    def finish(self) -> None:
        """Take the bar away."""
        self._clear()
        self.total = 0
        self._running.clear()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line above the bar."""
        self._clear()
        self.stream.write(self.format(record) + "\n")
        self._draw()
        self.stream.flush()

    def bar(self, width: int) -> str:
        """Give the bar as text of at most a number of characters."""
        filled = round(BAR_WIDTH * self.done / self.total) if self.total else 0
        failed = f", {self.failed} failed" if self.failed else ""
        now = ", ".join(f"{unit} {step}" for unit, step in self._running)
        text = f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {self.done}/{self.total}{failed}"
        return f"{text}  {now}"[:width].rstrip()

    def _clear(self) -> None:
        if self.terminal and self.total:
            self.stream.write("\r\x1b[K")

    def _draw(self) -> None:
        if self.terminal and self.total:
            width = shutil.get_terminal_size().columns - 1
            self.stream.write("\r\x1b[K" + self.bar(width))
            self.stream.flush()


class _LogFile(logging.FileHandler):
    """A log file that loses lines where its disk is full: what is lost there is told otherwise."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Print no traceback for a line that cannot be written."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        """Close the file, also where its last lines cannot be written."""
        with suppress(OSError):
            super().close()


def start_logging(verbose: int, stream: TextIO | None = None) -> Progress:
    """Send this program's messages to the screen, and Nipype's nowhere unless asked for.

    Parameters
    ----------
    verbose
        0: lines of finished steps; 1: also of started ones; 2: also what Nipype says.
    stream
        The screen; standard error by default.
    """
    stop_logging()
    progress = Progress(stream)
    progress.setFormatter(logging.Formatter("[%(asctime)s] %(message)s", "%H:%M:%S"))
    progress.setLevel(logging.DEBUG if verbose else logging.INFO)
    LOG.setLevel(logging.DEBUG)
    LOG.propagate = False
    LOG.addHandler(progress)
    return progress


def run_name(started: datetime) -> str:
    """Name what one run writes to ``logs/``: the tasks of a job array begin in the same second."""
    return f"ctwml_{started:%Y%m%dT%H%M%S}-{started.microsecond:06d}"


def log_file(output_dir: Path, started: datetime) -> Path:
    """Return the file that has all messages of one run."""
    return output_dir / "logs" / f"{run_name(started)}.log"


def log_to(path: Path) -> None:
    """Send all messages to a file too, as plain lines; once is enough for each file."""
    if any(
        getattr(handler, "baseFilename", "") == os.path.abspath(path) for handler in LOG.handlers
    ):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # A file's name need not be text in UTF-8.
    handler = _LogFile(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    )
    LOG.addHandler(handler)


def stop_logging() -> None:
    """Close and remove the handlers of this program."""
    for handler in list(LOG.handlers):
        LOG.removeHandler(handler)
        handler.close()


def _after(began: float | None) -> str:
    return "" if began is None else f"  {time.monotonic() - began:.1f} s"
