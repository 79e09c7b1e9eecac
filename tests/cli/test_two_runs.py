"""Two runs at once on one output folder, as two real processes."""

from __future__ import annotations

import sys
import time

import pytest

from ctwml_bids.bids.status import read_status
from ctwml_bids.cli import main as app
from ctwml_bids.run.preflight import SCRATCH
from tests.cli.endless_run import has_ended, start


@pytest.fixture
def first(dataset, models, tmp_path):
    """A run that is in the middle of sub-02."""
    arguments = [dataset, tmp_path / "out", "participant", "--participant-label", "02"]
    arguments += ["-w", tmp_path / "work", "--model", *models]
    mark = tmp_path / "pid"
    process = start(mark, tmp_path / "out/sub-02/anat/sub-02_mask.nii.gz", *arguments)
    process.worker = int(mark.read_text())
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def run(dataset, models, tmp_path, capsys):
    """Run a command line in this process; returns its exit code and everything that it said."""

    def run_app(*options, out="out", work="work"):
        fixed = ["-w", tmp_path / work, "--device", "cpu", "--model", *models]
        code = app.main(
            [*map(str, [dataset, tmp_path / out, "participant", *fixed]), *map(str, options)]
        )
        said = capsys.readouterr()
        return code, said.out + said.err

    return run_app


def files(folder):
    return {
        path: path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and "sub-02" in str(path)
    }


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_second_run_leaves_the_unit_alone_until_the_first_has_ended(first, run, tmp_path):
    before = files(tmp_path / "out")
    assert before
    code, said = run("--participant-label", "02", "--clean-workdir")
    assert code == 75
    assert f"another process works on it (process {first.pid} on " in said
    assert "0 done, 0 failed, 1 skipped" in said
    assert "See docs/faq.md#exit-code-75" in said
    assert files(tmp_path / "out") == before
    assert (tmp_path / "work" / SCRATCH / "u02").is_dir()

    first.kill()
    first.wait()
    for _ in range(1200):
        if has_ended(first.worker):
            break
        time.sleep(0.05)
    # Killed outright, it could not say how it ended; its lock ended with it.
    assert read_status(tmp_path / "out/logs/sub-02/status.json").state == "running"
    code, said = run("--participant-label", "02")
    assert "another process" not in said
    status = read_status(tmp_path / "out/logs/sub-02/status.json")
    # The small model cannot segment: that this image is refused shows that the unit was run.
    assert (status.state, status.error) == ("failed", "BadDataError")
    assert not list((tmp_path / "out/sub-02").rglob("*.tmp_*"))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_another_data_set_or_seed_is_refused_although_nothing_has_finished(
    first, run, dataset, tmp_path
):
    before = files(tmp_path / "out")
    code, said = run("--participant-label", "02", "--random-seed", "9")
    assert code == 73
    assert "another run is at work there with another preprocessing" in said
    image = dataset / "sub-02/ct/sub-02_ct.nii.gz"
    kept = image.rename(tmp_path / "kept")
    image.write_bytes(kept.read_bytes() + b" ")
    code, said = run("--participant-label", "02", "03")
    assert code == 73
    assert "another run is at work there with another data set" in said
    assert files(tmp_path / "out") == before
    assert not (tmp_path / "out/logs/sub-03").exists()

    kept.replace(image)
    first.kill()
    first.wait()
    code, said = run("--participant-label", "02", "--random-seed", "9", work="new")
    assert code != 73, said


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_two_output_folders_do_not_share_the_scratch_of_a_unit(first, run, tmp_path, monkeypatch):
    monkeypatch.setattr("ctwml_bids.workflows.unit.workflow_name", lambda label: "u02")
    code, said = run("--participant-label", "02", out="other")
    assert code == 75
    assert f"another process works on it (process {first.pid} on " in said
    assert not (tmp_path / "other/sub-02").exists()
