"""The program on a small disk of its own, which really becomes full."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# A user namespace, so that no rights are needed; the disk is gone when its last process ends.
NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
SCRIPT = """
mount -t tmpfs -o size={size} tmpfs "$DISK" || exit 99
{meanwhile}
"$PYTHON" run.py "$@"
code=$?
mkdir "$COPY" && cp -a "$DISK/." "$COPY"
exit $code
"""
# Shrunk once the unit has begun: to what is used and a little more. It fails while that grows.
SHRINK = """
(
until [ -e "$DISK/logs/{label}/status.json" ]; do sleep 0.05; done
until mount -o "remount,size=$(($(df -k --output=used "$DISK" | tail -n 1) + {spare}))k" "$DISK"
do :; done
) 2>/dev/null &
"""


def run_on_small_disk(
    disk: Path, size: str, *arguments: object, label: str = "", spare_kb: int = 0
) -> tuple[int, str, Path]:
    """Run the program while a folder is a file system in memory, made for it.

    Parameters
    ----------
    disk
        The folder; made where it is missing.
    size
        Of the file system, such as "1m".
    arguments
        Of the program.
    label
        Unit after whose beginning the disk is shrunk; empty to leave it as it is.
    spare_kb
        What is free then.

    Returns
    -------
    The exit code, what was said, and a copy of what was left on the disk.
    """
    disk.mkdir(exist_ok=True)
    copy = disk.with_name(f"{disk.name}-copy")
    meanwhile = SHRINK.format(label=label, spare=spare_kb) if label else ""
    if sys.platform != "linux" or shutil.which("unshare") is None:
        pytest.skip("a small disk is made with Linux's unshare and tmpfs")
    done = subprocess.run(
        [*NAMESPACE, SCRIPT.format(size=size, meanwhile=meanwhile), "sh", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHON": sys.executable, "DISK": str(disk), "COPY": str(copy)},
    )
    if done.returncode == 99 or done.stderr.startswith("unshare:"):
        pytest.skip(f"this process may not mount a small disk: {done.stderr.strip()}")
    return done.returncode, done.stdout + done.stderr, copy
