"""ctwml-slurm: what is missing becomes tasks; what would make jobs fail is said before."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from datetime import datetime

import pytest

from ctwml_bids.bids.status import UnitStatus, read_status, write_status
from ctwml_bids.cli import slurm
from ctwml_bids.cli.parser import parse
from ctwml_bids.cli.slurm_program import program
from ctwml_bids.errors import UsageError
from ctwml_bids.run.locks import hold
from ctwml_bids.run.machine import CONTAINER
from ctwml_bids.run.missing import group_need, unit_need
from tests.cli.conftest import write_image
from tests.execution import steps
from tests.run.toy_run import run as run_units
from tests.training import trainable


@pytest.fixture
def write(dataset, models, tmp_path, capsys):
    """Write jobs for the small data set; returns exit code, output, and the jobs folder."""

    def call(*options, after=(), out=tmp_path / "out", jobs="jobs", bids=dataset):
        folder = tmp_path / jobs
        fixed = [bids, out, "--jobs-dir", folder]
        words = ["--", *after] if after else []
        code = slurm.main([str(word) for word in (*fixed, *options, *words)])
        said = capsys.readouterr()
        return code, said.out + said.err, folder

    return call


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "ctwml.sif"
    path.write_bytes(b"an image")
    return path


def tasks(folder):
    return [line.split("\t") for line in (folder / "tasks.tsv").read_text().splitlines()]


def test_each_unit_is_a_task_and_what_is_skipped_is_said(write, image, tmp_path):
    code, said, jobs = write("--image", image)
    assert code == 0
    assert tasks(jobs) == [
        ["sub-01", "--participant-label", "01"],
        ["sub-02", "--participant-label", "02"],
    ]
    assert "sub-03: skipped: no CT" in said
    assert f"bash {jobs}/submit.sh" in said
    # Nothing is queued yet: the output folder says nothing of it.
    assert states(tmp_path / "out") == {}


def states(out):
    """Label of each unit with a status → its state."""
    found = [read_status(path) for path in sorted(out.glob("logs/*/status*.json"))]
    return {status.label: status.state for status in found}


def test_what_is_refused_by_its_name_is_no_task_and_is_said(write, image, dataset, tmp_path):
    (dataset / "sub-AB-7").mkdir()
    write_image(dataset / "sub-02/ses-2020-01-05/ct/sub-02_ses-2020-01-05_ct.nii.gz")
    code, said, jobs = write("--image", image)
    assert code == 0
    assert [name for name, *_ in tasks(jobs)] == ["sub-01", "sub-02"]
    for label in ("sub-AB-7", "sub-02_ses-2020-01-05"):
        assert f"{label}: skipped: " in said


def test_the_image_is_known_by_its_checksum(write, image):
    _, _, jobs = write("--image", image)
    digest = hashlib.sha256(b"an image").hexdigest()
    text = (jobs / "participant.sh").read_text()
    assert f"--env=CTWML_CONTAINER_URI=ctwml.sif@sha256:{digest}" in text
    assert f" {image} " in text


@pytest.mark.usefixtures("light_workers")
def test_what_is_done_or_at_work_is_not_submitted_again(
    write, image, units, ready, models, tmp_path
):
    run_units(units[:1], ready, lambda label: steps.Succeed())
    after = ("--model", *models)
    code, said, jobs = write("--image", image, after=after)
    assert code == 0
    assert [task[0] for task in tasks(jobs)] == ["sub-02"]
    assert f"--bind={models[0]}:{models[0]}:ro" in (jobs / "participant.sh").read_text()
    with hold(tmp_path / "out/logs/sub-02/lock"):
        code, said, jobs = write("--image", image, after=after, jobs="second")
    assert code == 0
    assert "sub-02: left out, another process works on it" in said
    # The group level may be missing all the same.
    assert "nothing is missing but the group task" in said
    assert {path.stem for path in jobs.glob("*.sh")} == {"group", "submit"}


def test_a_failed_unit_is_submitted_again_with_the_reason(write, image, units, ready, models):
    run_units(units[1:], ready, lambda label: steps.Refuses())
    _, said, jobs = write("--image", image, after=("--model", *models))
    assert [task[0] for task in tasks(jobs)] == ["sub-01", "sub-02"]
    assert "sub-02: again, it failed before" in said


@pytest.mark.parametrize(
    ("options", "after", "code", "words"),
    [
        (("--image", "gone.sif"), (), 66, "there is no such image"),
        ((), ("--no-such",), 64, "--no-such"),
        ((), ("-w", "/x"), 64, "--work-dir after --: ctwml-slurm gives it"),
        ((), ("-w/x",), 64, "--work-dir after --: ctwml-slurm gives it"),
        ((), ("--participant_label", "01"), 64, "--participant-label after --"),
        ((), ("--session-label", "a"), 64, "--session-label after --"),
        (("--sbatch", "--comment='a"), (), 64, "No closing quotation"),
        (("--participants", "99"), (), 18, "no subject 99"),
        (("--cpus", "0"), (), 64, "--cpus"),
    ],
)
def test_what_would_make_jobs_fail_is_said_before(write, options, after, code, words):
    found, said, jobs = write(*options, after=after)
    assert found == code
    assert words in said
    assert not jobs.exists()


def test_memory_is_not_rounded_down(write, image):
    _, _, jobs = write("--image", image, "--mem", "2.5G")
    assert "#SBATCH --mem=3G" in (jobs / "participant.sh").read_text()


def test_an_image_is_the_file_that_a_link_names_now(write, image, tmp_path):
    link = tmp_path / "current.sif"
    link.symlink_to(image)
    _, _, jobs = write("--image", link)
    assert f" {image} " in (jobs / "participant.sh").read_text()


def test_what_a_configuration_file_names_is_bound(write, image, models, tmp_path):
    config, listed = tmp_path / "c.toml", tmp_path / "people.tsv"
    listed.write_text("participant_id\nsub-01\n")
    config.write_text(
        f"models = {[str(model) for model in models]}\nparticipants_file = '{listed}'\n"
    )
    code, said, jobs = write("--image", image, after=("--config-file", config))
    assert code == 0, said
    text = (jobs / "participant.sh").read_text()
    for path in (*models, config, listed):
        assert f"--bind={path}:{path}:ro" in text


def test_the_folder_of_another_template_is_bound(dataset, image, tmp_path, monkeypatch):
    home = tmp_path / "templates"
    home.mkdir()
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(home))
    monkeypatch.delenv(CONTAINER, raising=False)
    words = ("--template", "MNI152NLin6Asym")
    options, words = slurm.read(
        [str(dataset), str(tmp_path / "out"), "--image", str(image), "--", *words]
    )
    settings = parse([str(dataset), str(tmp_path / "out"), "participant", *words])
    made = program(options, words, settings)
    assert home in made.read
    assert made.environment["TEMPLATEFLOW_HOME"] == str(home)
    # Scripts that the image itself writes are of no use with a folder that is in the image alone.
    monkeypatch.setenv("TEMPLATEFLOW_HOME", "/opt/templateflow")
    monkeypatch.setenv(CONTAINER, "ctwml_bids:test")
    with pytest.raises(UsageError, match="bind the TemplateFlow folder under its own path"):
        program(options, words, settings)


def test_a_path_that_cannot_be_bound_is_refused(write, image, tmp_path):
    code, said, _ = write("--image", image, out=tmp_path / "a:b")
    assert code == 64
    assert "colon" in said


def test_options_of_the_site_go_through_untouched(write, image):
    # argparse would take the first for an option of its own.
    given = ("--sbatch", "--account=abc", "--sbatch", "--comment='a b' -p x")
    _, _, jobs = write("--image", image, *given)
    assert "site=(--account=abc '--comment=a b' -p x)" in (jobs / "submit.sh").read_text()


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """A folder at the front of PATH with an sbatch that takes all, and a squeue that says ids."""
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")

    def says(ids, sbatch="echo 5"):
        for name, text in (("squeue", f"echo {ids}"), ("sbatch", sbatch)):
            (tools / name).write_text(f"#!/bin/sh\n{text}\n")
            (tools / name).chmod(0o755)
        (tools / "scontrol").write_text("#!/bin/sh\necho 'MaxArraySize            = 2'\n")
        (tools / "scontrol").chmod(0o755)

    return says


def test_submitting_twice_is_refused_while_jobs_are_in_the_queue(write, image, queue):
    queue("41 42")
    code, said, jobs = write("--image", image, "--submit")
    assert code == 75
    assert "jobs 41 42 are still in the queue" in said
    assert not jobs.exists()


def test_a_queue_that_does_not_answer_is_said(write, image, queue, tmp_path):
    queue("")
    (tmp_path / "bin/squeue").write_text("#!/bin/sh\necho timed out >&2\nexit 1\n")
    code, said, _ = write("--image", image, "--submit")
    assert code == 75
    assert "squeue does not say what is in the queue (timed out)" in said


def test_submitting_says_the_ids_and_keeps_to_the_sites_arrays(write, image, queue, tmp_path):
    queue("")
    code, said, jobs = write("--image", image, "--submit")
    assert code == 0
    assert (jobs / "submitted.tsv").read_text() == "participant\t5\ngroup\t5\n"
    assert "participant\t5" in said
    assert "--array=0-1 " in (jobs / "submit.sh").read_text()
    assert states(tmp_path / "out") == {
        "sub-01": "queued",
        "sub-02": "queued",
        "sub-03": "skipped",
    }
    assert "sub-01\tn/a\tqueued" in (tmp_path / "out/logs/status.tsv").read_text()


def test_a_submission_that_the_site_refuses_is_an_error(write, image, queue, tmp_path):
    queue("", sbatch="exit 3")
    assert write("--image", image, "--submit")[0] != 0
    assert states(tmp_path / "out") == {}


def test_of_two_arrays_only_the_one_that_the_site_took_is_queued(write, image, queue, tmp_path):
    # The second call of sbatch is refused; the third is the group's.
    taken = tmp_path / "taken"
    queue("", sbatch=f'echo x >> "{taken}"; [ $(wc -l < "{taken}") != 2 ] && echo 5')
    code, said, _ = write("--image", image, "--submit", "--max-array", "1")
    assert code == 75
    assert "1 of 2 tasks were refused" in said
    assert states(tmp_path / "out") == {"sub-01": "queued", "sub-03": "skipped"}


@pytest.mark.parametrize("label", ["", "other"])
def test_scripts_that_are_submitted_by_hand_note_what_is_queued(
    write, image, queue, tmp_path, label, models
):
    queue("")
    after = ("--model", *models, *(("--desc", label) if label else ()))
    _, _, jobs = write("--image", image, after=after)
    # A task that has begun by then keeps its state.
    name = f"status_desc-{label}.json" if label else "status.json"
    begun = tmp_path / "out/logs/sub-02" / name
    write_status(begun, UnitStatus("sub-02", "running", model_label=label))
    assert subprocess.run(["bash", jobs / "submit.sh"], check=False).returncode == 0
    assert states(tmp_path / "out") == {"sub-01": "queued", "sub-02": "running"}
    status = read_status(tmp_path / "out/logs/sub-01" / name)
    assert status.model_label == label
    assert datetime.fromisoformat(status.started).tzinfo is not None
    # A second time nothing is handed over.
    assert subprocess.run(["bash", jobs / "submit.sh"], check=False).returncode == 75
    assert (jobs / "submitted.tsv").read_text().count("participant") == 1


@pytest.mark.parametrize(
    ("options", "after", "out"),
    [
        (("--image", "gone.sif", "--submit"), (), "out"),
        (("--submit",), ("--template", "no-such"), "out"),
        (("--image", "IMAGE", "--submit", "--apptainer", "'"), (), "out"),
        (("--image", "IMAGE", "--submit"), (), "a:b"),
        (("--image", "IMAGE", "--submit", "--participants", "99"), (), "out"),
    ],
)
def test_what_is_never_handed_over_leaves_no_trace(
    write, image, queue, tmp_path, options, after, out
):
    queue("")
    options = [str(image) if word == "IMAGE" else word for word in options]
    code, _, jobs = write(*options, after=after, out=tmp_path / out)
    assert code != 0
    assert not (tmp_path / out).exists()
    assert not jobs.exists()


def test_what_reads_the_submission_may_leave(write, image, queue, tmp_path):
    queue("")
    _, _, jobs = write("--image", image)
    reader, writer = os.pipe()
    os.close(reader)
    code = subprocess.run(["bash", jobs / "submit.sh"], stdout=writer, check=False).returncode
    os.close(writer)
    assert code == 0
    assert (jobs / "submitted.tsv").read_text() == "participant\t5\ngroup\t5\n"
    assert states(tmp_path / "out") == {"sub-01": "queued", "sub-02": "queued"}


def test_each_level_of_the_jobs_is_given_its_own_options(write, image, models):
    after = ("--model", *models, "--exclude", "02", "--desc", "x", "-v", "--rerun", "sub-01")
    code, said, jobs = write("--image", image, after=after)
    assert code == 0, said
    command = {name: (jobs / f"{name}.sh").read_text() for name in ("participant", "group")}
    assert f"--model {models[0]} {models[1]} --desc x -v" in command["participant"]
    assert "--exclude" not in command["participant"]
    assert command["group"].rstrip().endswith("--exclude 02 --desc x -v")
    # Each task asks for its own unit alone.
    assert "--rerun" not in command["participant"]
    assert tasks(jobs)[0] == ["sub-01", "--participant-label", "01", "--rerun", "sub-01"]
    assert tasks(jobs)[1] == ["sub-02", "--participant-label", "02"]


def test_an_option_of_no_level_of_the_jobs_is_refused(write, image):
    code, said, jobs = write("--image", image, after=("--folds", "3"))
    assert code == 64
    assert "--folds is an option of train" in said
    assert not jobs.exists()


def test_networks_of_a_training_are_tasks_and_done_ones_are_not(write, image, tmp_path):
    bids, out = trainable.make(tmp_path / "trainable")
    after = ("--folds", "2", "--repeats", "1", "--members", "1")
    code, said, jobs = write("--image", image, "--train", after=after, bids=bids, out=out)
    assert code == 0, said
    assert tasks(jobs) == [
        ["1-1", "--only", "1:1"],
        ["1-2", "--only", "1:2"],
        ["final-1", "--only", "final:1"],
    ]
    assert {path.stem for path in jobs.glob("*.sh")} == {"heads", "networks", "merge", "submit"}
    done = out / "train/ct/units/repeat-01_fold-02/unit.json"
    done.parent.mkdir(parents=True)
    done.write_text('{"segmented": []}')
    code, said, jobs = write(
        "--image", image, "--train", after=after, bids=bids, out=out, jobs="second"
    )
    assert [task[0] for task in tasks(jobs)] == ["1-1", "final-1"]
    assert "2 networks to train" in said


def test_a_plain_unet_asks_for_more_time(write, image, tmp_path):
    bids, out = trainable.make(tmp_path / "trainable")
    minutes = []
    for number, network in enumerate(("standard", "plain-unet")):
        how = ("--image", image, "--train")
        after = ("--network", network)
        _, _, jobs = write(*how, after=after, bids=bids, out=out, jobs=f"jobs-{number}")
        script = (jobs / "networks.sh").read_text()
        minutes.append(int(re.search(r"--time=(\d+)", script).group(1)))
    assert minutes == [99, 140]


def test_larger_images_ask_for_more(units, ready, monkeypatch):
    small = unit_need(units, ready.settings, 2)
    large = {"ct": 512 * 512 * 400 / 1e6, "flair": 512 * 512 * 28 / 1e6}
    monkeypatch.setattr("ctwml_bids.run.missing.megavoxels", lambda images: large)
    need = unit_need(units, ready.settings, 2)
    # The largest step took 2.64 GiB there.
    assert need.memory_gb >= 4 > small.memory_gb
    assert need.minutes > small.minutes
    assert group_need(10_000).minutes > group_need(1).minutes
