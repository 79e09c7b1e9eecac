"""A training in parts, from many tasks: what each does, what the merge asks for."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from ctwml_bids.bids import names
from ctwml_bids.segmentation.model_store import load_card
from tests.training.training import image, maps, train, units


def test_parts_one_by_one_give_the_same_as_all_at_once_and_keep_their_networks_where_asked(
    trained, trained_copy, capsys
):
    for name in ("repeat-02_fold-01", "member-02"):
        shutil.rmtree(trained_copy / "out/train/ct/units" / name)
    shutil.rmtree(trained_copy / "out/train/ct/model")
    assert train(trained_copy, "--only", "merge") == 66
    assert "2 units of this training are not done: 2:1, final:2" in capsys.readouterr().err
    assert not (trained_copy / "out/train/ct/model").exists()
    assert train(trained_copy, "--only", "2:1", "--keep-networks") == 0
    assert "3 networks of the cross-validation were trained before" in capsys.readouterr().err
    kept = (trained_copy / "out/train/ct/units").glob("repeat-*/network.safetensors")
    assert [path.parent.name for path in kept] == ["repeat-02_fold-01"]
    assert "repeat-02_fold-01" in units(trained_copy)
    assert "member-02" not in units(trained_copy)
    assert train(trained_copy, "--only", "final:2", "merge") == 0
    expected, found = maps(trained), maps(trained_copy)
    assert expected.keys() == found.keys()
    for name in expected:
        np.testing.assert_array_equal(expected[name], found[name])
    one, other = (load_card(root / "out/train/ct/model") for root in (trained, trained_copy))
    assert one.checksum == other.checksum


def test_a_leaking_unit_is_found_at_the_merge(trained_copy, capsys):
    path = trained_copy / "out/train/ct/units/repeat-01_fold-02/unit.json"
    about = json.loads(path.read_text())
    leaked = about["segmented"][0].split("_")[0]
    about["trained_on"].append(leaked)
    path.write_text(json.dumps(about))
    assert train(trained_copy, "--only", "merge") == 65
    assert f"repeat-01_fold-02 was trained on {leaked}" in capsys.readouterr().err


def test_a_unit_of_another_split_is_found_at_the_merge(trained_copy, capsys):
    path = trained_copy / "out/train/ct/units/repeat-01_fold-02/unit.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"trained_on": about["trained_on"][:-1]}))
    assert train(trained_copy, "--only", "merge") == 65
    assert "trained on other subjects than the plan" in capsys.readouterr().err


def test_a_member_that_was_trained_on_others_is_found_at_the_merge(trained_copy, capsys):
    path = trained_copy / "out/train/ct/units/member-02/unit.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"trained_on": about["trained_on"][:-1]}))
    assert train(trained_copy, "--only", "merge") == 65
    assert "member-02 was trained on other subjects" in capsys.readouterr().err


def test_a_member_without_its_network_is_not_done(trained_copy, capsys):
    (trained_copy / "out/train/ct/units/member-01/network.safetensors").unlink()
    assert train(trained_copy, "--only", "merge") == 66
    assert "1 units of this training are not done: final:1" in capsys.readouterr().err


def test_a_part_does_not_train_on_other_files_than_the_plan_is_of(trained_copy, capsys):
    shutil.rmtree(trained_copy / "out/train/ct/units/repeat-01_fold-01")
    mask = names.wml("03", None, space="FLAIR", seen_in="flair", kind="mask")
    other = names.wml("01", None, space="FLAIR", seen_in="flair", kind="mask")
    shutil.copy(trained_copy / "out" / other, trained_copy / "out" / mask)
    assert train(trained_copy, "--only", "1:1") == 65
    said = capsys.readouterr().err
    assert "sub-03" in said
    assert "when this training was planned" in said
    assert "repeat-01_fold-01" not in units(trained_copy)


def test_a_damaged_map_is_named_at_the_merge(trained_copy, capsys):
    path = trained_copy / "out/train/ct/units/repeat-01_fold-01/maps"
    path = next(path.glob("*.npz"))
    path.write_bytes(path.read_bytes()[:-200])
    assert train(trained_copy, "--only", "merge") == 65
    said = capsys.readouterr().err
    assert str(path) in said
    assert "remove this unit's folder" in said


def test_a_dry_run_tells_what_is_trained_and_ends_with_the_error_of_a_run(trained_copy, capsys):
    assert train(trained_copy, "--dry-run") == 0
    assert "6 of 6 networks are trained" in capsys.readouterr().out
    assert train(trained_copy, "--dry-run", "--steps", "26") == 73


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--steps", "26"), "steps: 25 before, 26 now"),
        (("--folds", "3"), "folds: 2 before"),
        (("--network", "wide"), "variant: 'standard' before, 'wide' now"),
    ],
)
def test_other_settings_in_the_same_folder_are_refused(trained_copy, capsys, options, said):
    assert train(trained_copy, *options) == 73
    error = capsys.readouterr().err
    assert said in error
    assert "--desc LABEL" in error


def test_other_subjects_in_the_same_folder_are_refused(trained_copy, capsys):
    assert train(trained_copy, "--participant-label", "01", "02", "04", "05") == 73
    assert "sub-03 gone" in capsys.readouterr().err


def test_of_a_finished_training_another_threshold_only_merges_again(trained_copy):
    before = {p: p.stat().st_mtime_ns for p in (trained_copy / "out/train/ct/units").rglob("*.npz")}
    assert before
    assert train(trained_copy, "--threshold", "0.6") == 0
    assert load_card(trained_copy / "out/train/ct/model").threshold == 0.6
    mask, probability = (
        np.asarray(
            image(trained_copy, names.wml("01", None, space="CT", seen_in="ct", kind=kind)).dataobj
        )
        for kind in ("cvmask", "cv")
    )
    np.testing.assert_array_equal(mask > 0, probability > 0.6)
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_a_finished_training_is_not_done_again(trained_copy):
    before = {p: p.stat().st_mtime_ns for p in (trained_copy / "out/train/ct/units").rglob("*.npz")}
    assert train(trained_copy) == 0
    assert {p: p.stat().st_mtime_ns for p in before} == before
