"""What this process may use of the machine it runs on."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from ctwml_bids.errors import UsageError

CGROUP = Path("/sys/fs/cgroup")
# Left to the operating system and to this process itself.
MEMORY_SHARE = 0.9
GIB = 1024**3
# The image sets this variable to its name.
CONTAINER = "CTWML_CONTAINER_TAG"


def usable_cpus(environment: Mapping[str, str] = os.environ, cgroup: Path = CGROUP) -> int:
    """Count the CPUs this process may use: affinity, container quota and SLURM allocation.

    Parameters
    ----------
    environment
        The environment variables.
    cgroup
        Where the control groups (version 1 or 2) are mounted.
    """
    if hasattr(os, "sched_getaffinity"):
        limits = [len(os.sched_getaffinity(0))]
    else:
        limits = [os.cpu_count() or 1]
    quota = _cpu_quota(cgroup)
    if quota is not None:
        limits.append(max(1, math.floor(quota)))
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        if environment.get(name, "").isdigit():
            limits.append(max(1, int(environment[name])))
            break
    return min(limits)


def _cpu_quota(cgroup: Path) -> float | None:
    """Read the CPU quota of a container in CPUs; None where there is none."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    try:
        cpus = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return cpus if cpus > 0 else None


def usable_memory_gb(environment: Mapping[str, str] = os.environ, cgroup: Path = CGROUP) -> float:
    """Estimate the memory (GiB) that steps may use together: 90% of the machine or container.

    Parameters
    ----------
    environment
        The environment variables.
    cgroup
        Where the control groups (version 1 or 2) are mounted.
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            limits.append(int((cgroup / name).read_text()))
            break
        except (OSError, ValueError):
            continue
    if environment.get("SLURM_MEM_PER_NODE", "").isdigit():
        limits.append(int(environment["SLURM_MEM_PER_NODE"]) * 1024**2)
    elif environment.get("SLURM_MEM_PER_CPU", "").isdigit():
        cpus = environment.get("SLURM_CPUS_ON_NODE", environment.get("SLURM_CPUS_PER_TASK", "1"))
        if cpus.isdigit():
            limits.append(int(environment["SLURM_MEM_PER_CPU"]) * int(cpus) * 1024**2)
    return round(MEMORY_SHARE * min(limits) / GIB, 2)


def choose_device(asked: str) -> str:
    """Settle "auto" to "cpu" or "cuda", and make sure that an asked-for GPU is there.

    The question is put to another Python process: PyTorch in this one would make later forks
    unsafe.

    Parameters
    ----------
    asked
        "auto", "cpu" or "cuda".

    Raises
    ------
    UsageError
        If "cuda" was asked for and PyTorch finds no usable GPU.
    """
    if asked == "cpu":
        return "cpu"
    driver = Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None
    if asked == "auto" and not driver:
        return "cpu"
    answer = subprocess.run(
        [sys.executable, "-c", "import torch; print(torch.cuda.is_available())"],
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.stdout.strip() == "True":
        return "cuda"
    if asked == "auto":
        return "cpu"
    raise UsageError(
        "--device cuda: no GPU can be used from here. In a container, start it with --nv "
        "(Apptainer, Singularity) or --gpus all (Docker); else use --device cpu."
    )


def free_gb(folder: Path) -> float:
    """Give the free space (GiB) where a folder is, or would be."""
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    # Some network and virtual file systems do not tell: everything reads 0.
    return usage.free / GIB if usage.total else math.inf


def prepare_environment(work_dir: Path) -> dict[str, str]:
    """Set the variables that keep other libraries quiet, offline and out of a read-only home.

    Parameters
    ----------
    work_dir
        Folder for their caches where the home folder cannot be written, and in a container:
        there the home folder, if any, is a user's own, whose settings and caches are not ours.

    Returns
    -------
    dict
        The variables that were set.
    """
    values = {"NO_ET": "1", "NIPYPE_NO_ET": "1"}
    caches = {
        "TEMPLATEFLOW_HOME": "templateflow",
        "MPLCONFIGDIR": "matplotlib",
        "XDG_CACHE_HOME": "cache",
        "XDG_CONFIG_HOME": "config",
    }
    if CONTAINER in os.environ or not _writable_home():
        values["HOME"] = str(work_dir / "home")
        for name, folder in caches.items():
            if name not in os.environ:
                values[name] = str(work_dir / folder)
    os.environ.update(values)
    return values


def _writable_home() -> bool:
    home = os.environ.get("HOME", "")
    return bool(home) and Path(home).is_dir() and os.access(home, os.W_OK | os.X_OK)
