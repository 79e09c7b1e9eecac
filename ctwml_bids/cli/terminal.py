"""Standard output and error that never end a run: closed, full, left by their reader, or ASCII."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from ctwml_bids.errors import InputOutputError, entry


class Screen:
    """A standard stream whose losses end nothing: what cannot be written any more is dropped.

    A character that its encoding does not have is written as its code, backslash and all.

    Parameters
    ----------
    stream
        The stream; None where the program was started without it.

    Attributes
    ----------
    lost
        Why writing came to an end; None as long as it works.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.lost: OSError | None = None
        # Open as long as the process is.
        self._stream = open(os.devnull, "w") if stream is None else stream  # noqa: SIM115
        if isinstance(self._stream, io.TextIOWrapper):
            self._stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Write text as far as it can be written."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Bring to the system what was written, as far as that can be done."""
        self._try(self._stream.flush)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def _try(self, do: Callable[[], object]) -> None:
        try:
            do()
        except OSError as error:
            self.lost = self.lost or error
            # What waits in the buffer goes nowhere: Python would complain of it as it ends.
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)


def on_screen(program: str, body: Callable[[], int]) -> int:
    """Run a program's body with standard streams that end nothing.

    A reader that leaves early (``| head``) changes nothing, nor does a stream that was closed
    from the start. Where standard output could not be written for another reason, such as a full
    disk, the program says so in the end.

    Parameters
    ----------
    program
        Its name, for that message.
    body
        What it does; returns the exit code.

    Returns
    -------
    int
        The body's exit code; 74 where that is 0 and what it printed was lost.
    """
    _fill_closed()
    before = sys.stdout, sys.stderr
    out, err = Screen(sys.stdout), Screen(sys.stderr)
    sys.stdout, sys.stderr = out, err
    try:
        code = _code(body)
        out.flush()
        if out.lost is not None and out.lost.errno != errno.EPIPE:
            print(f"{program}: error: standard output: {out.lost.strerror}.", file=err)
            code = code or InputOutputError.exit_code
        err.flush()
        return code
    finally:
        sys.stdout, sys.stderr = before


def complain(program: str, message: str, code: int) -> int:
    """Say on standard error why a program ends, and in its last line where to read on.

    Parameters
    ----------
    program
        Its name.
    message
        What was found, where, what to do.
    code
        The exit code, which has its entry in the documentation.

    Returns
    -------
    int
        The exit code.
    """
    print(f"{program}: error: {message}\nSee {entry(code)}", file=sys.stderr)
    return code


def _code(body: Callable[[], int]) -> int:
    """Run a body; one that leaves by SystemExit, as argparse does for --help, has a code, too."""
    try:
        return body()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)


def _fill_closed() -> None:
    """Give the numbers of closed standard streams to nothing: the next file would get them.

    What a library then prints would stand in that file.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
