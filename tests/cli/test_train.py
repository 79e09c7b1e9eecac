"""The train level on small heads: whom each network saw, what comes of it, what is refused."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.bids import names
from ctwml_bids.cli.main import main
from ctwml_bids.segmentation import ensemble
from ctwml_bids.segmentation.model_store import default, load_card, load_weights
from ctwml_bids.workflows.group import read_units
from tests.cli import trainable
from tests.cli.trainable import CT_GRID, FLAIR_GRID, HEADS, Head
from tests.small_disk import run_on_small_disk

SMALL = [
    *("--folds", "2", "--repeats", "2", "--members", "2", "--steps", "40", "--batch", "4"),
    *("--precision", "float32", "--nprocs", "1"),
]
ROOT = Path(__file__).resolve().parents[2]
LABELS = [names.stem(head.subject, head.session) for head in HEADS]


def train(root: Path, *options: object) -> int:
    """Train on a data set made by `trainable`; later options win over `SMALL`."""
    where = (root / "bids", root / "out", "train", "-w", root / "work", "--device", "cpu")
    return main([*map(str, where), *SMALL, *map(str, options)])


def units(root: Path, folder: str = "ct") -> dict[str, dict]:
    paths = sorted((root / "out/train" / folder / "units").glob("*/unit.json"))
    return {path.parent.name: json.loads(path.read_text()) for path in paths}


def maps(root: Path) -> dict[str, np.ndarray]:
    """Return every out-of-fold map on the network's grid, by unit and label."""
    paths = sorted((root / "out/train/ct/units").glob("*/maps/*.npz"))
    return {f"{p.parts[-3]}/{p.stem}": np.load(p)["probability"] for p in paths}


