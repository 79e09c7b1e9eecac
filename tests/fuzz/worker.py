"""A process that runs one input after another, with limits, and says what each did.

It is forked from one that has imported everything, so that an input costs no start of Python, and
is replaced after a hang, a death, and some hundred inputs.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
from multiprocessing.connection import Connection
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
# What is said: the number of a new process, what an input did, how a process ended.
PROCESS, VERDICT, STATUS = "process", "verdict", "status"


class Worker:
    """Runs inputs in processes of its own.

    Parameters
    ----------
    traced
        Whether the lines of the readers that are reached are counted: some times slower.
    hang_s
        A run that takes longer (s) is ended, and hangs.
    """

    def __init__(self, *, traced: bool = False, hang_s: float = HANG_S) -> None:
        self._hang_s = hang_s
        # Two pipes, not one of both ways: what is read of the inputs ends when they end.
        (there, to), (of, here) = os.pipe(), os.pipe()
        self._to, self._from = Connection(to, readable=False), Connection(of, writable=False)
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
        self._to.send_bytes(case.to_json().encode())
        hangs = False
        while True:
            if not self._from.poll(self._hang_s if self._process else START_S):
                if hangs or not self._process:
                    raise RuntimeError("the process that runs the inputs says nothing")
                os.kill(self._process, signal.SIGKILL)
                hangs = True
                continue
            what, said = json.loads(self._from.recv_bytes())
            if what == VERDICT and not hangs:
                return Verdict(**said)
            if what == PROCESS:
                self._process = said
            elif what == STATUS and hangs:
                return Verdict([f"hang: no end after {self._hang_s:g} s"], seconds=self._hang_s)
            elif what == STATUS and said:
                return Verdict([f"death: the process ended with status {said}"])

    def close(self) -> None:
        """End the processes."""
        self._to.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._nursery.wait(5)
        self._nursery.kill()
        self._nursery.wait()
        self._from.close()


def _nurse(there: Connection, here: Connection, *, traced: bool) -> None:
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
        _say(here, STATUS, status)


# Status of a process that was told that there are no more inputs.
ENDED = 7


def _serve(there: Connection, here: Connection, *, traced: bool) -> int:
    sys.dont_write_bytecode = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory()
    watch = Watch()
    sys.addaudithook(watch)
    lines = Lines() if traced else None
    _say(here, PROCESS, os.getpid())
    for _ in range(INPUTS):
        try:
            case = Case.from_json(there.recv_bytes().decode())
        except EOFError:
            return ENDED
        verdict = judged(case, watch, lines)
        _say(here, VERDICT, vars(verdict))
        if any(fault.startswith("memory") for fault in verdict.faults):
            break
    return 0


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + GROWTH_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # The dump of a process that dies of it would fill the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _say(here: Connection, what: str, said: object) -> None:
    """Say something in JSON: whoever ran hostile inputs is not asked for a pickle."""
    here.send_bytes(json.dumps([what, said]).encode())


if __name__ == "__main__":
    _nurse(
        Connection(int(sys.argv[1]), writable=False),
        Connection(int(sys.argv[2]), readable=False),
        traced=sys.argv[3] == "1",
    )
