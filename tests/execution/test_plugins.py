from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from nipype.pipeline import engine as pe

from ctwml_bids.execution.plugins import IsolatedMultiProcPlugin
from ctwml_bids.run.failures import failure_of
from tests.execution import steps
from tests.processes import hears_ctrl_c

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path):
    """Run a workflow of named interfaces, chained where asked, and return the plugin."""

    def run_nodes(nodes, chain=(), **options):
        wf = pe.Workflow("wf", base_dir=str(tmp_path / "work"))
        made = {name: pe.Node(step, name=name, mem_gb=0.1) for name, step in nodes.items()}
        wf.add_nodes(list(made.values()))
        for first, second in chain:
            wf.connect(made[first], "out", made[second], "value")
        wf.config["execution"] = {"poll_sleep_duration": "0.05"}
        plugin = IsolatedMultiProcPlugin(
            processors=2, memory_gb=4, crash_folder=lambda name: tmp_path / "crash", **options
        )
        try:
            wf.run(plugin=plugin)
        except RuntimeError:
            assert plugin.failures
        else:
            assert not plugin.failures
        return plugin

    return run_nodes


def test_a_killed_worker_fails_its_node_and_the_run_goes_on(run, tmp_path):
    after = tmp_path / "after"
    beside = tmp_path / "beside"
    plugin = run(
        {
            "killed": steps.KilledOutright(),
            "needs_it": steps.Succeed(mark=str(tmp_path / "never")),
            "beside": steps.Slow(mark=str(beside)),
            "after": steps.Succeed(mark=str(after)),
        },
        chain=[("killed", "needs_it"), ("beside", "after")],
    )
    assert list(plugin.failures) == ["wf.killed"]
    failure = failure_of(plugin.failures["wf.killed"])
    assert failure.error == "TemporaryError"
    assert failure.exit_code == 75
    assert "SIGKILL" in failure.message
    assert "memory" in failure.message
    assert len(beside.read_text().split()) == 1, "the node beside it ran once, undisturbed"
    assert after.exists()
    assert not (tmp_path / "never").exists()
    crash = list((tmp_path / "crash").glob("crash-*killed*.txt"))
    assert len(crash) == 1
    assert "SIGKILL" in crash[0].read_text()


def test_a_worker_that_leaves_without_a_word_is_a_failure(run):
    plugin = run({"gone": steps.LeavesSilently(), "fine": steps.Succeed()})
    assert list(plugin.failures) == ["wf.gone"]
    assert "exit code 3" in failure_of(plugin.failures["wf.gone"]).message


def test_a_typed_error_arrives_with_its_message_and_code(run):
    plugin = run({"refuses": steps.Refuses()})
    failure = failure_of(plugin.failures["wf.refuses"])
    assert failure.error == "BadDataError"
    assert failure.message == "sub-01_ct.nii.gz has NaN in 3 voxels. Convert it again."
    assert failure.exit_code == 65


def test_other_errors_are_named(run):
    plugin = run({"bug": steps.RunsIntoABug(), "full": steps.FillsTheDisk()})
    bug = failure_of(plugin.failures["wf.bug"])
    assert (bug.error, bug.message, bug.exit_code) == ("KeyError", "KeyError: 'missing'", 1)
    full = failure_of(plugin.failures["wf.full"])
    assert full.exit_code == 74
    assert "disk is full" in full.message


def test_events_tell_the_whole_story(run):
    events, failed, names = [], [], []
    run(
        {"first": steps.Succeed(), "second": steps.Refuses(), "third": steps.Succeed()},
        chain=[("first", "second"), ("second", "third")],
        on_nodes=names.extend,
        on_event=lambda name, event: events.append((name, event)),
        on_failure=lambda name, text: failed.append(name),
    )
    assert sorted(names) == ["wf.first", "wf.second", "wf.third"]
    assert events == [
        ("wf.first", "start"),
        ("wf.first", "end"),
        ("wf.second", "start"),
        ("wf.second", "exception"),
    ]
    assert failed == ["wf.second"]


def test_units_are_finished_before_others_begin(run):
    events = []
    names = "abcd"
    run(
        {f"{name}{step}": steps.Succeed() for step in (1, 2) for name in names},
        chain=[(f"{name}1", f"{name}2") for name in names],
        on_event=lambda node, event: events.append((node.removeprefix("wf."), event)),
    )
    begun = [node[0] for node, event in events if event == "start" and node.endswith("1")]
    assert begun == sorted(names)
    most, running = 0, 0
    for node, event in events:
        running += (node[1], event) == ("1", "start")
        running -= (node[1], event) == ("2", "end")
        most = max(most, running)
    assert running == 0
    assert most == 2, "as many as CPUs"


def test_a_failed_unit_makes_room_for_the_next(run):
    plugin = run(
        {
            "a1": steps.Refuses(),
            "a2": steps.Succeed(),
            "b1": steps.Refuses(),
            "c1": steps.Succeed(),
        },
        chain=[("a1", "a2")],
    )
    assert sorted(plugin.failures) == ["wf.a1", "wf.b1"]
    assert "wf.c1" in plugin.seconds


def test_workers_get_the_environment(run, tmp_path):
    plugin = run(
        {"asks": steps.TellsItsEnvironment(), "next": steps.Succeed()},
        chain=[("asks", "next")],
        environment={"CTWML_TEST_NUMBER": "41"},
    )
    assert not plugin.failures
    os.environ.pop("CTWML_TEST_NUMBER")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _start_endless(tmp_path) -> tuple[subprocess.Popen, int]:
    """Start a run whose only node never ends; returns it with the worker's process id."""
    script = tmp_path / "endless.py"
    mark = tmp_path / "pid"
    script.write_text(
        textwrap.dedent(f"""
        from nipype.pipeline import engine as pe
        from ctwml_bids.execution.plugins import IsolatedMultiProcPlugin
        from tests.execution import steps

        if __name__ == "__main__":
            wf = pe.Workflow("wf", base_dir={str(tmp_path)!r})
            wf.add_nodes([pe.Node(steps.Endless(mark={str(mark)!r}), name="endless")])
            wf.run(plugin=IsolatedMultiProcPlugin(processors=1, memory_gb=1))
        """)
    )
    process = subprocess.Popen(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
        preexec_fn=hears_ctrl_c,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    for _ in range(2400):
        if mark.exists() and mark.read_text().endswith("\n"):
            return process, int(mark.read_text())
        time.sleep(0.05)
    process.kill()
    raise AssertionError("the node did not start within two minutes")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("how", ["ctrl-c", "killed outright"])
def test_no_worker_outlives_the_run(tmp_path, how):
    process, worker = _start_endless(tmp_path)
    assert _alive(worker)
    if how == "ctrl-c":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.kill()
    assert process.wait(timeout=60) != 0
    for _ in range(1200):
        if not _alive(worker):
            break
        time.sleep(0.05)
    assert not _alive(worker)
