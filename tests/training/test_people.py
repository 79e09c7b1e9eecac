"""Who is trained on, who is left out together, and what cannot be trained on."""

from __future__ import annotations

import json
import shutil

import pytest

from ctwml_bids.bids import names
from ctwml_bids.bids.fingerprints import fingerprint
from tests.training import trainable
from tests.training.trainable import Head
from tests.training.training import train


def test_splits_are_stratified_by_fazekas_groups_where_all_are_rated(tmp_path):
    ratings = {"sub-01": "1", "sub-02": "3", "sub-03": "0", "sub-04": "3", "sub-05": "2"}
    trainable.make(tmp_path, fazekas=ratings)
    assert train(tmp_path, "--only", "heads") == 0
    plan = json.loads((tmp_path / "out/train/ct/plan.json").read_text())
    assert plan["stratified_by"] == "Fazekas group"
    for split in plan["splits"]:
        assert split["sub-02"] != split["sub-04"]
        assert split["sub-01"] != split["sub-03"]  # both of the group 0-1
    assert len(list((tmp_path / "work").rglob("*_used_image.npy"))) == 6


def test_volumes_stratify_where_a_subject_is_not_rated(tmp_path, capsys):
    ratings = {"sub-01": "1", "sub-02": "3", "sub-03": "n/a", "sub-04": "3", "sub-05": "2"}
    trainable.make(tmp_path, fazekas=ratings)
    assert train(tmp_path, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "stratified by lesion volume" in said
    assert "5 subjects (6 images, 1 without lesions" in said
    assert not (tmp_path / "out/train").exists()


def test_subjects_are_left_out_by_a_file_and_by_a_column(untrained, capsys):
    table = untrained / "bids/participants.tsv"
    rows = table.read_text().splitlines()
    cells = ["exclude", "tumour", "no", "n/a", "no", "no"]
    table.write_text("".join(f"{row}\t{cell}\n" for row, cell in zip(rows, cells, strict=True)))
    listed = untrained / "leave-out.tsv"
    listed.write_text("participant_id\treason\nsub-04\tcortical infarct\n")
    assert train(untrained, "--exclude", listed, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "3 subjects (4 images" in said
    assert "sub-01: left out: excluded in participants.tsv: tumour" in said
    assert "sub-04: left out: excluded by leave-out.tsv: cortical infarct" in said
    assert train(untrained, "--exclude", "77", "--dry-run") == 0
    assert "sub-77: to be left out (excluded by --exclude), not in" in capsys.readouterr().out
    assert train(untrained, "--exclude", "4", "--dry-run") == 16
    assert "sub-4 is to be left out and is not here, and sub-04 is" in capsys.readouterr().err


def test_a_unit_whose_table_does_not_tell_its_quality_is_left_out(untrained, capsys):
    (untrained / "out" / names.stats("02", None)).write_text("image\tqc\nct\n")
    (untrained / "out" / names.stats("04", None)).unlink()
    assert train(untrained, "--dry-run", "--include-failed-qc") == 0
    said = capsys.readouterr().out
    for label in ("sub-02", "sub-04"):
        assert f"{label}: left out: its table of volumes does not say whether" in said


def test_a_unit_with_a_failed_gate_is_left_out_unless_asked_for(untrained, capsys):
    table = untrained / "out" / names.stats("02", None)
    table.write_text(table.read_text().replace("pass", "fail"))
    assert train(untrained, "--dry-run") == 0
    assert "sub-02: left out: it failed a quality gate" in capsys.readouterr().out
    assert train(untrained, "--dry-run", "--include-failed-qc") == 0
    assert "sub-02" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--folds", "10"), 64, "5 subjects can be trained on, which cannot be split into 10"),
        (("--labels", "manual"), 64, "-d masks=PATH"),
        (("--modality", "flair"), 64, "--labels manual"),
        (("--only", "3:1"), 64, "--only 3:1: there are repeats 1 to 2"),
        (("--exclude", "nowhere.txt"), 66, "nowhere.txt"),
        (("--participant-label", "99"), 66, "no unit here can be trained on"),
    ],
)
def test_what_cannot_be_trained_is_told(untrained, capsys, options, code, said):
    assert train(untrained, *options) == code
    assert said in capsys.readouterr().err
    assert not list((untrained / "work").rglob("*.npy"))


def test_subjects_without_any_lesions_are_told(tmp_path, capsys):
    trainable.make(tmp_path, [Head(f"0{i}", None, ()) for i in range(1, 4)])
    assert train(tmp_path) == 65
    assert "nothing to learn" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["FLAIR", trainable.TEMPLATE])
def test_a_missing_transform_is_named_with_what_to_do(untrained, capsys, target):
    path = untrained / "out" / names.xfm("04", None, source="CT", target=target)
    path.unlink()
    assert train(untrained) == 66
    said = capsys.readouterr().err
    assert str(path) in said
    assert "Run `participant` again" in said


def test_an_image_that_changed_since_it_was_measured_is_refused(untrained, capsys):
    path = untrained / "bids/sub-04/ct/sub-04_ct.nii.gz"
    shutil.copy(untrained / "bids/sub-01/ct/sub-01_ct.nii.gz", path)
    assert train(untrained) == 65
    assert f"{path}: has other contents" in capsys.readouterr().err


def test_one_image_under_two_names_is_refused(untrained, capsys):
    """Each would be segmented by networks that saw the other."""
    image = untrained / "bids/sub-04/ct/sub-04_ct.nii.gz"
    shutil.copy(untrained / "bids/sub-02/ct/sub-02_ct.nii.gz", image)
    path = untrained / "out" / names.status("04", None)
    status = json.loads(path.read_text())
    status["request"]["inputs"]["sub-04/ct/sub-04_ct.nii.gz"] = fingerprint(image)
    path.write_text(json.dumps(status))
    assert train(untrained) == 65
    said = capsys.readouterr().err
    assert "sub-02 and sub-04 have the same image" in said
    assert train(untrained, "--exclude", "04", "--dry-run") == 0
