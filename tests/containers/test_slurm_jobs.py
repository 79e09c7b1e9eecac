"""Job arrays on a real SLURM with two nodes: units, networks, and Nipype's own plugin."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.containers.conftest import ONE_THREAD, ROOT, call, finish, need, start_bare
from tests.training import trainable

UNITS = [f"{number:02d}" for number in range(1, 7)]
# One machine has the CPUs of both nodes, so that all waits are long.
PATIENCE_S = 1800.0


@pytest.fixture(scope="session")
def cluster(tools, room):
    """Variables under which SLURM's commands reach two nodes."""
    need("slurmctld", "slurmd", "munged", "sbatch")
    place = room / "slurm"
    call(tools / "slurm-test.sh", "start", place)
    yield {"SLURM_CONF": str(place / "slurm.conf")}
    subprocess.run([tools / "slurm-test.sh", "stop", place], capture_output=True, check=False)


@pytest.fixture
def squeue(cluster):
    def ask(*options: str) -> str:
        command = ("squeue", "--noheader", *options)
        return call(*command, env={**os.environ, **cluster}).strip()

    return ask


def wait_for(what: str, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline, what
        time.sleep(1)


@pytest.fixture
def jobs(sandbox, apptainer, stranger, cluster, room):
    """Write and submit jobs as an ordinary user who has nothing but the image and a shell."""
    path = f"{apptainer.parent}:{os.environ['PATH']}"
    environment = {**cluster, **ONE_THREAD, "PATH": path, "TMPDIR": str(room / "node-scratch")}
    stranger.owns(room / "node-scratch")

    def submit(bids: Path, out: Path, name: str, *options) -> tuple[str, Path]:
        stranger.owns(out)
        folder = out / "logs" / name
        # The program is in the image alone; sbatch is outside of it.
        said = stranger.call(
            *(apptainer, "exec", "--bind", room, sandbox, "ctwml-slurm", bids, out),
            *("--image", sandbox, "--jobs-dir", folder, *options),
            environment=environment,
        )
        said += stranger.call("bash", folder / "submit.sh", environment=environment)
        return said, folder

    return submit


def submitted(folder: Path) -> list[list[str]]:
    """Names and ids of the jobs, in their order."""
    return [line.split("\t") for line in (folder / "submitted.tsv").read_text().splitlines()]


def ids(folder: Path) -> dict[str, str]:
    return dict(submitted(folder))


def logs(folder: Path, stage: str) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.glob(f"{stage}-*.log")))


def states(out: Path) -> dict[str, str]:
    found = (json.loads(path.read_text()) for path in out.glob("logs/sub-*/status.json"))
    return {status["label"]: status["state"] for status in found}


def finished(out: Path) -> dict[str, str]:
    found = (json.loads(path.read_text()) for path in out.glob("logs/sub-*/status.json"))
    return {status["label"]: status["finished"] for status in found if status["state"] == "done"}


def excluded(out: Path) -> dict[str, str]:
    with (out / "group/excluded.tsv").open(newline="") as opened:
        return {row["unit"]: str(row) for row in csv.DictReader(opened, delimiter="\t")}


