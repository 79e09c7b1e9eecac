from __future__ import annotations

import errno
import fcntl
import io
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ctwml_bids.errors import CannotCreateError, InputOutputError, TemporaryError
from ctwml_bids.run import locks
from ctwml_bids.run.locks import hold, share

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import sys
from pathlib import Path
from ctwml_bids.run import locks
with getattr(locks, sys.argv[2])(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def _way(request):
    return getattr(request, "param", "hold")


@pytest.fixture
def holder(tmp_path, request):
    """Another process that holds a lock until it is told to end."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "logs/sub-01/lock", _way(request)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_a_lock_of_another_process_is_refused_and_its_holder_named(holder, tmp_path):
    with (
        pytest.raises(TemporaryError, match=f"process {holder.pid} on .*, since 20"),
        hold(tmp_path / "logs/sub-01/lock"),
    ):
        pass
    with hold(tmp_path / "logs/sub-02/lock"):
        pass


@pytest.mark.parametrize("holder", ["share"], indirect=True)
@pytest.mark.parametrize("end", ["ended", "killed outright"])
def test_a_shared_lock_tells_of_others_as_long_as_they_live(holder, tmp_path, end):
    lock = tmp_path / "logs/sub-01/lock"
    for _ in range(2):
        with share(lock) as others:
            assert others
    if end == "ended":
        holder.stdin.close()
    else:
        holder.kill()
    holder.wait(timeout=30)
    with share(lock) as first, share(lock) as second:
        assert (first, second) == (False, True)


def test_a_lock_is_waited_for(holder, tmp_path):
    lock, began = tmp_path / "logs/sub-01/lock", time.monotonic()
    with pytest.raises(TemporaryError, match=f"process {holder.pid}"), hold(lock, wait_s=0.2):
        pass
    assert time.monotonic() - began >= 0.2
    threading.Timer(0.2, holder.stdin.close).start()
    with hold(lock, wait_s=60):
        assert holder.wait(timeout=30) == 0


@pytest.mark.parametrize("end", ["ended", "killed outright"])
def test_a_lock_ends_with_its_process(holder, tmp_path, end):
    if end == "ended":
        holder.stdin.close()
    else:
        holder.kill()
    holder.wait(timeout=30)
    with hold(tmp_path / "logs/sub-01/lock"):
        pass
    assert (tmp_path / "logs/sub-01/lock").read_text() == ""


def test_all_locks_are_held_or_none(holder, tmp_path):
    mine = tmp_path / "work/lock"
    with pytest.raises(TemporaryError), hold(mine, tmp_path / "logs/sub-01/lock"):
        pass
    with hold(mine):
        pass


def test_a_lock_that_an_error_passes_through_is_let_go(tmp_path):
    with pytest.raises(KeyboardInterrupt), hold(tmp_path / "lock"):
        raise KeyboardInterrupt
    with hold(tmp_path / "lock"):
        pass


def test_forked_workers_do_not_keep_a_lock_that_was_let_go(tmp_path):
    reading, writing = os.pipe()
    with hold(tmp_path / "lock"):
        worker = os.fork()
        if worker == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
    try:
        with hold(tmp_path / "lock"):
            pass
    finally:
        os.close(writing)
        os.waitpid(worker, 0)
        os.close(reading)


def test_a_file_system_without_locks_is_told_of_once_and_the_run_goes_on(tmp_path, monkeypatch):
    def unsupported(descriptor, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    screen = io.StringIO()
    handler = logging.StreamHandler(screen)
    locks.LOG.addHandler(handler)
    locks._tell_no_locks.cache_clear()
    try:
        for unit in ("sub-01", "sub-02"):
            with hold(tmp_path / "logs" / unit / "lock"):
                pass
        with share(tmp_path / "logs/in_use") as others:
            assert not others
    finally:
        locks.LOG.removeHandler(handler)
    (said,) = screen.getvalue().splitlines()
    assert said.startswith(f"{tmp_path / 'logs'}: this file system has no locks")


def test_a_lock_that_cannot_be_made_says_where(tmp_path):
    (tmp_path / "logs").write_text("in the way")
    with pytest.raises(CannotCreateError, match="logs"), hold(tmp_path / "logs/sub-01/lock"):
        pass


def test_a_link_in_the_place_of_a_lock_leaves_what_it_leads_to_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "lock").symlink_to(tmp_path / "mine.txt")
    with pytest.raises(InputOutputError, match="lock"), hold(tmp_path / "lock"):
        pass
    assert (tmp_path / "mine.txt").read_text() == "mine"
