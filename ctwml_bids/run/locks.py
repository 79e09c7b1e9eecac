"""Locks that keep two runs from working on one unit at once.

A lock is the system's own (flock) on a small file: it ends with the process that holds it, also
when that is killed outright, and the file may stay where it is. It holds between machines on NFS
(Linux 2.6.12 and later) and wherever else the file system passes flock on. Where there is none
(Lustre mounted without ``flock``, some FUSE systems) the run says so once and goes on: a lock of
our own making would have to guess whether its holder is still alive, and a wrong guess either
blocks a unit for ever or mixes files.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from ctwml_bids.bids.files import explain_os_error, make_folder
from ctwml_bids.errors import TemporaryError

LOG = logging.getLogger("ctwml_bids")
# The system says in these ways that another process holds the lock, or that there are no locks.
_HELD = (errno.EAGAIN, errno.EACCES)
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
# Time between two attempts, in seconds.
_POLL_S = 0.02


@contextmanager
def hold(*paths: Path, wait_s: float = 0.0) -> Iterator[None]:
    """Hold locks on files, made where they are missing; all of them or none.

    Parameters
    ----------
    paths
        The files; they stay behind, empty.
    wait_s
        How long to wait for each, in seconds.

    Raises
    ------
    TemporaryError
        Another process holds one of them (still); the message says which process.
    CannotCreateError, InputOutputError
        A file cannot be made there.
    """
    with ExitStack() as held:
        for path in paths:
            held.enter_context(_hold(path, time.monotonic() + wait_s))
        yield


@contextmanager
def share(path: Path) -> Iterator[bool]:
    """Hold a lock that any number of processes hold at once, and tell whether others do.

    One process at a time may come to it (under a lock of `hold`); they may leave as they like.

    Parameters
    ----------
    path
        The file; it stays behind, empty.

    Yields
    ------
    bool
        Whether another process held it already; False where the file system has no locks.

    Raises
    ------
    CannotCreateError, InputOutputError
        The file cannot be made there.
    """
    with _opened(path) as descriptor:
        try:
            others = not _is_free(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise explain_os_error(error, path) from error
            _tell_no_locks(path.parent)
            others = False
        yield others


def _is_free(descriptor: int) -> bool:
    """Take a lock for this process alone if no other has it in any way."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _HELD:
            raise
        return False
    return True


@contextmanager
def _hold(path: Path, deadline: float) -> Iterator[None]:
    with _opened(path) as descriptor:
        _lock(descriptor, path, deadline)
        # Only for whoever finds it held; a full disk must not matter here.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, _this_process().encode())
        yield
        with suppress(OSError):
            os.ftruncate(descriptor, 0)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open the file of a lock, made where it is missing; let go of the lock in the end."""
    make_folder(path.parent)
    try:
        # A link there would have what it leads to emptied.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise explain_os_error(error, path) from error
    try:
        yield descriptor
    finally:
        # Closing alone would leave it to forked workers, which have the file open too.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _lock(descriptor: int, path: Path, deadline: float) -> None:
    try:
        _try_until(descriptor, deadline)
    except OSError as error:
        if error.errno in _HELD:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "unknown"
            raise TemporaryError(
                f"another process works on it ({holder}); run again when that has ended"
            ) from error
        if error.errno not in _UNSUPPORTED:
            raise explain_os_error(error, path) from error
        _tell_no_locks(path.parent.parent)


def _try_until(descriptor: int, deadline: float) -> None:
    """Take a lock, again and again until the deadline if another process holds it."""
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD or time.monotonic() >= deadline:
                raise
        time.sleep(_POLL_S)


@functools.cache
def _tell_no_locks(folder: Path) -> None:
    LOG.warning(
        "%s: this file system has no locks; take care that no two runs work on one subject at "
        "once there",
        folder,
    )


def _this_process() -> str:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return f"process {os.getpid()} on {socket.gethostname()}, since {since}"