def test_an_array_loses_a_killed_task_and_a_bad_subject_and_a_second_one_does_only_these(
    jobs, squeue, cluster, heads, quick, room
):
    out, bids = room / "array", room / "array-bids"
    call("cp", "-r", heads, bids)
    call("rm", "-r", bids / "sub-07", bids / "sub-08")
    bad = bids / "sub-02/anat/sub-02_FLAIR.nii.gz"
    whole = bad.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])
    quick_task = ("--cpus", "1", "--", *quick)

    said, folder = jobs(bids, out, "first", "--sbatch", "--comment='of the site'", *quick_task)
    assert "6 to run, 0 done" in said
    array, group = ids(folder)["participant"], ids(folder)["group"]
    assert states(out).keys() == {f"sub-{unit}" for unit in UNITS}
    assert states(out)["sub-06"] == "queued"
    assert set(squeue("--format", "%k").splitlines()) == {"of the site"}
    assert f"afterany:{array}_*" in squeue("--jobs", group, "--format", "%E")
    running = ("--states", "RUNNING", "--format", "%N")
    wait_for("tasks on both nodes", lambda: set(squeue(*running).split()) == {"n1", "n2"})
    wait_for("the first task", lambda: states(out)["sub-01"] == "running")
    call("scancel", f"{array}_0", env={**os.environ, **cluster})
    wait_for("all jobs", lambda: not squeue("--jobs", f"{array},{group}"))
    others = {f"sub-{unit}": "done" for unit in UNITS[2:]}
    # Stopped in order, or killed before it could say so.
    assert states(out).pop("sub-01") in ("failed", "running")
    assert states(out) == {"sub-01": states(out)["sub-01"], "sub-02": "failed", **others}
    # All but that of the task that was stopped, which may not have had the time.
    assert len(list((room / "node-scratch").iterdir())) <= 1
    report = logs(folder, "group")
    assert "group: sub-01 is missing, " in report
    assert "group: sub-02 is missing, failed: " in report
    assert excluded(out).keys() == {"sub-01", "sub-02"}

    bad.write_bytes(whole)
    before = finished(out)
    said, folder = jobs(bids, out, "second", *quick_task)
    assert "2 to run, 4 done" in said
    assert "sub-02: again, it failed before" in said
    wait_for("all jobs", lambda: not squeue("--jobs", ",".join(ids(folder).values())))
    assert set(states(out).values()) == {"done"}
    assert len(states(out)) == len(UNITS)
    assert {unit: finished(out)[unit] for unit in before} == before
    assert "is missing" not in logs(folder, "group")
    assert not excluded(out)
    status = json.loads((out / "logs/sub-01/status.json").read_text())
    assert status["versions"]["container"] == "ctwml"


def test_the_installed_program_submits_arrays_as_small_as_a_site_wants(
    squeue, cluster, heads, quick, room
):
    out, program = room / "bare-array", Path(sys.executable).parent / "ctwml-slurm"
    command = [program, heads, out, "--participants", "07", "08", "--cpus", "1"]
    command += ["--max-array", "1", "--submit", "--", *quick]
    environment = {**os.environ, **cluster, **ONE_THREAD}
    assert "2 to run, 0 done" in call(*command, env=environment)
    [folder] = (out / "logs").glob("slurm-*")
    jobs = submitted(folder)
    assert [name for name, _ in jobs] == ["participant", "participant", "group"]
    *arrays, group = (number for _, number in jobs)
    depends = squeue("--jobs", group, "--format", "%E")
    assert all(f"afterany:{array}_*" in depends for array in arrays)
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 75
    assert "are still in the queue" in again.stderr
    wait_for("all jobs", lambda: not squeue("--jobs", ",".join((*arrays, group))))
    assert states(out) == {"sub-07": "done", "sub-08": "done"}, logs(folder, "*")
    assert "is missing" not in logs(folder, "group")


def test_networks_of_a_training_are_an_array_and_are_merged(jobs, squeue, room):
    bids, out = trainable.make(room / "training")
    call("chmod", "-R", "a+rwX", out)
    small = ("--folds", "2", "--repeats", "1", "--members", "1", "--steps", "4", "--batch", "2")
    _, folder = jobs(bids, out, "train", "--train", "--cpus", "1", "--", *small)
    numbers = ids(folder)
    assert list(numbers) == ["heads", "networks", "merge"]
    wait_for("all jobs", lambda: not squeue("--jobs", ",".join(numbers.values())))
    assert "train: done" in logs(folder, "merge"), logs(folder, "*")
    assert len(list(folder.glob("networks-*.log"))) == 3
    assert (out / "train-ct.html").is_file()
    card = json.loads((out / "train/ct/model/card.json").read_text())
    assert len(card["members"]) == 1


def test_nipypes_slurm_plugin_runs_the_steps_as_jobs(cluster, heads, quick, room):
    plugin = room / "plugin.json"
    plugin.write_text('{"plugin": "SLURM", "plugin_args": {"sbatch_args": "--mem=1900M"}}')
    out, work = room / "plugin-out", room / "plugin-work"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = start_bare(
        *(heads, out, "participant", "--participant-label", "01", "--use-plugin", plugin, *quick),
        *("-w", work, "--nprocs", "2", "--keep-work", "always"),
        environment={**cluster, "PATH": path, "PYTHONPATH": str(ROOT)},
    )
    assert "1 done, 0 failed, 0 skipped" in finish(process)
    assert states(out) == {"sub-01": "done"}
    # Each step had a job of its own.
    completed = (Path(cluster["SLURM_CONF"]).parent / "jobcomp.txt").read_text()
    assert completed.count("JobState=COMPLETED") >= 5
    assert len(list(work.rglob("slurm-*.out")) + list(work.rglob("batch/*.sh"))) >= 5
