from __future__ import annotations

import dataclasses

import pytest

from ctwml_bids.bids import names
from ctwml_bids.bids.status import UnitStatus, collect, read_status, write_status
from ctwml_bids.bids.units import Skipped
from ctwml_bids.run import provenance
from ctwml_bids.run.locks import hold
from ctwml_bids.run.participant import write_skipped
from ctwml_bids.run.preflight import SCRATCH, Ready
from ctwml_bids.run.resources import seen_before
from ctwml_bids.unit import failing
from tests.execution import steps
from tests.run.toy_run import run

pytestmark = pytest.mark.usefixtures("light_workers")


def test_one_bad_subject_never_stops_the_others(units, ready):
    bad = {"sub-01": steps.Refuses, "sub-02": steps.Succeed}
    results, screen = run(units, ready, lambda label: bad[label]())
    assert results["sub-02"].state == "done"
    failed = results["sub-01"]
    assert (failed.state, failed.error, failed.exit_code) == ("failed", "BadDataError", 65)
    assert failed.reason == "sub-01_ct.nii.gz has NaN in 3 voxels. Convert it again."
    assert "sub-02  last  done" in screen
    assert "sub-01  last  failed" in screen
    out = ready.settings.output_dir
    status = read_status(out / "logs/sub-01/status.json")
    assert (status.state, status.error, status.exit_code) == ("failed", "BadDataError", 65)
    assert list((out / "logs/sub-01").glob("crash-*.txt"))
    assert read_status(out / "logs/sub-02/status.json").peak_memory_gb > 0
    table = (out / "logs/status.tsv").read_text()
    assert "sub-01\tn/a\tfailed" in table
    assert "sub-02\tn/a\tdone" in table


def test_a_unit_that_fails_has_a_page_in_place_of_its_report(units, ready):
    bad = {"sub-01": steps.Refuses, "sub-02": steps.Succeed}
    run(units, ready, lambda label: bad[label]())
    out = ready.settings.output_dir
    page = (out / "sub-01.html").read_text()
    assert "sub-01_ct.nii.gz has NaN in 3 voxels. Convert it again." in page
    assert "sub-01/ct/sub-01_ct.nii.gz" in page
    assert "sub-01/anat/sub-01_FLAIR.nii.gz" in page
    assert str(ready.settings.bids_dir) not in page
    assert not (out / "sub-02.html").exists()
    assert read_status(out / "logs/sub-01/status.json").outputs == ["sub-01.html"]


def test_a_page_that_cannot_be_written_stops_nothing(units, ready):
    (ready.settings.output_dir / "sub-01.html").mkdir(parents=True)
    results, _ = run(units, ready, lambda label: steps.Refuses())
    assert (results["sub-01"].exit_code, results["sub-02"].exit_code) == (65, 65)
    assert (ready.settings.output_dir / "sub-02.html").is_file()


