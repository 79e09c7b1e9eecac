"""Nipype's MultiProc with one fresh process a node, so that a killed worker fails its node alone.

Nipype 1.11 keeps a pool of workers and never returns once one of them is killed (out of memory,
most often). Here each node gets its own process from a fork server: a dead process is noticed at
once, becomes a failed node with a crash file, disturbs no other node, and memory goes back to the
machine after every node. The fork server holds the heavy imports, which makes a process cheap.
"""

from __future__ import annotations

import logging
import multiprocessing as mp
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from traceback import format_exception
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
from nipype.pipeline.plugins.multiproc import MultiProcPlugin

from ctwml_bids.execution.worker import NodeResult, dead_worker, work

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

    from nipype.pipeline.engine import Node

LOG = logging.getLogger("ctwml_bids")
# Time (s) a process may take to leave after its result arrived, or after being asked to stop.
GRACE = 2.0
# Longest time (s) between two looks at what may run.
LOOK = 0.1


@dataclass(frozen=True)
class _Task:
    """One running node: its process and the pipe that its result comes through."""

    name: str
    process: ForkServerProcess
    results: connection.Connection
    started: float


class IsolatedMultiProcPlugin(MultiProcPlugin):
    """MultiProc whose workers are one process a node, started by a fork server.

    Parameters
    ----------
    processors
        CPUs in all.
    memory_gb
        Memory (GiB) in all.
    environment
        Variables set in every worker before its first computation, such as
        ``ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS``.
    preload
        Modules that the fork server imports once. They must not start threads when imported.
    on_nodes
        Called once with the full names of all nodes that will run.
    on_event
        Called with a node's full name and "start", "end" or "exception".
    on_failure
        Called with a failed node's full name and its traceback as text.
    crash_folder
        Gives the folder for the crash file of a node, by its full name.
    quiet
        Whether Nipype's own messages are kept from the terminal.

    Attributes
    ----------
    failures : dict
        Full name of each failed node to its traceback as text.
    seconds : dict
        Full name of each node that ran in a worker to the time it took.
    peak_memory_gb : dict
        Full name of each node that ran in a worker to the most memory (GiB) it held; preloaded
        libraries, which all workers share, count in each.
    """

    def __init__(
        self,
        *,
        processors: int,
        memory_gb: float,
        environment: Mapping[str, str] | None = None,
        preload: Sequence[str] = ("nipype.pipeline.engine",),
        on_nodes: Callable[[list[str]], None] | None = None,
        on_event: Callable[[str, str], None] | None = None,
        on_failure: Callable[[str, str], None] | None = None,
        crash_folder: Callable[[str], Path] | None = None,
        quiet: bool = True,
    ) -> None:
        super().__init__(
            plugin_args={
                "n_procs": processors,
                "memory_gb": memory_gb,
                # A node larger than the machine runs alone instead of stopping the run.
                "raise_insufficient": False,
                "n_gpu_procs": 1,
                "mp_context": "forkserver",
                "status_callback": self._forward,
            }
        )
        self.pool.shutdown(wait=False)
        self.failures: dict[str, str] = {}
        self.seconds: dict[str, float] = {}
        self.peak_memory_gb: dict[str, float] = {}
        self._environment = dict(environment or {})
        self._on_nodes, self._on_event = on_nodes, on_event
        self._on_failure, self._crash_folder = on_failure, crash_folder
        self._quiet = quiet
        self._tasks: dict[int, _Task] = {}
        self._leaving: list[_Task] = []
        self._context = mp.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))

    def run(
        self, graph: nx.DiGraph, config: Mapping[str, object], updatehash: bool = False
    ) -> None:
        """Run all nodes; whatever happens, no worker is left behind.

        Raises
        ------
        RuntimeError
            After the last node, if any failed; `failures` has them all.
        """
        os.environ.update(self._environment)
        if self._on_nodes:
            self._on_nodes([node.fullname for node in graph.nodes()])
        try:
            super().run(graph, config, updatehash=updatehash)
        finally:
            self._stop_workers()

    def _generate_dependency_list(self, graph: nx.DiGraph) -> None:
        super()._generate_dependency_list(graph)
        # Nodes that are connected belong to one unit; units count in the order of their nodes.
        units = enumerate(nx.connected_components(graph.to_undirected(as_view=True)))
        unit_of = {node: number for number, nodes in units for node in nodes}
        self._unit = np.array([unit_of[node] for node in self.procs])

    def _sort_jobs(self, jobids: Iterable[int], scheduler: str = "tsort") -> list[int]:
        """Let at most one unit a CPU be begun and not ended, the first ones first.

        Nipype takes all first steps before all second ones: every unit of the graph would have its
        scratch on the disk before one of them is finished.
        """
        begun = np.bincount(self._unit, weights=self.proc_done) > 0
        unended = np.bincount(self._unit, weights=~self.proc_done | self.proc_pending) > 0
        fresh = sorted({self._unit[job] for job in jobids if not begun[self._unit[job]]})
        room = max(0, self.processors - int(np.count_nonzero(begun & unended)))
        taken = set(fresh[:room])
        chosen = [job for job in jobids if begun[self._unit[job]] or self._unit[job] in taken]
        return sorted(chosen, key=lambda job: (self._unit[job], job))

    def _send_procs_to_workers(
        self, updatehash: bool = False, graph: nx.DiGraph | None = None
    ) -> None:
        super()._send_procs_to_workers(updatehash=updatehash, graph=graph)
        # Nipype would sleep between two looks; here the next comes when a node has a result.
        connection.wait([task.results for task in self._tasks.values()], timeout=LOOK)

    def _forward(self, node: Node, event: str) -> None:
        if self._on_event:
            self._on_event(node.fullname, event)

    def _submit_job(self, node: Node, updatehash: bool = False) -> int:
        self._taskid += 1
        results, sending = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=work,
            args=(node, updatehash, self._taskid, sending, self._environment, self._quiet),
            name=node.fullname,
        )
        try:
            process.start()
        except Exception:
            # A node that cannot be pickled, or a machine without processes to give.
            failed = {"result": None, "traceback": format_exception(*sys.exc_info())}
            self._taskresult[self._taskid] = {**failed, "taskid": self._taskid}
            results.close()
        else:
            self._tasks[self._taskid] = _Task(node.fullname, process, results, time.monotonic())
        finally:
            sending.close()
        return self._taskid

    def _get_result(self, taskid: int) -> NodeResult | None:
        task = self._tasks.get(taskid)
        if task is None:
            return self._taskresult.get(taskid)
        alive = task.process.is_alive()
        # Asked after is_alive: what a process sent before it ended is in the pipe by now.
        if task.results.poll():
            result = self._receive(task, taskid)
        elif alive:
            return None
        else:
            result = dead_worker(task.name, task.process.exitcode, taskid)
        self.seconds[task.name] = time.monotonic() - task.started
        if "peak_memory_gb" in result:
            self.peak_memory_gb[task.name] = result["peak_memory_gb"]
        self._leaving.append(task)
        del self._tasks[taskid]
        self._taskresult[taskid] = result
        self._reap()
        return result

    def _receive(self, task: _Task, taskid: int) -> NodeResult:
        try:
            return task.results.recv()
        except EOFError:
            task.process.join(GRACE)
            return dead_worker(task.name, task.process.exitcode, taskid)
        except Exception:
            return {
                "result": None,
                "traceback": format_exception(*sys.exc_info()),
                "taskid": taskid,
            }

    def _clear_task(self, taskid: int) -> None:
        self._taskresult.pop(taskid, None)

    def _report_crash(self, node: Node, result: NodeResult | None = None) -> str | None:
        text = "".join(result["traceback"] or ()) if result else ""
        self.failures[node.fullname] = text
        crash_file = None
        try:
            if self._crash_folder:
                node.config["execution"]["crashdump_dir"] = str(self._crash_folder(node.fullname))
            node.config["execution"]["crashfile_format"] = "txt"
            crash_file = super()._report_crash(node, result=result)
        except Exception as error:
            # A full disk, say: the failure itself is more important than its file.
            LOG.warning("no crash file for %s could be written: %s", node.fullname, error)
        if self._on_failure:
            self._on_failure(node.fullname, text)
        return crash_file

    def _postrun_check(self) -> None:
        self._reap()

    def _reap(self) -> None:
        """Let finished processes go, and kill those that do not leave by themselves."""
        staying = []
        for task in self._leaving:
            if not task.process.is_alive():
                task.process.join()
                task.results.close()
            else:
                overdue = time.monotonic() - task.started - self.seconds[task.name] > GRACE
                if overdue:
                    task.process.kill()
                staying.append(task)
        self._leaving = staying

    def _stop_workers(self) -> None:
        tasks = [*self._tasks.values(), *self._leaving]
        for task in self._tasks.values():
            task.process.terminate()
        deadline = time.monotonic() + GRACE
        for task in tasks:
            task.process.join(max(0.0, deadline - time.monotonic()))
            if task.process.is_alive():
                task.process.kill()
                task.process.join(GRACE)
            task.results.close()
        self._tasks, self._leaving = {}, []
