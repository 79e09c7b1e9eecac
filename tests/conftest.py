"""Fixtures shared by all tests."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ctwml_bids.run.progress import stop_logging

SHARED = Path(os.environ.get("CTWML_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(autouse=True)
def _no_handlers_left():
    yield
    stop_logging()


# What takes minutes begins first: begun last, it would keep one process waiting for the other.
LONGEST = (
    "real_run",
    "test_other_template.py",
    "alone_run",
    "training/test_parts.py",
    "simulation",
)
RUNS = ("real_run", "alone_run")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Keep a file's tests in one process, and so all that look at one run of the program."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=_turn)


def _group(item) -> str:
    for run in RUNS:
        if run in item.fixturenames:
            return run
    # They look at the same few heads.
    if item.path.parent.name == "simulation" or "wide_pair" in item.fixturenames:
        return "simulation"
    return str(item.path)


def _turn(item) -> int:
    group = item.get_closest_marker("xdist_group").args[0]
    places = [place for place, name in enumerate(LONGEST) if group.endswith(name)]
    return min(places, default=len(LONGEST))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real images; they lie beside the project and are not part of it."""
    data = SHARED / "data"
    if not data.is_dir():
        pytest.skip(f"real images are not at {data} (set CTWML_SHARED)")
    return data


@pytest.fixture(scope="session")
def bids_real(shared_data: Path) -> Path:
    """The real BIDS data set."""
    return shared_data / "bids-real"


@pytest.fixture(scope="session")
def one_at_a_time(tmp_path_factory):
    """A context for what the processes of one test run share; gives their common folder."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    @contextmanager
    def lock(name: str) -> Iterator[Path]:
        with (base / f"{name}.lock").open("w") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX)
            yield base

    return lock


@pytest.fixture(scope="session")
def simulated(one_at_a_time) -> Path:
    """Two small simulated pairs with their truth, made once for all processes; only to be read."""
    from ctwml_bids.simulation.cohort import write_cohort

    with one_at_a_time("simulated") as base:
        folder = base / "simulated" / "bids"
        if not folder.exists():
            write_cohort(folder, 2, 11, size="small", nprocs=2)
    return folder


@pytest.fixture(scope="session")
def wide_pair():
    """A small simulated pair with lateral ventricles of 190 mL and 20 mL of lesions."""
    from ctwml_bids.simulation.pair import simulate_pair

    return simulate_pair(
        21,
        fazekas=3,
        age=72,
        sex="F",
        lesion_ml=20.0,
        ventricles_ml=190.0,
        size="small",
        sagittal=False,
    )
