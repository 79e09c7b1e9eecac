from __future__ import annotations

import os

import pytest

from ctwml_bids.errors import UsageError
from ctwml_bids.run import machine

HERE = len(os.sched_getaffinity(0))


def test_without_limits_all_cpus_of_the_process_count(tmp_path):
    assert machine.usable_cpus({}, tmp_path) == HERE


@pytest.mark.parametrize(
    ("file", "content", "cpus"),
    [
        ("cpu.max", "100000 100000", 1),
        ("cpu.max", "50000 100000", 1),
        ("cpu.max", "max 100000", HERE),
        ("cpu.max", "nonsense", HERE),
    ],
)
def test_container_quota_of_version_2_counts(tmp_path, file, content, cpus):
    (tmp_path / file).write_text(content)
    assert machine.usable_cpus({}, tmp_path) == cpus


@pytest.mark.parametrize(("quota", "cpus"), [("100000", 1), ("-1", HERE)])
def test_container_quota_of_version_1_counts(tmp_path, quota, cpus):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000")
    assert machine.usable_cpus({}, tmp_path) == cpus


def test_slurm_allocation_counts(tmp_path):
    assert machine.usable_cpus({"SLURM_CPUS_PER_TASK": "1"}, tmp_path) == 1
    assert machine.usable_cpus({"SLURM_CPUS_ON_NODE": "1"}, tmp_path) == 1
    both = {"SLURM_CPUS_PER_TASK": "1", "SLURM_CPUS_ON_NODE": "64"}
    assert machine.usable_cpus(both, tmp_path) == 1
    assert machine.usable_cpus({"SLURM_CPUS_PER_TASK": "999"}, tmp_path) == HERE


def test_memory_is_limited_by_container_and_slurm(tmp_path):
    whole = machine.usable_memory_gb({}, tmp_path)
    assert whole > 0.5
    (tmp_path / "memory.max").write_text(str(machine.GIB // 2))
    assert machine.usable_memory_gb({}, tmp_path) == pytest.approx(0.45)
    assert machine.usable_memory_gb({"SLURM_MEM_PER_NODE": "256"}, tmp_path) == 0.22 or (
        machine.usable_memory_gb({"SLURM_MEM_PER_NODE": "256"}, tmp_path) == 0.23
    )


def test_slurm_memory_per_cpu_counts_for_all_cpus_of_the_job(tmp_path):
    job = {"SLURM_MEM_PER_CPU": "100", "SLURM_CPUS_PER_TASK": "3"}
    assert machine.usable_memory_gb(job, tmp_path) == pytest.approx(0.9 * 300 / 1024, abs=0.01)
    # What the job has on this node counts, not what one of its tasks has.
    job["SLURM_CPUS_ON_NODE"] = "6"
    assert machine.usable_memory_gb(job, tmp_path) == pytest.approx(0.9 * 600 / 1024, abs=0.01)


def test_no_home_sends_all_caches_under_the_work_folder(tmp_path, monkeypatch):
    for name in ("TEMPLATEFLOW_HOME", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "NO_ET"):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    values = machine.prepare_environment(tmp_path / "work")
    assert values["TEMPLATEFLOW_HOME"] == str(tmp_path / "work/templateflow")
    assert os.environ["MPLCONFIGDIR"] == str(tmp_path / "work/matplotlib")
    assert os.environ["NO_ET"] == "1"
    assert not (tmp_path / "work").exists()


def test_a_writable_home_and_given_folders_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TEMPLATEFLOW_HOME", "/given")
    machine.prepare_environment(tmp_path / "work")
    assert os.environ["HOME"] == str(tmp_path)
    assert os.environ["TEMPLATEFLOW_HOME"] == "/given"


def test_in_a_container_caches_stay_out_of_a_home_that_is_mounted(tmp_path, monkeypatch):
    for name in ("TEMPLATEFLOW_HOME", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CTWML_CONTAINER_TAG", "a:1")
    machine.prepare_environment(tmp_path / "work")
    assert os.environ["HOME"] == str(tmp_path / "work/home")
    assert os.environ["XDG_CONFIG_HOME"] == str(tmp_path / "work/config")


def test_free_space_is_asked_where_a_folder_would_be(tmp_path):
    assert machine.free_gb(tmp_path / "not" / "yet" / "there") > 0


def test_a_gpu_that_is_not_there_is_named_with_the_way_out():
    if machine.choose_device("auto") == "cuda":
        pytest.skip("there is a GPU on this machine")
    with pytest.raises(UsageError, match="--nv"):
        machine.choose_device("cuda")
    assert machine.choose_device("cpu") == "cpu"
