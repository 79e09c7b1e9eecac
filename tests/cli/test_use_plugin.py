"""`--use-plugin`: Nipype's own plugins run the units, and those that cannot are refused."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from ctwml_bids.bids.status import read_status
from ctwml_bids.errors import InvalidInputError, UsageError
from ctwml_bids.run.plugin_file import read_plugin
from ctwml_bids.run.preflight import Ready
from tests.execution import steps
from tests.run.toy_run import run

LINEAR = ("p.json", '{"plugin": "Linear"}')
MULTIPROC = ("p.yml", "plugin: MultiProc\nplugin_args:\n  n_procs: 2\n")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("p.json", '{"plugin": "Linear"}', ("Linear", {})),
        ("p.yml", "plugin: MultiProc\nplugin_args: {n_procs: 3}", ("MultiProc", {"n_procs": 3})),
        ("p.yaml", "plugin: Linear\nplugin_args:\n", ("Linear", {})),
        (
            "p.toml",
            'plugin = "MultiProc"\n[plugin_args]\nn_procs = 3',
            ("MultiProc", {"n_procs": 3}),
        ),
        ("plugin", '{"plugin": "Linear"}', ("Linear", {})),
    ],
)
def test_a_plugin_file_may_be_yaml_json_or_toml(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text)
    assert read_plugin(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.json", "{", "not a plugin file"),
        ("p.json", "[]", "not a plugin file"),
        ("p.yml", "plugin: [", "not a plugin file"),
        ("p.yml", "", "not a plugin file"),
        ("p.yml", "plugin: Linear\nplugin_args: 3", "not a plugin file"),
        ("p.toml", "plugin = ", "not a plugin file"),
        ("p.yml", "a: &a [x]\nplugin: *a", "has an alias"),
        ("p.yml", "plugin: [Linear]", "plugin is a name"),
        ("p.yml", "plugin: 3", "plugin is a name"),
        ("p.yml", "[" * 5000, "not a plugin file"),
        ("p.json", "[" * 100_000, "not a plugin file"),
        ("p.toml", "plugin = " + "[" * 5000, "not a plugin file"),
        ("p.yml", "plugin: !!python/name:os.system", "not a plugin file"),
        ("p.yml", "#" * (2**20 + 1), "more than 1 MB"),
        ("p.yml", "plugin: Slurm", "no plugin 'Slurm'"),
    ],
)
def test_a_file_that_is_none_is_refused_by_name(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidInputError, match=said) as caught:
        read_plugin(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(
    ("plugin", "instead"),
    [
        ("SLURMGraph", "the plugin SLURM"),
        ("SGEGraph", "the plugin SGE"),
        ("PBSGraph", "the plugin PBS"),
        ("CondorDAGMan", "another plugin"),
        ("SomaFlow", "another plugin"),
        ("Debug", "Use Linear"),
    ],
)
def test_a_plugin_that_cannot_say_how_steps_end_is_refused(tmp_path, plugin, instead):
    (tmp_path / "p.yml").write_text(f"plugin: {plugin}")
    with pytest.raises(UsageError, match=instead) as caught:
        read_plugin(tmp_path / "p.yml")
    assert caught.value.exit_code == 64


@pytest.mark.parametrize(("plugin", "lacks"), [("SLURM", "sbatch"), ("PBS", "qsub")])
def test_a_scheduler_that_is_not_there_is_said_before_the_run(tmp_path, monkeypatch, plugin, lacks):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "p.yml").write_text(f"plugin: {plugin}")
    with pytest.raises(UsageError, match=f"needs the command {lacks}"):
        read_plugin(tmp_path / "p.yml")


@pytest.fixture
def with_plugin(ready, tmp_path, monkeypatch):
    """The run with a plugin file, from a current folder that has to stay empty."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def prepared(name: str, text: str) -> Ready:
        (tmp_path / name).write_text(text)
        asked = dataclasses.replace(ready.settings, use_plugin=tmp_path / name)
        return Ready(asked, cards=ready.cards)

    yield prepared
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("file", [LINEAR, MULTIPROC], ids=["Linear", "MultiProc"])
def test_nipypes_own_plugins_run_units_and_tell_how_each_ended(units, with_plugin, file):
    asked = with_plugin(*file)
    second = {"sub-01": steps.Refuses, "sub-02": steps.Succeed}
    results, screen = run(units, asked, lambda label: second[label]())
    assert results["sub-02"].state == "done"
    failed = results["sub-01"]
    assert (failed.state, failed.error, failed.exit_code) == ("failed", "BadDataError", 65)
    assert failed.reason == "sub-01_ct.nii.gz has NaN in 3 voxels. Convert it again."
    assert "sub-02  last  done" in screen
    out = asked.settings.output_dir
    assert read_status(out / "logs/sub-01/status.json").exit_code == 65
    assert list((out / "logs").glob("crash-*-last-*.txt"))
    results, screen = run(units, asked, lambda label: steps.Succeed())
    assert [result.state for result in results.values()] == ["done", "done"]
    assert "sub-02: was done before" in screen


def test_linear_does_not_call_a_step_done_that_it_left_out(units, with_plugin, tmp_path):
    asked = with_plugin(*LINEAR)
    # The first step appends to this, which fails; the second one needs the first.
    (tmp_path / "marks").mkdir()
    results, screen = run(units[:1], asked, lambda label: steps.Succeed(), tmp_path / "marks")
    assert results["sub-01"].state == "failed"
    assert "IsADirectoryError" in results["sub-01"].reason
    assert "last" not in screen


SBATCH = """#!/bin/sh
for script; do :; done
sh "$script" >> "$0.log" 2>&1
echo Submitted batch job $$
"""
SQUEUE = """#!/bin/sh
echo slurm_load_jobs error: Invalid job id specified >&2
exit 1
"""


def test_steps_run_as_slurm_jobs(units, with_plugin, tmp_path, monkeypatch):
    """The plugin is real; `sbatch` and `squeue` are scripts that run the job at once."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, text in (("sbatch", SBATCH), ("squeue", SQUEUE)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    monkeypatch.delenv("LOGNAME", raising=False)
    asked = with_plugin("p.json", '{"plugin": "SLURM"}')
    results, screen = run(units[:1], asked, lambda label: steps.Refuses())
    assert "sub-01  first  done" in screen
    assert (results["sub-01"].error, results["sub-01"].exit_code) == ("BadDataError", 65)
