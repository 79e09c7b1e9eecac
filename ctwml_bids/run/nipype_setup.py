"""How Nipype runs a batch of units: which plugin, and how much of what it says is heard."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from nipype import config
from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline.engine import Node, Workflow

from ctwml_bids.execution.plugins import IsolatedMultiProcPlugin
from ctwml_bids.execution.worker import NIPYPE_LOGGERS
from ctwml_bids.run.ledger import parts
from ctwml_bids.run.plugin_file import read_plugin
from ctwml_bids.settings import Settings

# Imported once by the fork server: seconds of CPU that each of some twenty steps a unit would pay.
# Importing them starts no thread and touches no GPU, so that forking afterwards is safe; what is
# computed is computed in the forked process alone.
PRELOAD = (
    "nipype.pipeline.engine",
    "nibabel",
    "scipy.ndimage",
    "skimage.measure",
    "torch",
    "ctwml_bids.workflows.participant",
)
# The steps that register; for them ANTs, which is half of those seconds, is imported, too.
REGISTERING = {"register", "deform"}


class Listener(Protocol):
    """Who is told of nodes, by their full names."""

    memory: Mapping[str, float]

    def expect(self, nodes: list[str]) -> None:
        """Take note of all nodes that will run."""

    def event(self, node: str, event: str) -> None:
        """Take note of "start", "end" or "exception"."""

    def failure(self, node: str, text: str) -> None:
        """Take note of a failed node's traceback."""


def run_workflow(
    workflow: Workflow,
    settings: Settings,
    listener: Listener,
    crash_folder: Callable[[str], Path],
) -> None:
    """Run a workflow to its end; nodes that fail are told to the listener, not raised.

    Parameters
    ----------
    workflow
        Units as sub-workflows.
    settings
        Plugin, CPUs, memory, seed, verbosity.
    listener
        Who is told what happens.
    crash_folder
        Gives the folder for a node's crash file by its full name.
    """
    _quiet(settings.verbose)
    workflow.config["execution"] = {
        # Ours waits by itself.
        "poll_sleep_duration": "0.1" if settings.use_plugin is not None else "0",
        "crashfile_format": "txt",
        "hash_method": "content",
        "create_report": "false",
        "stop_on_first_crash": str(settings.stop_on_first_crash).lower(),
    }
    if settings.use_plugin is not None:
        # Jobs inherit these, as SLURM's do by default.
        os.environ.update(worker_environment(settings))
        # Nipype names cluster jobs by it; containers often have none.
        os.environ.setdefault("LOGNAME", "ctwml_bids")
        _run_elsewhere(workflow, settings.use_plugin, settings, listener)
        return
    plugin = IsolatedMultiProcPlugin(
        processors=settings.nprocs,
        memory_gb=settings.mem_gb,
        environment=worker_environment(settings),
        preload=preload(workflow),
        on_nodes=listener.expect,
        on_event=listener.event,
        on_failure=listener.failure,
        crash_folder=crash_folder,
        quiet=settings.verbose < 2,
    )
    listener.memory = plugin.peak_memory_gb
    try:
        with _little_garbage():
            workflow.run(plugin=plugin)
    except RuntimeError:
        # Nipype says again, at the end, what the listener knows of each failed node.
        if not plugin.failures:
            raise


@contextmanager
def _little_garbage() -> Iterator[None]:
    """Keep what is in memory already out of the garbage collector's sight.

    Nipype collects garbage before it hands out each step, which would go through all modules and
    the index of the data set every time: a tenth of a second and more, in a process that waits.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def preload(workflow: Workflow) -> tuple[str, ...]:
    """Name the modules that the fork server imports for the steps of a workflow."""
    steps = {name.rpartition(".")[2] for name in workflow.list_node_names()}
    return (*PRELOAD, "ants") if steps & REGISTERING else PRELOAD


def worker_environment(settings: Settings) -> dict[str, str]:
    """Give the variables that a worker needs before its first computation."""
    threads = str(settings.registration_threads)
    return {
        "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "ANTS_RANDOM_SEED": str(settings.random_seed),
        "MPLBACKEND": "Agg",
        "NO_ET": "1",
    }


def _run_elsewhere(
    workflow: Workflow, plugin_file: Path, settings: Settings, listener: Listener
) -> None:
    """Run with one of Nipype's own plugins, which tell less than ours."""
    name, given = read_plugin(plugin_file)
    # Nipype would put crash files into the current folder.
    workflow.config["execution"]["crashdump_dir"] = str(settings.output_dir / "logs")
    started: set[str] = set()
    failed: list[Node] = []

    def on_event(node: Node, event: str) -> None:
        broken = {parts(other.fullname)[0] for other in failed}
        if event == "end" and node.fullname not in started and parts(node.fullname)[0] in broken:
            # Linear says so of the steps that it leaves out after a failure.
            return
        started.add(node.fullname)
        listener.event(node.fullname, event)
        if event == "exception":
            failed.append(node)

    listener.expect(
        [
            f"{workflow.name}.{step}"
            for step in workflow.list_node_names()
            if not isinstance(workflow.get_node(step).interface, IdentityInterface)
        ]
    )
    arguments = {**_defaults(name, settings), **given, "status_callback": on_event}
    try:
        workflow.run(plugin=name, plugin_args=arguments)
    except Exception as error:
        # Which class a failed node is raised as differs from plugin to plugin.
        if not failed:
            raise
        logging.getLogger("ctwml_bids").debug("%s plugin: %s", name, error)
    finally:
        for node in failed:
            listener.failure(node.fullname, _traceback(node))


def _defaults(name: str, settings: Settings) -> dict[str, object]:
    """Give the arguments of a plugin on this machine what the plugin file may override."""
    if name not in ("MultiProc", "LegacyMultiProc"):
        return {}
    return {
        "n_procs": settings.nprocs,
        "memory_gb": settings.mem_gb,
        "raise_insufficient": False,
        # A fork of a process that has threads may never come to life.
        "mp_context": "forkserver",
    }


def _traceback(node: Node) -> str:
    """Find what a failed node said: with the node, or with its result in the scratch folder."""
    text = "".join(getattr(node, "_traceback", None) or [])
    if not text:
        with suppress(Exception):
            text = node.result.runtime.traceback
    return text or ""


def _quiet(verbose: int) -> None:
    """Keep Nipype's own lines from the screen unless -vv asks for them; no update checks."""
    config.set("execution", "check_version", "false")
    level = logging.INFO if verbose > 1 else logging.CRITICAL
    for name in NIPYPE_LOGGERS:
        logging.getLogger(name).setLevel(level)
