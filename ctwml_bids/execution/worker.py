"""What happens in the process of one node, and what is made of a process that died."""

from __future__ import annotations

import fcntl
import logging
import multiprocessing as mp
import os
import resource
import signal
import sys
from collections.abc import Mapping
from traceback import format_exception
from typing import TYPE_CHECKING, NotRequired, TypedDict

from nipype.pipeline.plugins.multiproc import run_node

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from nipype.pipeline.engine import Node

# Signals that mean "out of memory" rather than a bug, in almost every case.
KILLED = (signal.SIGKILL, signal.SIGTERM)
NIPYPE_LOGGERS = ("nipype", "nipype.workflow", "nipype.interface", "nipype.utils")


class NodeResult(TypedDict):
    """What a worker says of its node: Nipype's result, or a traceback in place of one."""

    result: object
    traceback: list[str] | None
    taskid: int
    peak_memory_gb: NotRequired[float]


def work(
    node: Node,
    updatehash: bool,
    taskid: int,
    sending: Connection,
    environment: Mapping[str, str],
    quiet: bool,
) -> None:
    """Run one node in its own process and send back what Nipype wants to know.

    Parameters
    ----------
    node, updatehash, taskid
        As Nipype runs it.
    sending
        End of a pipe; gets one result.
    environment
        Variables to set before the first computation.
    quiet
        Whether Nipype's own messages are kept from the terminal.
    """
    # Ctrl-C reaches the whole group; only the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    os.environ.update(environment)
    if quiet:
        for name in NIPYPE_LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
    result = run_node(node, updatehash, taskid)
    # Linux counts in KiB.
    result["peak_memory_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    try:
        sending.send(result)
    except Exception:
        # A result that cannot be pickled is a failed node, with the reason.
        text = format_exception(*sys.exc_info())
        sending.send({"result": None, "traceback": text, "taskid": taskid})
    sending.close()


def _die_with_parent() -> None:
    """End this process once the main process is gone, even in the middle of a computation.

    The main process holds the other end of the sentinel's pipe. When it closes, the kernel sends
    SIGIO, which ends a process that does not handle it; a watching thread would have to wait for
    a library that holds Python's lock.
    """
    parent = mp.parent_process()
    if sys.platform == "linux" and parent is not None:
        fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(parent.sentinel, fcntl.F_GETFL)
        fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)


def dead_worker(name: str, code: int | None, taskid: int) -> NodeResult:
    """Make a failed result for a process that ended without one.

    Parameters
    ----------
    name
        Full name of its node.
    code
        Its exit code; below 0 where a signal ended it, None where it is not known.
    taskid
        As Nipype counts.
    """
    if code is not None and code < 0:
        how = f"was killed by {signal.Signals(-code).name}"
        killed = -code in KILLED
    else:
        how, killed = f"ended by itself with exit code {code}", False
    why = " The machine or container most likely ran out of memory:" if killed else ""
    advice = " give it more memory, or lower --nprocs or --mem." if killed else ""
    step = name.rsplit(".", 1)[-1]
    return {
        "result": None,
        "traceback": [
            f"ctwml_bids.errors.TemporaryError: the process of step {step} {how}.{why}{advice}\n"
        ],
        "taskid": taskid,
    }
