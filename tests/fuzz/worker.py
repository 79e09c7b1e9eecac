"""A process that runs one input after another, with limits, and says what each did.

It is forked from one that has imported everything, so that an input costs no start of Python, and
is replaced after a hang, a death, and some hundred inputs.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import select
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzz.case import Case
from tests.fuzz.lines import Lines
from tests.fuzz.programs import preload
from tests.fuzz.verdict import Verdict, judged
from tests.fuzz.watch import Watch

HANG_S = 60.0
GROWTH_BYTES = 2 * 1024**3
# Inputs of one process: what it has cached of former ones is forgotten now and then.
INPUTS = 250
# Starting to read and importing everything, on a busy machine.
START_S = 300.0


class Worker:
    """Runs inputs in processes of its own.

    Parameters
    ----------
    traced
        Whether the lines of the readers that are reached are counted: some times slower.
    """

    def __init__(self, *, traced: bool = False) -> None:
        (there, self._to), (self._from, here) = os.pipe(), os.pipe()
        words = [sys.executable, "-m", "tests.fuzz.worker", str(there), str(here), str(int(traced))]
        root = str(Path(__file__).resolve().parents[2])
        paths = filter(None, (root, os.environ.get("PYTHONPATH")))
        self._nursery = subprocess.Popen(
            words,
            pass_fds=(there, here),
            cwd=root,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "MPLBACKEND": "Agg"},
        )
        os.close(there)
        os.close(here)
        self._process = 0

    def run(self, case: Case) -> Verdict:
        """Run one input."""
        _send(self._to, case)
        wait_s = HANG_S if self._process else START_S
        while True:
            said = _receive(self._from, wait_s)
            if isinstance(said, Verdict):
                return said
            if said is None:
                os.kill(self._process, signal.SIGKILL)
                while not isinstance(said, int):
                    said = _receive(self._from, HANG_S)
                return Verdict([f"hang: no end after {HANG_S:g} s"], seconds=HANG_S)
            if isinstance(said, tuple):
                (self._process,), wait_s = said, HANG_S
            elif said is False:
                raise RuntimeError("the process that runs the inputs has ended")
            elif said:
                return Verdict([f"death: the process ended with status {said}"])

    def close(self) -> None:
        """End the processes."""
        os.close(self._to)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._nursery.wait(5)
        self._nursery.kill()
        self._nursery.wait()
        os.close(self._from)


def _nurse(there: int, here: int, *, traced: bool) -> None:
    """Fork one process after another; of each is said its number, and at its end its status."""
    preload()
    # nibabel tells what it mends in headers.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    while True:
        process = os.fork()
        if process == 0:
            status = 1
            try:
                status = _serve(there, here, traced=traced)
            finally:
                os._exit(status)
        _, status = os.waitpid(process, 0)
        if os.waitstatus_to_exitcode(status) == ENDED:
            return
        _send(here, status)


# Status of a process that was told that there are no more inputs.
ENDED = 7


def _serve(there: int, here: int, *, traced: bool) -> int:
    sys.dont_write_bytecode = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory()
    watch = Watch()
    sys.addaudithook(watch)
    lines = Lines() if traced else None
    _send(here, (os.getpid(),))
    for _ in range(INPUTS):
        case = _receive(there, None)
        if not isinstance(case, Case):
            return ENDED
        verdict = judged(case, watch, lines)
        _send(here, verdict)
        if any(fault.startswith("memory") for fault in verdict.faults):
            break
    return 0


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + GROWTH_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # The dump of a process that dies of it would fill the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _send(descriptor: int, what: object) -> None:
    content = pickle.dumps(what)
    content = struct.pack("<Q", len(content)) + content
    while content:
        content = content[os.write(descriptor, content) :]


def _receive(descriptor: int, wait_s: float | None) -> object:
    """Return what was sent; None after too long a time, False where the sender has ended."""
    ends = None if wait_s is None else time.monotonic() + wait_s
    content, length = b"", 8
    while len(content) < length:
        left = None if ends is None else max(0.0, ends - time.monotonic())
        ready, _, _ = select.select([descriptor], [], [], left)
        if not ready:
            return None
        part = os.read(descriptor, length - len(content))
        if not part:
            return False
        content += part
        if len(content) == length == 8:
            length += struct.unpack("<Q", content)[0]
    return pickle.loads(content[8:])


if __name__ == "__main__":
    # The classes that are sent are those of the module under its own name.
    from tests.fuzz import worker

    worker._nurse(int(sys.argv[1]), int(sys.argv[2]), traced=sys.argv[3] == "1")
