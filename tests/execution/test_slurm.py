"""Job arrays: the scripts run in a real bash, with stand-ins for sbatch and apptainer."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ctwml_bids.execution.slurm import SUBMIT, TASKS, Need, Program, Site, Stage
from ctwml_bids.execution.slurm_script import script
from ctwml_bids.execution.slurm_submission import chunks, submission

NEED = Need(cpus=2, memory_gb=3, minutes=40)
ARRAY = Stage("participant", ("participant",), NEED, array=True)
GROUP = Stage("group", ("group",), Need(1, 2, 30))


@pytest.fixture
def tools(tmp_path, monkeypatch) -> Path:
    """A folder at the front of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def jobs(tmp_path) -> Path:
    """A jobs folder whose name has a space, with three tasks."""
    folder = tmp_path / "my jobs"
    folder.mkdir()
    tasks = ["sub-01\t--participant-label\t01", "sub-02_ses-a\t--participant-label\t02"]
    tasks[1] += "\t--session-label\ta"
    (folder / TASKS).write_text("\n".join([*tasks, "sub-03\t--participant-label\t03", ""]))
    return folder


def stand_in(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


def run_script(stage, program, jobs, *arguments, site=None, **environment):
    """Run a stage's script as SLURM would; return the process and the words of the program."""
    path = jobs / f"{stage.name}.sh"
    path.write_text(script(stage, program, site or Site(), jobs=jobs, job_name="ctwml-x"))
    process = subprocess.run(
        ["bash", path, *arguments],
        env={**os.environ, "SLURM_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    words = jobs / "words"
    return process, words.read_text().splitlines() if words.exists() else []


def tells_words(tools, jobs, more="") -> None:
    stand_in(tools / "apptainer", f"printf '%s\\n' \"$@\" > '{jobs}/words'\n{more}")


def test_a_task_runs_its_line_in_a_closed_container(tools, jobs, tmp_path):
    tells_words(tools, jobs, 'ls -d "$SLURM_TMPDIR"/ctwml-7')
    data, out = tmp_path / "my data", tmp_path / "out"
    program = Program(
        folders=(str(data), str(out)),
        options=("--model", "a b", "--desc", "x"),
        image="/images/ctwml.sif",
        read=(data,),
        write=(out,),
        environment={"CTWML_CONTAINER_URI": "ctwml.sif@sha256:12"},
        engine_options=("--nv",),
    )
    process, words = run_script(
        ARRAY, program, jobs, "0", SLURM_TMPDIR=str(tmp_path), SLURM_CPUS_PER_TASK="2"
    )
    assert process.returncode == 0, process.stderr
    scratch = str(tmp_path / "ctwml-7")
    image = words.index("/images/ctwml.sif")
    assert words[:4] == ["run", "--containall", "--no-home", "--cleanenv"]
    assert set(words[4:image]) == {
        "--pwd=/",
        "--env=CTWML_CONTAINER_URI=ctwml.sif@sha256:12",
        f"--env=TMPDIR={scratch}",
        "--env=SLURM_CPUS_PER_TASK=2",
        f"--bind={data}:{data}:ro",
        f"--bind={out}:{out}",
        f"--bind={scratch}:{scratch}",
        "--nv",
    }
    task = ["--participant-label", "02", "--session-label", "a", "-w", scratch]
    assert words[image + 1 :] == [str(data), str(out), "participant", *task, *program.options]
    # It was there while the task ran.
    assert scratch in process.stdout
    assert not Path(scratch).exists()


def test_the_chunks_of_an_array_are_told_apart_by_their_argument(tools, jobs):
    tells_words(tools, jobs)
    program = Program(("/d", "/o"), image="x.sif")
    _, words = run_script(ARRAY, program, jobs, "2", SLURM_ARRAY_TASK_ID="0")
    assert words[words.index("--participant-label") + 1] == "03"
    assert chunks(5, Site(max_array=2)) == [(0, 2), (2, 2), (4, 1)]
    assert chunks(2, Site(max_array=1000)) == [(0, 2)]


def test_a_task_ends_with_the_programs_exit_code_and_leaves_no_scratch(tools, jobs, tmp_path):
    tells_words(tools, jobs, "exit 75")
    process, _ = run_script(
        ARRAY, Program(("/d", "/o"), image="x.sif"), jobs, "0", TMPDIR=str(tmp_path)
    )
    assert process.returncode == 75
    assert not (tmp_path / "ctwml-7").exists()


def test_without_an_image_the_installed_program_runs(tools, jobs, tmp_path):
    stand_in(tools / "mine", f"printf '%s\\n' \"$@\" > '{jobs}/words'")
    program = Program(("/d", "/o"), command=(str(tools / "mine"),))
    work = tmp_path / "shared scratch"
    stage = Stage("heads", ("train", "--only", "heads"), NEED, work=work)
    process, words = run_script(stage, program, jobs)
    assert process.returncode == 0, process.stderr
    assert words == ["/d", "/o", "train", "--only", "heads", "-w", str(work)]
    # What tasks have in common stays, and nobody else reads it.
    assert work.stat().st_mode & 0o777 == 0o700


def test_no_engine_on_the_machine_is_said(jobs, tmp_path):
    process, _ = run_script(
        ARRAY,
        Program(("/d", "/o"), image="x.sif"),
        jobs,
        "0",
        site=Site(setup="apptainer() { :; }; unset -f apptainer; command() { return 1; }"),
        TMPDIR=str(tmp_path),
    )
    assert process.returncode == 127
    assert "there is no apptainer on" in process.stderr


def test_the_header_asks_for_what_is_needed_and_may_be_requeued(jobs):
    text = script(ARRAY, Program(("/d", "/o")), Site(), jobs=jobs, job_name="ctwml-x")
    asked = {line for line in text.splitlines() if line.startswith("#SBATCH")}
    assert {
        "#SBATCH --job-name=ctwml-x",
        "#SBATCH --cpus-per-task=2",
        "#SBATCH --mem=3G",
        "#SBATCH --time=40",
        "#SBATCH --requeue",
        "#SBATCH --open-mode=append",
        f'#SBATCH --output="{jobs}/participant-%A_%a.log"',
    } <= asked


def submit(tools, jobs, stages, tasks, site, refused=99):
    """Run the submission; return its process and what each sbatch was given.

    The `refused`-th sbatch, counted from 1, is refused.
    """
    stand_in(
        tools / "sbatch",
        f"printf '%s|' \"$@\" >> '{jobs}/calls'; echo >> '{jobs}/calls'\n"
        f"calls=$(wc -l < '{jobs}/calls')\n"
        f"[ $calls != {refused} ] || exit 1\n"
        "echo $((10 + calls))';main'",
    )
    if not (tools / "squeue").exists():
        stand_in(tools / "squeue", "true")
    path = jobs / SUBMIT
    path.write_text(submission(stages, tasks, site, jobs=jobs, job_name="ctwml-x"))
    process = subprocess.run(["bash", path], capture_output=True, text=True, check=False)
    calls = (jobs / "calls").read_text().splitlines()
    return process, [call.rstrip("|").split("|") for call in calls]


def test_each_stage_waits_for_all_arrays_of_the_one_before(tools, jobs):
    site = Site(sbatch=("--account=abc", "--comment=a b"), max_array=2, at_once=5)
    process, calls = submit(tools, jobs, [ARRAY, GROUP], 3, site)
    assert process.returncode == 0, process.stderr
    given = ["--parsable", "--account=abc", "--comment=a b", "--job-name=ctwml-x"]
    kill = "--kill-on-invalid-dep=yes"
    one_by_one = ["--dependency=afterany:11", kill]
    assert calls == [
        [*given, "--array=0-1%5", f"{jobs}/participant.sh", "0"],
        [*given, *one_by_one, "--array=0-0%5", f"{jobs}/participant.sh", "2"],
        [*given, "--dependency=afterany:11:12", kill, f"{jobs}/group.sh"],
    ]
    submitted = (jobs / "submitted.tsv").read_text()
    assert submitted == "participant\t11\nparticipant\t12\ngroup\t13\n"


def test_a_refused_submission_stops_there(tools, jobs):
    process, calls = submit(tools, jobs, [ARRAY, GROUP], 3, Site(), refused=1)
    assert process.returncode == 75
    assert "the site took nothing" in process.stderr
    assert len(calls) == 1


def test_what_a_site_does_not_take_is_counted_and_the_group_waits_for_the_rest(tools, jobs):
    process, calls = submit(tools, jobs, [ARRAY, GROUP], 5, Site(max_array=2), refused=2)
    assert process.returncode == 75
    assert "3 of 5 tasks were refused" in process.stderr
    assert len(calls) == 3
    assert "--dependency=afterany:11" in calls[-1]
    assert calls[-1][-1] == f"{jobs}/group.sh"


def test_jobs_are_submitted_once(tools, jobs):
    assert submit(tools, jobs, [ARRAY, GROUP], 3, Site())[0].returncode == 0
    process, calls = submit(tools, jobs, [ARRAY, GROUP], 3, Site())
    assert process.returncode == 75
    assert "was submitted before" in process.stderr
    assert len(calls) == 2


def test_jobs_are_not_submitted_beside_those_in_the_queue(tools, jobs):
    stand_in(tools / "squeue", "[ \"$*\" = '--noheader --name ctwml-x --format %A' ] && seq 41 42")
    (jobs / "calls").touch()
    process, calls = submit(tools, jobs, [ARRAY, GROUP], 3, Site())
    assert process.returncode == 75
    assert "jobs are in the queue: 41 42" in process.stderr
    assert calls == []


def test_a_queue_that_does_not_answer_is_no_empty_one(tools, jobs):
    stand_in(tools / "squeue", "echo 'squeue: timed out' >&2; exit 1")
    (jobs / "calls").touch()
    process, calls = submit(tools, jobs, [ARRAY, GROUP], 3, Site())
    assert process.returncode != 0
    assert calls == []


def test_the_shell_of_a_stage_waits_for_the_program_when_it_is_stopped(tools, jobs, tmp_path):
    stage = Stage("heads", ("train", "--only", "heads"), NEED, work=tmp_path / "work")
    stand_in(tools / "mine", "kill -TERM $PPID; sleep 0.3; exit 75")
    program = Program(("/d", "/o"), command=(str(tools / "mine"),))
    assert run_script(stage, program, jobs)[0].returncode == 75


def test_networks_wait_for_heads_that_succeeded(tools, jobs):
    heads = Stage("heads", ("train", "--only", "heads"), NEED)
    networks = Stage("networks", ("train",), NEED, array=True, after="afterok")
    _, calls = submit(tools, jobs, [heads, networks, GROUP], 3, Site())
    assert [[word for word in call if "dependency" in word] for call in calls] == [
        [],
        ["--dependency=afterok:11"],
        ["--dependency=afterany:12"],
    ]
