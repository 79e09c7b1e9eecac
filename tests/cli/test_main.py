"""Each exit code of the command line, from a command line."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from ctwml_bids.bids.status import UnitResult, UnitStatus, write_status
from ctwml_bids.cli import main as app
from ctwml_bids.run import level
from ctwml_bids.run.locks import hold
from ctwml_bids.run.provenance import hashes, write_record
from ctwml_bids.run.rerun import request_of, status_path
from ctwml_bids.run.summary import exit_code


@pytest.fixture
def run(dataset, models, tmp_path, capsys):
    """Run a command line on the small data set; returns exit code, output and errors."""

    def run_app(*options, levels=("participant",), bids=dataset, out=tmp_path / "out"):
        fixed = ["-w", str(tmp_path / "work"), "--device", "cpu", "--model", *map(str, models)]
        code = app.main([str(bids), str(out), *levels, *fixed, *map(str, options)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return run_app


def test_dry_run_prints_units_files_and_reasons_and_creates_nothing(run, tmp_path):
    code, out, _ = run("--dry-run")
    assert code == 0
    assert "2 to run, 0 done, 1 skipped" in out
    assert "sub-01: would run\n" in out
    assert "sub-01/ct/sub-01_ct.nii.gz" in out
    assert "sub-01/anat/sub-01_FLAIR.nii.gz" in out
    assert "sub-03: skipped: no CT" in out
    assert "T1w" in out
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("participant_id\tsite\nsub-01\tMünster\n".encode("latin-1"), "line 2: cannot be read"),
        ("participant_id\tage\nsub-01\t70\n".encode("utf-16"), "UTF-16"),
        (b"participant_id\tage\nsub-1\t70\n", "line 2: sub-1 is not here, and sub-01 is"),
        (b"participant_id\tage\nsub-01\n", "line 2: has 1 cell"),
        (b"participant_id;age\nsub-01;70\n", "semicolons"),
        (b"participant_id\tage\nsub-01\t70\n01\t71\n", "sub-01 has two rows"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_table_of_people_that_cannot_be_read_stops_the_run_at_once(
    run, dataset, tmp_path, content, said, options
):
    (dataset / "participants.tsv").write_bytes(content)
    code, _, err = run(*options)
    assert code == 65
    assert "bids/participants.tsv" in err
    assert said in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--exclude", "--participants-file", "--fazekas-file"])
def test_tables_of_the_group_level_are_read_before_any_unit_runs(run, tmp_path, option):
    table = tmp_path / "table.tsv"
    table.write_bytes("participant_id\tfazekas\nsub-01\t1\n".encode("utf-16"))
    code, _, err = run(option, table, levels=("participant", "group"))
    assert code == 65
    assert f"{table}: cannot be read as a table: it is text in UTF-16" in err
    assert not (tmp_path / "out").exists()


def test_a_unit_that_needs_more_memory_than_there_is_is_told_before_it_runs(
    run, monkeypatch, tmp_path
):
    _, out, _ = run("--dry-run", "--mem", "500M")
    for label in ("sub-01", "sub-02"):
        assert f"{label}: a step needs up to" in out
    assert "and --mem is 0.5 GB" in out
    assert "and --mem is" not in run("--dry-run", "--mem", "8G")[1]
    monkeypatch.setattr(
        level, "_run_units", lambda units, *_: [UnitResult(u.label, "done") for u in units]
    )
    run("--mem", "500M", "--nprocs", "1")
    (log,) = (tmp_path / "out/logs").glob("ctwml_*.log")
    assert "WARNING sub-01: a step needs up to" in log.read_text()
    assert "uses 1 CPU(s), 0.5 GB of memory, no GPU, scratch in" in log.read_text()


def test_dry_run_shows_what_the_filters_match(run, tmp_path):
    file = tmp_path / "filter.json"
    file.write_text(json.dumps({"ct": {"acquisition": None}, "flair": {"acquisition": "x"}}))
    code, out, _ = run("--dry-run", "--bids-filter-file", file)
    assert code == 0
    assert "sub-02/ct/sub-02_ct.nii.gz" in out
    assert "sub-01_FLAIR" not in out
    assert "FLAIR none, the filters left out 1: the CT is measured alone" in out
    file.write_text(json.dumps({"ct": {"acquisition": "x"}}))
    code, out, _ = run("--dry-run", "--bids-filter-file", file)
    assert "CT    none, the filters left out 1: the FLAIR is measured alone" in out
    assert "sub-02: skipped: the filters exclude all of its 1 CT" in out


def test_dry_run_tells_what_is_done_and_why_the_rest_would_run(run, units, ready, dataset):
    for unit, state in zip(units, ("done", "failed"), strict=True):
        status = UnitStatus(
            unit.label,
            state,
            hashes=hashes(ready),
            request=request_of(unit, ready).described(dataset),
        )
        write_status(status_path(unit, ready), status)
    _, out, _ = run("--dry-run")
    assert "1 to run, 1 done, 1 skipped" in out
    assert "sub-01: done\n" in out
    assert "sub-02: would run, it failed before\n" in out
    units[0].flair.write_bytes(units[0].flair.read_bytes() + b" ")
    _, out, _ = run("--dry-run")
    assert "sub-01: would run, sub-01/anat/sub-01_FLAIR.nii.gz has changed\n" in out
    _, out, _ = run("--dry-run", "--normalisation", "syn")
    assert "sub-01: would run, other settings; " in out


def test_help_and_version_are_0(capsys):
    assert app.main(["--version"]) == 0
    assert app.main(["--help"]) == 0
    assert "ctwml_bids" in capsys.readouterr().out


def test_invalid_input_is_16(run, dataset, tmp_path):
    file = tmp_path / "filter.json"
    file.write_text("{")
    assert run("--bids-filter-file", file)[0] == 16
    file.write_text('{"t1w": {}}')
    assert run("--bids-filter-file", file)[0] == 16
    assert run(out=dataset)[0] == 16
    (dataset / "dataset_description.json").unlink()
    code, _, said = run()
    assert code == 16
    assert "--skip-bids-validation" in said
    assert run("--skip-bids-validation", "--dry-run")[0] == 0


def test_a_data_set_without_subjects_is_16(run, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.11.1"}')
    assert run(bids=empty)[0] == 16


def test_an_unknown_level_is_17(run):
    code, _, said = run(levels=("subject",))
    assert code == 17
    assert "participant, train, group" in said


def test_labels_and_filters_that_match_nothing_are_18(run, tmp_path):
    code, _, said = run("--participant-label", "99")
    assert code == 18
    assert "99" in said
    assert run("--session-label", "9")[0] == 18
    file = tmp_path / "filter.json"
    file.write_text(json.dumps({"ct": {"acquisition": "x"}, "flair": {"acquisition": "x"}}))
    assert run("--bids-filter-file", file)[0] == 18
    assert not (tmp_path / "out").exists()


def test_wrong_usage_is_64(run):
    code, _, said = run("--mem", "much")
    assert code == 64
    assert said.startswith("ctwml_bids: error: ")
    assert run("--nope")[0] == 64


def test_missing_input_is_66(run, tmp_path):
    assert run(bids=tmp_path / "none")[0] == 66
    assert run("--model", tmp_path / "none")[0] == 66
    assert run("--config-file", tmp_path / "none.toml")[0] == 66
    assert app.main([str(tmp_path), str(tmp_path / "out"), "group"]) == 66


def test_only_skipped_subjects_is_66_with_the_reason(run, tmp_path):
    code, _, said = run("--participant-label", "03")
    assert code == 66
    assert "T1w" in said
    status = json.loads((tmp_path / "out/logs/sub-03/status.json").read_text())
    assert status["state"] == "skipped"


def test_an_output_that_cannot_be_made_is_73(run, tmp_path):
    (tmp_path / "file").write_text("")
    assert run(out=tmp_path / "file")[0] == 73
    assert run(out=tmp_path / "file" / "out")[0] == 73


def stop_with(error):
    def stopped(*_):
        raise error

    return stopped


def test_a_full_disk_is_74(run, monkeypatch):
    monkeypatch.setattr(level, "_run_units", stop_with(OSError(28, "No space left on device")))
    code, _, said = run()
    assert code == 74
    assert "disk is full" in said


def test_ctrl_c_is_130(run, monkeypatch):
    monkeypatch.setattr(level, "_run_units", stop_with(KeyboardInterrupt()))
    code, _, said = run()
    assert code == 130
    assert "run the same command again" in said


def test_a_bug_is_1_and_its_traceback_is_in_a_file(run, monkeypatch, tmp_path):
    monkeypatch.setattr(level, "_run_units", stop_with(ZeroDivisionError("oh")))
    code, _, said = run()
    assert code == 1
    (written,) = (tmp_path / "out/logs").glob("*_traceback.txt")
    assert str(written) in said
    assert "ZeroDivisionError: oh" in written.read_text()


def test_a_run_leaves_settings_log_and_table(run, monkeypatch, tmp_path):
    monkeypatch.setattr(
        level, "_run_units", lambda units, *_: [UnitResult(u.label, "done") for u in units]
    )
    code, out, _ = run()
    assert code == 0
    assert "2 done, 0 failed, 1 skipped" in out
    (log,) = (tmp_path / "out/logs").glob("ctwml_*.log")
    assert "sub-03: skipped: no CT" in log.read_text()
    (toml,) = (tmp_path / "out/logs").glob("ctwml_*.toml")
    assert "model_ct" in toml.read_text()
    assert (tmp_path / "out/logs/status.tsv").is_file()
    assert (tmp_path / "out/dataset_description.json").is_file()
    monkeypatch.setattr(level, "_run_units", stop_with(AssertionError("not in a dry run")))
    assert app.main(["--config-file", str(toml), "--dry-run"]) == 0


def test_a_report_is_not_rewritten_from_files_that_another_process_is_writing(run, tmp_path):
    with hold(tmp_path / "out/logs/sub-01/lock"):
        code, _, said = run("--reports-only", "--participant-label", "01")
    assert code == 1
    assert "sub-01: another process works on it" in said
    assert not (tmp_path / "out/sub-01.html").exists()


DONE = UnitResult("sub-01", "done")
BAD = UnitResult("sub-02", "failed", exit_code=65)
KILLED = UnitResult("sub-03", "failed", exit_code=75)
SKIPPED = UnitResult("sub-04", "skipped", exit_code=66)
BUSY = UnitResult("sub-05", "skipped", exit_code=75)


@pytest.mark.parametrize(
    ("results", "asked", "code"),
    [
        ([DONE], False, 0),
        ([DONE, SKIPPED], False, 0),
        ([DONE, SKIPPED], True, 1),
        ([DONE, BAD], False, 1),
        ([BAD, KILLED], False, 1),
        ([BAD], False, 65),
        ([BAD, BAD], False, 65),
        ([BAD, SKIPPED], False, 65),
        ([KILLED], True, 75),
        ([DONE, SKIPPED, BUSY], False, 1),
        ([SKIPPED, BUSY], False, 75),
    ],
)
def test_the_exit_code_tells_how_the_units_ended(results, asked, code):
    assert exit_code(results, asked=asked) == code


def test_two_runs_of_one_second_keep_their_records_apart(ready):
    for microsecond in (1, 2):
        write_record(ready, datetime(2026, 1, 1, microsecond=microsecond), {})
    assert len(list((ready.settings.output_dir / "logs").glob("ctwml_20260101T000000-*.toml"))) == 2


def test_run_py_is_the_same_program():
    run_py = Path(__file__).resolve().parents[2] / "run.py"
    answer = subprocess.run(
        [sys.executable, run_py, "bids", "out", "nonsense"], capture_output=True, text=True
    )
    assert answer.returncode == 17
    assert answer.stderr.startswith("ctwml_bids: error: unknown analysis level nonsense")
