"""Which data sets may have their results in one output folder."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from dataclasses import replace
from datetime import datetime

import pytest

from ctwml_bids.bids.status import UnitStatus, write_status
from ctwml_bids.bids.units import Unit
from ctwml_bids.errors import CannotCreateError
from ctwml_bids.run.identity import Used, check_same_dataset, identity
from ctwml_bids.run.preflight import Ready
from ctwml_bids.run.provenance import check_same_run, hashes, register_run
from ctwml_bids.run.rerun import request_of, status_path
from tests.bids.planned import plan
from tests.cli.conftest import write_image

STARTED = datetime(2026, 1, 1)


def describe(root, **fields):
    text = json.dumps({"BIDSVersion": "1.11.1", **fields})
    (root / "dataset_description.json").write_text(text)


def finish(ready, *labels):
    """Leave what a run leaves of these subjects."""
    bids_dir = ready.settings.bids_dir
    units = units_of(ready, *labels)
    with register_run(ready, STARTED, units):
        for unit in units:
            request = request_of(unit, ready).described(bids_dir)
            status = UnitStatus(unit.label, "done", hashes=hashes(ready), request=request)
            write_status(status_path(unit, ready), status)


def units_of(ready, *labels):
    planned = plan(ready.settings.bids_dir, participant_labels=labels)
    return [unit for unit in planned if isinstance(unit, Unit)]


def on(ready, bids_dir):
    return Ready(replace(ready.settings, bids_dir=bids_dir), cards=ready.cards)


def change(*images):
    for image in images:
        image.write_bytes(image.read_bytes() + b" ")


def rename(root, name):
    """Give the CTs of a data set other names, with {} for the label."""
    for image in sorted(root.glob("sub-*/ct/*_ct.nii.gz")):
        label = image.name[4:6]
        target = root / f"sub-{label}" / name.format(label)
        target.parent.mkdir(parents=True, exist_ok=True)
        image.rename(target)


@pytest.fixture
def other(tmp_path):
    """Another data set with the labels of the first and other images."""
    root = tmp_path / "other"
    for label in ("01", "02"):
        change(write_image(root / f"sub-{label}/ct/sub-{label}_ct.nii.gz"))
    describe(root, Name="another")
    return root


def test_a_second_data_set_with_the_same_labels_is_refused_with_what_differs(ready, other):
    finish(ready, "01")
    with pytest.raises(CannotCreateError) as caught:
        check_same_run(on(ready, other))
    said = str(caught.value)
    assert caught.value.exit_code == 73
    assert str(other) in said
    assert "Name: 'small' before, 'another' now" in said
    assert "sub-01/ct/sub-01_ct.nii.gz: other content before" in said
    assert "another output folder" in said


def test_a_second_data_set_without_equal_labels_is_refused_too(ready, other):
    finish(ready, "01")
    shutil.rmtree(other / "sub-01")
    with pytest.raises(CannotCreateError, match="'another' now"):
        check_same_run(on(ready, other))


def test_a_data_set_of_the_same_name_whose_images_are_all_others_is_refused(ready, other):
    finish(ready, "01", "02")
    describe(other, Name="small")
    with pytest.raises(CannotCreateError, match="other content before, likewise 1 more"):
        check_same_run(on(ready, other))


def test_images_of_the_same_size_and_time_are_told_apart_by_content(ready, dataset, tmp_path):
    finish(ready, "01", "02")
    other = tmp_path / "other"
    shutil.copytree(dataset, other)
    for image in other.rglob("*.nii.gz"):
        before = image.stat()
        image.write_bytes(image.read_bytes()[:-1] + b" ")
        os.utime(image, ns=(before.st_mtime_ns, before.st_mtime_ns))
    with pytest.raises(CannotCreateError, match="other content before"):
        check_same_run(on(ready, other))


@pytest.mark.parametrize("described", [{"Name": "small"}, {"Name": "renamed"}, None])
def test_the_same_images_elsewhere_are_the_same_data_set(ready, dataset, tmp_path, described):
    finish(ready, "01", "02")
    moved = tmp_path / "mounted/data"
    shutil.copytree(dataset, moved, copy_function=shutil.copyfile)
    if described:
        describe(moved, **described)
    else:
        (moved / "dataset_description.json").unlink()
    check_same_run(on(ready, moved))
    # One of its images was corrected since.
    change(moved / "sub-01/ct/sub-01_ct.nii.gz")
    change(moved / "sub-01/anat/sub-01_FLAIR.nii.gz")
    check_same_run(on(ready, moved))


def test_a_corrected_image_of_the_only_finished_unit_is_no_other_data_set(ready, dataset):
    finish(ready, "02")
    change(dataset / "sub-02/ct/sub-02_ct.nii.gz")
    check_same_run(ready)


def test_a_doi_tells_that_images_were_all_made_anew(ready, dataset):
    describe(dataset, Name="small", DatasetDOI="doi:10.1/x")
    finish(ready, "01", "02")
    change(*dataset.rglob("*.nii.gz"))
    check_same_run(ready)
    describe(dataset, Name="small")
    with pytest.raises(CannotCreateError, match=r"DatasetDOI: 'doi.*' before, None now"):
        check_same_run(ready)


@pytest.mark.parametrize("name", ["anat/sub-{}_CT.nii.gz", "ses-1/ct/sub-{}_ses-1_ct.nii.gz"])
def test_a_data_set_of_the_same_name_in_another_layout_is_refused(ready, other, name):
    finish(ready, "01", "02")
    describe(other, Name="small")
    rename(other, name)
    with pytest.raises(CannotCreateError) as caught:
        check_same_run(on(ready, other))
    assert "no image of sub-01 is as it was, likewise 1 more" in str(caught.value)


def test_images_that_were_moved_within_their_subject_are_the_same_data_set(ready, dataset):
    finish(ready, "01", "02")
    rename(dataset, "anat/sub-{}_CT.nii.gz")
    check_same_run(ready)


def test_a_data_set_that_grows_and_whose_sidecars_are_corrected_is_the_same(ready, dataset):
    finish(ready, "01")
    write_image(dataset / "sub-04/ct/sub-04_ct.nii.gz")
    write_image(dataset / "sub-01/ct/sub-01_rec-bone_ct.nii.gz")
    (dataset / "sub-01/ct/sub-01_ct.json").write_text('{"ConvolutionKernel": "H31s"}')
    (dataset / "participants.tsv").write_text("participant_id\nsub-01\nsub-04\n")
    check_same_run(ready)


def test_a_part_of_the_data_set_that_has_other_subjects_is_the_same(ready, dataset, tmp_path):
    """As a job has it that copied its own subject to the disk of its machine."""
    finish(ready, "01")
    part = tmp_path / "part"
    shutil.copytree(dataset / "sub-02", part / "sub-02")
    shutil.copy(dataset / "dataset_description.json", part)
    check_same_run(on(ready, part))


def test_a_folder_in_which_nothing_finished_may_have_another_data_set(ready, other):
    with register_run(ready, STARTED, units_of(ready)):
        pass
    with register_run(on(ready, other), STARTED, units_of(on(ready, other))):
        pass


def test_another_data_set_is_refused_while_a_run_is_at_work(ready, other):
    describe(other, Name="small")
    second, third = (replace_desc(on(ready, other), label) for label in ("", "b"))
    with register_run(ready, STARTED, units_of(ready)):
        for run in (second, third):
            with (
                pytest.raises(CannotCreateError, match="at work there with another data set"),
                register_run(run, STARTED, units_of(run)),
            ):
                pass
        # What was refused is not registered: a second task of the first run is let in.
        with register_run(ready, STARTED, units_of(ready, "02")):
            pass
    with register_run(second, STARTED, units_of(second)):
        pass


def test_an_image_that_another_run_could_not_read_tells_nothing(dataset, tmp_path):
    name = "sub-02/ct/sub-02_ct.nii.gz"
    unread = Used("sub-02", {name: [(dataset / name).stat().st_size, 1, ""]})
    check_same_dataset(tmp_path / "out", dataset, identity(dataset), [], [unread])


def test_other_settings_are_refused_while_a_run_is_at_work(ready):
    seed = Ready(replace(ready.settings, random_seed=2), cards=ready.cards)
    members = (replace(ready.cards["ct"].members[0], sha256="0" * 64),)
    model = Ready(
        ready.settings, cards={**ready.cards, "ct": replace(ready.cards["ct"], members=members)}
    )
    # A model that ended without a result binds nobody.
    with register_run(replace_desc(model, "b"), STARTED, units_of(ready)):
        pass
    with register_run(ready, STARTED, units_of(ready)):
        for run, what in ((seed, "random_seed: 1 before, 2 now"), (model, "--desc")):
            with (
                pytest.raises(CannotCreateError, match=f"at work there with another .*{what}"),
                register_run(run, STARTED, units_of(run)),
            ):
                pass
        with register_run(replace_desc(ready, "b"), STARTED, units_of(ready)):
            pass


def replace_desc(ready, label):
    return Ready(replace(ready.settings, desc=label), cards=ready.cards)


def _start(ready, barrier, end):
    units = units_of(ready)
    barrier.wait()
    try:
        with register_run(ready, datetime.now(), units):
            end.wait(60)
    except CannotCreateError as error:
        end.set()
        raise SystemExit(error.exit_code) from error


@pytest.mark.parametrize("differs", ["data set", "seed"])
def test_of_two_runs_that_start_at_once_and_do_not_belong_together_one_goes_on(
    ready, other, differs
):
    describe(other, Name="small")
    seed = Ready(replace(ready.settings, random_seed=2), cards=ready.cards)
    second = on(ready, other) if differs == "data set" else seed
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.run.test_identity"])
    barrier, end = context.Barrier(2), context.Event()
    runs = [context.Process(target=_start, args=(run, barrier, end)) for run in (ready, second)]
    for process in runs:
        process.start()
    for process in runs:
        process.join()
    assert sorted(process.exitcode for process in runs) == [0, CannotCreateError.exit_code]


def _register(ready, label, barrier):
    barrier.wait()
    labelled = Ready(replace(ready.settings, desc=label), cards=ready.cards)
    with register_run(labelled, datetime.now(), units_of(ready)):
        pass


def test_runs_that_start_at_once_lose_none_of_their_hashes(ready):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.run.test_identity"])
    labels = ["default", *(f"m{number}" for number in range(7))]
    barrier = context.Barrier(len(labels))
    runs = [context.Process(target=_register, args=(ready, label, barrier)) for label in labels]
    for process in runs:
        process.start()
    for process in runs:
        process.join()
    assert [process.exitcode for process in runs] == [0] * len(labels)
    with register_run(ready, STARTED, units_of(ready)):
        pass
    out = ready.settings.output_dir
    (entry,) = json.loads((out / "dataset_description.json").read_text())["GeneratedBy"]
    recorded = entry["SettingsHash"]["Segmentation"]
    assert set(recorded) == {"default", *(f"desc-{label}" for label in labels)}
    kept = json.loads((out / "logs/settings.json").read_text())["segmentation"]
    assert set(kept) == {"", *labels}
    assert len(list((out / "logs").glob("ctwml_*.toml"))) == len(labels) + 1