def image(root: Path, name) -> nib.Nifti1Image:
    return nib.load(root / "out" / name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training that ran in one go."""
    root = tmp_path_factory.mktemp("whole")
    trainable.make(root)
    assert train(root) == 0
    return root


@pytest.fixture
def copy(whole, tmp_path):
    """A copy of it to spoil."""
    shutil.copytree(whole, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def fresh(tmp_path):
    """Nothing is trained yet."""
    trainable.make(tmp_path)
    return tmp_path


def test_no_subject_is_segmented_by_a_network_that_saw_it(whole):
    done = units(whole)
    folds = {name: about for name, about in done.items() if name.startswith("repeat")}
    assert sorted(done) == sorted([*folds, "member-01", "member-02"])
    segmented = {repeat: [] for repeat in ("repeat-01", "repeat-02")}
    for name, about in folds.items():
        subjects = {label.split("_")[0] for label in about["segmented"]}
        assert subjects
        assert subjects.isdisjoint(about["trained_on"])
        # Both sessions of a subject are on one side.
        assert subjects | set(about["trained_on"]) == {f"sub-0{i}" for i in range(1, 6)}
        segmented[name.split("_")[0]] += about["segmented"]
    assert all(sorted(labels) == LABELS for labels in segmented.values())


def test_out_of_fold_maps_are_the_mean_of_the_repeats_on_the_images_own_grids(whole):
    for head in HEADS:
        of = (head.subject, head.session)
        for space, grid in (("CT", CT_GRID), ("FLAIR", FLAIR_GRID)):
            probability, mask = (
                image(whole, names.wml(*of, space=space, seen_in="ct", kind=kind))
                for kind in ("cv", "cvmask")
            )
            assert probability.shape == mask.shape == grid.shape
            np.testing.assert_allclose(probability.affine, grid.affine, atol=1e-5)
            found = np.asarray(probability.dataobj)
            np.testing.assert_array_equal(np.asarray(mask.dataobj) > 0, found > 0.25)
            assert found.max() > 0.25
    one, two = (array for name, array in maps(whole).items() if name.endswith("/sub-01"))
    assert not np.array_equal(one, two)
    peak = (one.astype(float) + two).max() / 2 / 1024
    found = np.asarray(
        image(whole, names.wml("01", None, space="CT", seen_in="ct", kind="cv")).dataobj
    )
    assert found.max() <= peak + 1 / 1024
    assert found.max() > 0.6 * peak


def test_lesions_are_learned_where_the_transforms_bring_them(whole):
    """FLAIR lies 5.8 mm from the CT: with the transforms left out, they would not be."""
    for head in HEADS:
        if head.centres:
            name = names.wml(head.subject, head.session, space="CT", seen_in="ct", kind="cv")
            found = np.asarray(image(whole, name).dataobj)
            lesions = trainable.lesions_on(CT_GRID, head, np.eye(4))
            brain = trainable.ellipsoid(CT_GRID, trainable.BRAIN)
            assert found[lesions].mean() > 1.3 * found[brain & ~lesions].mean(), name


def test_the_model_is_usable_and_its_card_says_how_it_was_made(whole):
    folder = whole / "out/train/ct/model"
    card = load_card(folder)
    assert len(ensemble.load(folder).members) == 2
    assert (card.name, card.modality, card.threshold) == ("trained-ct", "ct", 0.25)
    about = card.training
    assert about["subjects"] == [f"sub-0{i}" for i in range(1, 6)]
    assert [set(split) for split in about["splits"]] == [set(about["subjects"])] * 2
    assert about["units_without_lesion"] == 1
    assert about["protocol"]["steps"] == 40
    assert [row["step"] for row in about["curves"]] == [40]
    assert card.accuracy["units"] == 6
    assert 0 <= card.accuracy["dice"] <= 1
    for unit in units(whole):
        if unit.startswith("member"):
            assert units(whole)[unit]["trained_on"] == about["subjects"]
    seeds = {about["seed"] for about in units(whole).values()}
    assert len(seeds) == 6


def test_networks_of_the_cross_validation_are_dropped_and_heads_too(whole):
    left = sorted((whole / "out/train").rglob("*.safetensors"))
    assert [path.parent.name for path in left] == ["model", "model", "member-01", "member-02"]
    assert not list((whole / "work").rglob("*.npy"))
    assert not list(whole.rglob("*.tmp*"))


def test_tables_and_report_are_there(whole):
    folder = whole / "out/train/ct"
    with (folder / "accuracy.tsv").open() as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    assert [row["unit"] for row in rows] == LABELS
    for row, head in zip(rows, HEADS, strict=True):
        lesions = trainable.lesions_on(FLAIR_GRID, head, trainable.FLAIR_TO_CT)
        assert float(row["truth_ml"]) == pytest.approx(
            lesions.sum() * FLAIR_GRID.voxel_ml, rel=1e-4
        )
    page = (whole / "out/train-ct.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "Learning curves" in page
    assert "train/ct/model" in page


def test_group_takes_the_out_of_fold_results(copy):
    rows, failures = read_units(copy / "out")
    assert failures == []
    with (copy / "out/train/ct/accuracy.tsv").open() as table:
        expected = {row["unit"]: row for row in csv.DictReader(table, delimiter="\t")}
    for row in rows:
        assert row["ct_model"] == "trained-ct"
        assert row["ct_wml_ml"] == pytest.approx(float(expected[row["unit"]]["cv_ml"]), rel=1e-3)
        assert row["dice"] == pytest.approx(float(expected[row["unit"]]["dice"]), abs=1e-3)
        assert row["flair_model"] == "shipped-flair"
        assert (row["out_of_fold"], row["out_of_fold_label"]) == ("ct", "")
    # A unit that was measured anew from another image has no out-of-fold results of it.
    path = copy / "out/logs/sub-01/status.json"
    status = json.loads(path.read_text())
    status["request"]["inputs"]["sub-01/ct/sub-01_ct.nii.gz"][-1] = "another"
    path.write_text(json.dumps(status))
    models = {row["unit"]: row["ct_model"] for row in read_units(copy / "out")[0]}
    assert models["sub-01"] == "shipped-ct"
    assert models["sub-02"] == "trained-ct"


def test_parts_one_by_one_give_the_same_as_all_at_once(whole, copy, capsys):
    for name in ("repeat-02_fold-01", "member-02"):
        shutil.rmtree(copy / "out/train/ct/units" / name)
    shutil.rmtree(copy / "out/train/ct/model")
    assert train(copy, "--only", "merge") == 66
    assert "2 units of this training are not done: 2:1, final:2" in capsys.readouterr().err
    assert not (copy / "out/train/ct/model").exists()
    assert train(copy, "--only", "2:1") == 0
    assert "repeat-02_fold-01" in units(copy)
    assert "member-02" not in units(copy)
    assert train(copy, "--only", "final:2", "merge") == 0
    expected, found = maps(whole), maps(copy)
    assert expected.keys() == found.keys()
    for name in expected:
        np.testing.assert_array_equal(expected[name], found[name])
    one, other = (load_card(root / "out/train/ct/model") for root in (whole, copy))
    assert one.checksum == other.checksum


def test_a_leaking_unit_is_found_at_the_merge(copy, capsys):
    path = copy / "out/train/ct/units/repeat-01_fold-02/unit.json"
    about = json.loads(path.read_text())
    leaked = about["segmented"][0].split("_")[0]
    about["trained_on"].append(leaked)
    path.write_text(json.dumps(about))
    assert train(copy, "--only", "merge") == 65
    assert f"repeat-01_fold-02 was trained on {leaked}" in capsys.readouterr().err


def test_a_unit_of_another_split_is_found_at_the_merge(copy, capsys):
    path = copy / "out/train/ct/units/repeat-01_fold-02/unit.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"trained_on": about["trained_on"][:-1]}))
    assert train(copy, "--only", "merge") == 65
    assert "trained on other subjects than the plan" in capsys.readouterr().err


def test_a_finished_training_is_not_done_again(copy):
    before = {p: p.stat().st_mtime_ns for p in (copy / "out/train/ct/units").rglob("*.npz")}
    assert train(copy) == 0
    assert {p: p.stat().st_mtime_ns for p in before} == before


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--steps", "41"), "steps: 40 before, 41 now"), (("--folds", "3"), "folds: 2 before")],
)
def test_other_settings_in_the_same_folder_are_refused(copy, capsys, options, said):
    assert train(copy, *options) == 73
    error = capsys.readouterr().err
    assert said in error
    assert "--desc LABEL" in error


def test_other_subjects_in_the_same_folder_are_refused(copy, capsys):
    assert train(copy, "--participant-label", "01", "02", "04", "05") == 73
    assert "sub-03 gone" in capsys.readouterr().err


def test_another_threshold_only_merges_again(copy):
    before = maps(copy)
    assert train(copy, "--threshold", "0.6") == 0
    assert load_card(copy / "out/train/ct/model").threshold == 0.6
    mask, probability = (
        np.asarray(image(copy, names.wml("01", None, space="CT", seen_in="ct", kind=kind)).dataobj)
        for kind in ("cvmask", "cv")
    )
    np.testing.assert_array_equal(mask > 0, probability > 0.6)
    assert maps(copy).keys() == before.keys()


ONE_STEP = ("--repeats", "1", "--members", "1", "--steps", "1", "--batch", "2")


def test_a_flair_network_is_trained_from_manual_masks(fresh):
    masks = fresh / "masks"
    for head in HEADS[:5]:  # nobody has drawn the last
        of = (head.subject, head.session)
        drawn = fresh / "out" / names.wml(*of, space="FLAIR", seen_in="flair", kind="mask")
        target = masks / names.folder(*of) / "anat"
        target.mkdir(parents=True)
        shutil.copy(drawn, target / f"{names.stem(*of)}_space-FLAIR_label-WML_mask.nii.gz")
        # Of a second rater, and of something else.
        for other in ("label-WML_desc-rater2_mask", "desc-brain_mask"):
            shutil.copy(drawn, target / f"{names.stem(*of)}_space-FLAIR_{other}.nii.gz")
    how = ("--modality", "flair", "--labels", "manual", "-d", f"masks={masks}")
    assert train(fresh, *ONE_STEP, *how) == 0
    card = load_card(fresh / "out/train/flair/model")
    assert (card.modality, card.channels, card.threshold) == ("flair", ("zscore",), 0.5)
    plan = json.loads((fresh / "out/train/flair/plan.json").read_text())
    assert sorted(plan["cases"]) == LABELS[:5]
    assert "no mask" in plan["left_out"]["sub-05_ses-b"]
    name = names.wml("01", None, space="FLAIR", seen_in="flair", kind="cv")
    assert image(fresh, name).shape == FLAIR_GRID.shape


def test_networks_begin_from_the_shipped_ones(fresh):
    assert train(fresh, *ONE_STEP, "--init", "shipped", "--desc", "tuned") == 0
    shipped, card = load_card(default("ct")), load_card(fresh / "out/train/ct_desc-tuned/model")
    assert shipped.name in card.license
    assert (card.channels, card.context, card.flip) == (
        shipped.channels,
        shipped.context,
        shipped.flip,
    )
    one, other = (
        load_weights(folder / some.members[0].file)["head.weight"]
        for folder, some in (
            (default("ct"), shipped),
            (fresh / "out/train/ct_desc-tuned/model", card),
        )
    )
    np.testing.assert_allclose(one, other, atol=1e-3)  # a step of 1e-4
    assert (
        fresh
        / "out"
        / names.wml("01", None, space="CT", seen_in="ct", kind="cvmask", model_label="tuned")
    ).is_file()


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


def test_subjects_are_left_out_by_a_file_and_by_a_column(fresh, capsys):
    table = fresh / "bids/participants.tsv"
    rows = table.read_text().splitlines()
    cells = ["exclude", "tumour", "no", "n/a", "no", "no"]
    table.write_text("".join(f"{row}\t{cell}\n" for row, cell in zip(rows, cells, strict=True)))
    listed = fresh / "leave-out.tsv"
    listed.write_text("participant_id\treason\nsub-04\tcortical infarct\n")
    assert train(fresh, "--exclude", listed, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "3 subjects (4 images" in said
    assert "sub-01: left out: excluded in participants.tsv: tumour" in said
    assert "sub-04: left out: excluded by leave-out.tsv: cortical infarct" in said
    listed.write_text("sub-77\n")
    assert train(fresh, "--exclude", listed, "--dry-run") == 16
    assert "sub-77" in capsys.readouterr().err


def test_a_unit_with_a_failed_gate_is_left_out_unless_asked_for(fresh, capsys):
    table = fresh / "out" / names.stats("02", None)
    table.write_text(table.read_text().replace("pass", "fail"))
    assert train(fresh, "--dry-run") == 0
    assert "sub-02: left out: it failed a quality gate" in capsys.readouterr().out
    assert train(fresh, "--dry-run", "--include-failed-qc") == 0
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
def test_what_cannot_be_trained_is_told(fresh, capsys, options, code, said):
    assert train(fresh, *options) == code
    assert said in capsys.readouterr().err
    assert not list((fresh / "work").rglob("*.npy"))


def test_subjects_without_any_lesions_are_told(tmp_path, capsys):
    trainable.make(tmp_path, [Head(f"0{i}", None, ()) for i in range(1, 4)])
    assert train(tmp_path) == 65
    assert "nothing to learn" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["FLAIR", trainable.TEMPLATE])
def test_a_missing_transform_is_named_with_what_to_do(fresh, capsys, target):
    path = fresh / "out" / names.xfm("04", None, source="CT", target=target)
    path.unlink()
    assert train(fresh) == 66
    said = capsys.readouterr().err
    assert str(path) in said
    assert "Run `participant` again" in said


def test_an_image_that_changed_since_it_was_measured_is_refused(fresh, capsys):
    path = fresh / "bids/sub-04/ct/sub-04_ct.nii.gz"
    shutil.copy(fresh / "bids/sub-01/ct/sub-01_ct.nii.gz", path)
    assert train(fresh) == 65
    assert f"{path}: has other contents" in capsys.readouterr().err


def test_a_training_that_is_killed_goes_on_to_the_same_result(fresh, tmp_path_factory):
    """Kill -9 in mid-epoch, twice, against a run that nobody killed."""
    other = tmp_path_factory.mktemp("killed") / "root"
    shutil.copytree(fresh, other)
    options = ("--repeats", "1", "--steps", "120", "--batch", "1", "--only", "1:1")
    assert train(fresh, *options) == 0
    folder = other / "out/train/ct/units/repeat-01_fold-01"
    # In the first 100 steps there is no checkpoint yet; after them there is.
    for sign in ("log.tsv", "checkpoint.safetensors"):
        running = start(other, *options)
        wait_for(folder / sign, running)
        running.kill()
        running.wait()
        assert not (folder / "unit.json").exists()
    assert train(other, *options) == 0
    expected, found = maps(fresh), maps(other)
    assert len(expected) == len(found) >= 2
    for name in expected:
        np.testing.assert_array_equal(expected[name], found[name])
    logs = [units(root)["repeat-01_fold-01"]["log"] for root in (fresh, other)]
    assert [(r["step"], r["loss"]) for r in logs[0]] == [(r["step"], r["loss"]) for r in logs[1]]


def start(root: Path, *options: str) -> subprocess.Popen:
    where = (root / "bids", root / "out", "train", "-w", root / "work", "--device", "cpu")
    command = [sys.executable, "run.py", *map(str, where), *SMALL, *options]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)


def wait_for(path: Path, running: subprocess.Popen) -> None:
    while not path.is_file():
        assert running.poll() is None
        time.sleep(0.02)


def test_a_full_disk_stops_with_a_message_and_loses_nothing(fresh, tmp_path):
    heads = tmp_path / "small"
    arguments = (fresh / "bids", fresh / "out", "train", "-w", heads, *SMALL, "--device", "cpu")
    # Room for the first heads of six.
    code, said, left = run_on_small_disk(heads, "12m", *arguments, "--only", "heads")
    assert code == 74, said
    assert "make room" in said.lower()
    assert "Traceback" not in said
    assert not list(left.rglob("*.part*"))
    assert (fresh / "out/train/ct/plan.json").is_file()
    assert train(fresh, "--only", "heads") == 0
