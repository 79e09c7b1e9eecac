"""What a unit's run leaves in the output folder when it had run there before."""

from __future__ import annotations

import dataclasses

import pytest

from ctwml_bids.cli.preflight import Ready
from ctwml_bids.execution.status import read_status
from tests.cli.toy_run import run
from tests.execution import steps

pytestmark = pytest.mark.usefixtures("light_workers")
CT, FLAIR = "sub-01/a_space-CT_mask", "sub-01/a_space-FLAIR_mask"


def writing(ready, *written, killed=False):
    """Make the last step of sub-01 write these files; `run` takes it as `second`."""
    out = ready.settings.output_dir
    label = ready.settings.desc
    notes = out / "logs/sub-01" / (f"written_desc-{label}.txt" if label else "written.txt")
    kind = steps.KilledAfterWriting if killed else steps.WritesFiles

    def second(unit):
        if unit != "sub-01":
            return steps.Succeed()
        return kind(target="\n".join([str(notes), str(out), *written]), mark="content")

    return second


def changed(unit):
    """Another image under the same name: the unit is to be done again."""
    unit.ct.write_bytes(unit.ct.read_bytes() + b" ")


def left(ready):
    return sorted(path.name for path in (ready.settings.output_dir / "sub-01").rglob("*"))


def test_a_unit_lists_its_files_and_a_rerun_removes_what_it_no_longer_writes(units, ready):
    run(units[:1], ready, writing(ready, CT, FLAIR))
    status = ready.settings.output_dir / "logs/sub-01/status.json"
    assert read_status(status).outputs == [CT, FLAIR]
    theirs = ready.settings.output_dir / "sub-01/notes_by_the_user.txt"
    theirs.write_text("keep")
    changed(units[0])
    results, screen = run(units[:1], ready, writing(ready, CT))
    assert results["sub-01"].state == "done"
    assert left(ready) == ["a_space-CT_mask", "notes_by_the_user.txt"]
    assert read_status(status).outputs == [CT]
    assert "sub-01: 1 files of its former run removed" in screen
    assert not status.with_name("written.txt").exists()


def test_a_rerun_that_fails_removes_nothing_and_the_next_still_knows_what_is_old(units, ready):
    run(units[:1], ready, writing(ready, CT, FLAIR))
    changed(units[0])
    results, _ = run(units[:1], ready, lambda label: steps.Refuses())
    assert results["sub-01"].state == "failed"
    assert left(ready) == ["a_space-CT_mask", "a_space-FLAIR_mask"]
    run(units[:1], ready, writing(ready, CT))
    assert left(ready) == ["a_space-CT_mask"]


def test_files_of_a_run_whose_writer_was_killed_are_known_to_the_next(units, ready):
    results, _ = run(units[:1], ready, writing(ready, CT, FLAIR, killed=True))
    assert results["sub-01"].exit_code == 75
    status = read_status(ready.settings.output_dir / "logs/sub-01/status.json")
    assert status.outputs == [CT, FLAIR]
    run(units[:1], ready, writing(ready, CT))
    assert left(ready) == ["a_space-CT_mask"]


def test_masks_that_another_models_results_need_stay(units, ready):
    run(units[:1], ready, writing(ready, CT, FLAIR))
    labelled = Ready(dataclasses.replace(ready.settings, desc="other"), cards=ready.cards)
    run(units[:1], labelled, writing(labelled, CT, FLAIR))
    changed(units[0])
    run(units[:1], ready, writing(ready, CT))
    assert left(ready) == ["a_space-CT_mask", "a_space-FLAIR_mask"]
    run(units[:1], labelled, writing(labelled, CT))
    assert left(ready) == ["a_space-CT_mask"]
