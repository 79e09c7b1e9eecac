"""What a unit's run leaves in the output folder when it had run there before."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil

import pytest

from ctwml_bids.bids.sidecars import USED
from ctwml_bids.bids.status import read_status
from ctwml_bids.run.preflight import Ready
from ctwml_bids.run.rerun import why_to_run
from ctwml_bids.slices import (
    ENCODING_KEY,
    ORIENTATION_KEYS,
    PIXEL_KEY,
    POSITION_KEYS,
    SPACING_KEY,
    THICKNESS_KEY,
)
from tests.bids.planned import plan
from tests.execution import steps
from tests.run.toy_run import run

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
    # With the page that says how the unit failed.
    assert status.outputs == ["sub-01.html", CT, FLAIR]
    run(units[:1], ready, writing(ready, CT))
    assert left(ready) == ["a_space-CT_mask"]
    assert not (ready.settings.output_dir / "sub-01.html").exists()


def test_masks_that_another_models_results_need_stay(units, ready):
    run(units[:1], ready, writing(ready, CT, FLAIR))
    labelled = Ready(dataclasses.replace(ready.settings, desc="other"), cards=ready.cards)
    run(units[:1], labelled, writing(labelled, CT, FLAIR))
    changed(units[0])
    run(units[:1], ready, writing(ready, CT))
    assert left(ready) == ["a_space-CT_mask", "a_space-FLAIR_mask"]
    run(units[:1], labelled, writing(labelled, CT))
    assert left(ready) == ["a_space-CT_mask"]


def succeed(label):
    return steps.Succeed()


def test_only_what_is_used_of_a_corrected_sidecar_makes_a_unit_run_again(dataset, ready):
    sidecar = dataset / "sub-02/ct/sub-02_ct.json"
    reasons = []
    for content in (
        {"SpacingBetweenSlices": 5.0, "Manufacturer": "A"},
        {"SpacingBetweenSlices": 5.0, "Manufacturer": "B"},
        {"SpacingBetweenSlices": 4.5, "Manufacturer": "B"},
    ):
        sidecar.write_text(json.dumps(content))
        (unit,) = plan(dataset, participant_labels=["02"])
        reasons.append(why_to_run(unit, ready))
        run([unit], ready, succeed)
    assert reasons == [[""], [], ["what is used of its sidecar or scans.tsv has changed"]]


def test_every_field_of_the_sidecar_that_a_step_reads_counts():
    keys = {SPACING_KEY, THICKNESS_KEY, PIXEL_KEY, ENCODING_KEY}
    assert {*keys, *POSITION_KEYS, *ORIENTATION_KEYS} == set(USED)


def test_what_is_used_of_a_flairs_sidecar_counts_too(dataset, ready):
    (unit,) = plan(dataset, participant_labels=["01"])
    run([unit], ready, succeed)
    before = why_to_run(unit, ready)
    told = dataclasses.replace(unit, flair_sidecar={"SpacingBetweenSlices": 5.0})
    other = dataclasses.replace(unit, flair_sidecar={"EchoTime": 0.1})
    assert [before, why_to_run(other, ready)] == [[], []]
    assert "sidecar" in why_to_run(told, ready)[0]


def test_images_that_are_there_but_not_chosen_do_not_make_a_unit_run_again(dataset, ready):
    (unit,) = plan(dataset, participant_labels=["01"])
    run([unit], ready, succeed)
    taken = unit.ct
    bone = shutil.copy(taken, taken.with_name("sub-01_rec-bone_ct.nii.gz"))
    bone.with_name("sub-01_rec-bone_ct.json").write_text('{"ConvolutionKernel": "H60s"}')
    taken.with_name("sub-01_ct.json").write_text('{"ConvolutionKernel": "H31s"}')
    (again,) = plan(dataset, participant_labels=["01"])
    assert again.ct == taken
    assert any("rec-bone" in note for note in again.notes)
    assert why_to_run(again, ready) == []
    # The other way round, the bone kernel is taken and the unit is another one.
    bone.with_name("sub-01_rec-bone_ct.json").write_text('{"ConvolutionKernel": "H31s"}')
    taken.with_name("sub-01_ct.json").write_text('{"ConvolutionKernel": "H60s"}')
    (other,) = plan(dataset, participant_labels=["01"])
    assert other.ct == bone
    assert why_to_run(other, ready) == [
        "sub-01/ct/sub-01_ct.nii.gz is used no longer",
        "sub-01/ct/sub-01_rec-bone_ct.nii.gz was not used before",
    ]


def test_what_cannot_be_read_of_scans_tsv_does_not_make_a_unit_run_again(dataset, ready):
    (unit,) = plan(dataset, participant_labels=["01"])
    run([unit], ready, succeed)
    table = "filename\tacq_time\nct/sub-01_ct.nii.gz\tlast Monday\n"
    (dataset / "sub-01/sub-01_scans.tsv").write_text(table)
    (again,) = plan(dataset, participant_labels=["01"])
    assert any("last Monday" in note for note in again.notes)
    assert why_to_run(again, ready) == []


def test_a_corrected_time_in_scans_tsv_makes_the_pair_run_again(dataset, ready):
    (dataset / "sub-01/ses-a/ct").mkdir(parents=True)
    (dataset / "sub-01/ses-b/anat").mkdir(parents=True)
    shutil.move(
        dataset / "sub-01/ct/sub-01_ct.nii.gz", dataset / "sub-01/ses-a/ct/sub-01_ses-a_ct.nii.gz"
    )
    shutil.move(
        dataset / "sub-01/anat/sub-01_FLAIR.nii.gz",
        dataset / "sub-01/ses-b/anat/sub-01_ses-b_FLAIR.nii.gz",
    )
    reasons = []
    for day in ("03", "03", "04"):
        for session, image, date in (
            ("a", "ct/sub-01_ses-a_ct", "01"),
            ("b", "anat/sub-01_ses-b_FLAIR", day),
        ):
            table = f"filename\tacq_time\n{image}.nii.gz\t2020-01-{date}T00:00:00\n"
            (dataset / f"sub-01/ses-{session}/sub-01_ses-{session}_scans.tsv").write_text(table)
        (unit,) = plan(dataset, participant_labels=["01"])
        reasons.append(why_to_run(unit, ready))
        run([unit], ready, succeed)
    assert reasons == [[""], [], ["what is used of its sidecar or scans.tsv has changed"]]


def test_a_rerun_without_output_spaces_is_done_and_keeps_the_maps(units, ready):
    with_maps = Ready(
        dataclasses.replace(ready.settings, output_spaces=(ready.settings.template, "CT")),
        cards=ready.cards,
    )
    run(units[:1], with_maps, writing(with_maps, CT, "sub-01/a_space-MNI_mask"))
    for asked in ((), ("CT", "FLAIR")):
        fewer = Ready(dataclasses.replace(ready.settings, output_spaces=asked), cards=ready.cards)
        results, _ = run(units[:1], fewer, writing(fewer, CT))
        assert results["sub-01"].reason == "done before"
        assert left(ready) == ["a_space-CT_mask", "a_space-MNI_mask"]


def test_a_rerun_that_asks_for_maps_in_another_space_runs(units, ready):
    run(units[:1], ready, writing(ready, CT))
    asked = (ready.settings.template,)
    more = Ready(dataclasses.replace(ready.settings, output_spaces=asked), cards=ready.cards)
    assert why_to_run(units[0], more) == ["maps in MNI152NLin2009aSym are asked for"]
    run(units[:1], more, writing(more, CT, "sub-01/a_space-MNI_mask"))
    assert left(ready) == ["a_space-CT_mask", "a_space-MNI_mask"]


def test_a_moved_or_copied_data_set_is_done_where_it_is_now(dataset, ready, tmp_path):
    run(plan(dataset, participant_labels=["01", "02"]), ready, succeed)
    elsewhere = shutil.copytree(dataset, tmp_path / "elsewhere", copy_function=shutil.copyfile)
    for image in elsewhere.rglob("*.nii.gz"):
        os.utime(image, ns=(1, 1))
    moved = Ready(dataclasses.replace(ready.settings, bids_dir=elsewhere), cards=ready.cards)
    units = plan(elsewhere, participant_labels=["01", "02"])
    assert [why_to_run(unit, moved) for unit in units] == [[], []]