def test_a_page_that_cannot_be_made_stops_nothing(units, ready, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("no such page")

    monkeypatch.setattr(failing, "report_failed", broken)
    results, screen = run(units, ready, lambda label: steps.Refuses())
    assert (results["sub-01"].exit_code, results["sub-02"].exit_code) == (65, 65)
    assert "sub-01: its page could not be written, ZeroDivisionError" in screen


def test_a_killed_worker_costs_its_unit_alone(units, ready):
    bad = {"sub-01": steps.KilledOutright, "sub-02": steps.Slow}
    results, _ = run(units, ready, lambda label: bad[label]())
    assert results["sub-02"].state == "done"
    assert (results["sub-01"].error, results["sub-01"].exit_code) == ("TemporaryError", 75)


def test_a_writer_that_is_killed_leaves_nothing_half_written(units, ready):
    out = ready.settings.output_dir
    target = out / "sub-01/anat/sub-01_mask.nii.gz"

    def second(label):
        if label == "sub-01":
            return steps.KilledWhileWriting(target=str(target))
        return steps.Succeed()

    results, _ = run(units, ready, second)
    assert results["sub-01"].exit_code == 75
    assert results["sub-02"].state == "done"
    assert list(target.parent.iterdir()) == []


def test_what_a_killed_program_left_is_removed_by_the_next_run(units, ready):
    anat = ready.settings.output_dir / "sub-01/anat"
    anat.mkdir(parents=True)
    (anat / ".7-ab12cd34.tmp_sub-01_mask.nii.gz").write_bytes(b"half")
    (anat.parents[1] / ".7-ab12cd34.tmp_sub-01.html").write_bytes(b"half")
    other = anat.parents[1] / ".7-ab12cd34.tmp_sub-011.html"
    other.write_bytes(b"being written by another job")
    run(units, ready, lambda label: steps.Succeed())
    assert [path for path in anat.parents[1].rglob("*") if ".tmp_" in path.name] == [other]


def test_a_full_disk_fails_its_unit_with_what_to_do_and_the_run_goes_on(units, ready):
    bad = {"sub-01": steps.FillsTheDisk, "sub-02": steps.Succeed}
    results, _ = run(units, ready, lambda label: bad[label]())
    assert results["sub-02"].state == "done"
    assert (results["sub-01"].state, results["sub-01"].exit_code) == ("failed", 74)
    assert "the disk is full" in results["sub-01"].reason
    assert "make room" in results["sub-01"].reason


def test_what_is_done_is_not_done_again(units, ready, tmp_path):
    marks = tmp_path / "marks"
    run(units, ready, lambda label: steps.Succeed(), marks)
    assert len(marks.read_text().split()) == 2
    results, screen = run(units, ready, lambda label: steps.Refuses(), marks)
    assert [result.state for result in results.values()] == ["done", "done"]
    assert "done before" in screen
    assert len(marks.read_text().split()) == 2


def test_a_failed_or_changed_unit_is_done_again(units, ready, tmp_path):
    marks = tmp_path / "marks"
    bad = {"sub-01": steps.Succeed, "sub-02": steps.Refuses}
    run(units, ready, lambda label: bad[label](), marks)
    units[0].ct.write_bytes(units[0].ct.read_bytes() + b" ")
    results, _ = run(units, ready, lambda label: steps.Succeed(), marks)
    assert [result.state for result in results.values()] == ["done", "done"]
    # sub-01 again after its scratch was removed; sub-02 finds its first step in the scratch.
    assert len(marks.read_text().split()) == 3


@pytest.mark.parametrize(
    ("keep", "done", "failed"),
    [("always", True, True), ("on-failure", False, True), ("never", False, False)],
)
def test_scratch_is_kept_as_asked(units, ready, keep, done, failed):
    asked = dataclasses.replace(ready.settings, keep_work=keep)
    bad = {"sub-01": steps.Succeed, "sub-02": steps.Refuses}
    run(units, Ready(asked, cards=ready.cards), lambda label: bad[label]())
    scratch = asked.work_dir / SCRATCH
    assert (scratch / "unit_sub_01").exists() == done
    assert (scratch / "unit_sub_02").exists() == failed


def test_another_model_under_a_label_keeps_its_own_status(units, ready):
    run(units, ready, lambda label: steps.Succeed())
    labelled = dataclasses.replace(ready.settings, desc="other")
    run(units, Ready(labelled, cards=ready.cards), lambda label: steps.Succeed())
    found = [(s.label, s.model_label, s.state) for s in collect(ready.settings.output_dir)]
    assert found == [
        ("sub-01", "", "done"),
        ("sub-01", "other", "done"),
        ("sub-02", "", "done"),
        ("sub-02", "other", "done"),
    ]


def test_scratch_of_another_version_is_not_gone_on_with(units, ready, tmp_path, monkeypatch):
    marks = tmp_path / "marks"
    for expected in (1, 1):
        run(units[:1], ready, lambda label: steps.Refuses(), marks)
        assert len(marks.read_text().split()) == expected
    monkeypatch.setattr(provenance, "versions", lambda: {"ctwml_bids": "another"})
    run(units[:1], ready, lambda label: steps.Refuses(), marks)
    assert len(marks.read_text().split()) == 2


def test_stop_on_first_crash_stops(units, ready):
    asked = dataclasses.replace(ready.settings, stop_on_first_crash=True)
    bad = {"sub-01": steps.Refuses, "sub-02": steps.Endless}
    results, _ = run(units, Ready(asked, cards=ready.cards), lambda label: bad[label]())
    assert results["sub-01"].error == "BadDataError"
    assert (results["sub-02"].state, results["sub-02"].exit_code) == ("failed", 75)


def test_skipped_ones_are_in_the_table_but_do_not_undo_what_is_done(units, ready):
    run(units, ready, lambda label: steps.Succeed())
    skipped = [Skipped("01", None, "excluded now"), Skipped("03", None, "no CT and no FLAIR")]
    results = write_skipped(skipped, ready, [])
    assert [result.state for result in results] == ["skipped", "skipped"]
    states = {s.label: s.state for s in collect(ready.settings.output_dir)}
    assert states == {"sub-01": "done", "sub-02": "done", "sub-03": "skipped"}


def test_a_unit_of_another_process_is_left_alone_and_the_others_run(units, ready):
    lock = ready.settings.output_dir / "logs/sub-02/lock"
    with hold(lock):
        results, screen = run(units, ready, lambda label: steps.Succeed())
    assert results["sub-01"].state == "done"
    assert (results["sub-02"].state, results["sub-02"].exit_code) == ("skipped", 75)
    assert "another process works on it" in results["sub-02"].reason
    assert "sub-02: not run, another process works on it" in screen
    assert not lock.with_name("status.json").exists()
    results, _ = run(units, ready, lambda label: steps.Succeed())
    assert results["sub-02"].state == "done"


def test_what_another_process_finished_meanwhile_is_done(units, ready):
    status = ready.settings.output_dir / "logs/sub-02/status.json"
    run(units, ready, lambda label: steps.Succeed())
    finished = status.read_text()
    status.unlink()
    units[0].ct.write_bytes(units[0].ct.read_bytes() + b" ")

    def second(label):
        status.write_text(finished)
        return steps.Succeed()

    with hold(status.with_name("lock")):
        results, _ = run(units, ready, second)
    assert (results["sub-02"].state, results["sub-02"].exit_code) == ("done", 0)
    assert results["sub-02"].reason == "done by another process"


@pytest.mark.parametrize(("exit_code", "state"), [(66, "done"), (65, "skipped")])
def test_a_unit_of_before_stays_done_unless_its_images_are_refused_now(
    units, ready, exit_code, state
):
    run(units, ready, lambda label: steps.Succeed())
    write_skipped([Skipped("02", None, "not now", exit_code)], ready, [])
    found = read_status(ready.settings.output_dir / "logs/sub-02/status.json")
    assert found.state == state


@pytest.mark.parametrize(
    ("exit_code", "others", "state"),
    [(65, "", "skipped"), (66, "", "done"), (65, "skipped", "done"), (65, "unit", "done")],
)
@pytest.mark.parametrize("desc", [None, "mine"])
def test_sessions_of_a_subject_that_is_refused_as_a_whole_are_no_longer_done(
    units, ready, exit_code, others, state, desc
):
    ready = dataclasses.replace(ready, settings=dataclasses.replace(ready.settings, desc=desc))
    out = ready.settings.output_dir
    paths = [out / names.status("07", session, model_label=desc or "") for session in "ab"]
    other = out / names.status("07", "a", model_label="another")
    for path in (*paths, other, out / names.status("077", "a", model_label=desc or "")):
        write_status(path, UnitStatus(path.parent.name, "done", model_label=desc or ""))
    refused = [Skipped("07", None, "its sidecar is no JSON", exit_code)]
    if others == "skipped":
        refused.append(Skipped("07", "c", "two CTs", 65))
    planned = [*units, dataclasses.replace(units[0], subject="07", session="c")]
    results = write_skipped(refused, ready, planned if others == "unit" else units)
    assert len(results) == len(refused)
    assert [read_status(path).state for path in paths] == [state, state]
    assert read_status(other).state == "done"
    assert state == "done" or read_status(paths[0]).reason == "its sidecar is no JSON"
    assert read_status(out / names.status("077", "a", model_label=desc or "")).state == "done"


def test_a_skip_is_not_written_over_the_state_of_a_unit_that_another_process_runs(ready):
    status = ready.settings.output_dir / "logs/sub-01/status.json"
    with hold(status.with_name("lock")):
        (result,) = write_skipped([Skipped("01", None, "excluded now")], ready, [])
    assert result.state == "skipped"
    assert not status.exists()


def test_a_model_that_was_trained_on_a_subject_is_noted_for_it(units, ready):
    card = dataclasses.replace(ready.cards["ct"], training={"subjects": ["sub-01"]})
    (said,) = seen_before(units[0], {"ct": card, "flair": ready.cards["flair"]})
    assert "CT model ct-test was trained on a subject of this name" in said
    assert seen_before(units[1], {"ct": card}) == []
    shipped = {"members": [{"anatomies": ["template"], "real_subjects": ["sub-02"]}]}
    assert len(seen_before(units[1], {"ct": dataclasses.replace(card, training=shipped)})) == 1
