"""Training on manual masks of WML and of infarcts."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ctwml_bids.bids import names
from ctwml_bids.bids.files import write_nifti
from ctwml_bids.cli.parser import parse
from ctwml_bids.preprocessing.grids import image_on
from ctwml_bids.segmentation.model_store import load_card
from ctwml_bids.training.mapped_heads import open_mapped
from ctwml_bids.training.maps import THRESHOLDS, dice_by_threshold
from ctwml_bids.training.missing import missing_networks
from ctwml_bids.training.setup import for_cases, settle, settle_with_cases
from tests.training import trainable
from tests.training.trainable import CT_GRID, DARK_ML, FLAIR_GRID, FLAIR_TO_CT, HEADS
from tests.training.training import SMALL, image, train


def draw(root, head, label: str, lesions: np.ndarray, grid, space: str) -> None:
    of = (head.subject, head.session)
    name = f"{names.stem(*of)}_space-{space}_label-{label}_mask.nii.gz"
    target = root / "masks" / names.folder(*of) / "anat" / name
    write_nifti(target, image_on(lesions.astype(np.uint8), grid))


def how(root: Path) -> list[str]:
    few = ["--repeats", "1", "--members", "1", "--steps", "1", "--batch", "2"]
    few += ["--labels", "manual", "-d", f"masks={root / 'masks'}", "--keep-work", "always"]
    return [*few, "--threshold", "0.2"]


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> Path:
    """A training: the second lesion of each head is an infarct; of sub-04 it is WML, too."""
    root = tmp_path_factory.mktemp("three")
    trainable.make(root)
    for head in HEADS:
        first, second = (replace(head, centres=head.centres[at]) for at in (slice(1), slice(1, 2)))
        wml = trainable.lesions_on(FLAIR_GRID, first, FLAIR_TO_CT)
        infarct = trainable.lesions_on(CT_GRID, second, np.eye(4))
        if head.subject == "04":
            wml = trainable.lesions_on(FLAIR_GRID, head, FLAIR_TO_CT)
        draw(root, head, "WML", wml, FLAIR_GRID, "FLAIR")
        if infarct.any():
            draw(root, head, "infarct", infarct, CT_GRID, "CT")
    assert train(root, *how(root)) == 0
    return root


def accuracy(root: Path) -> dict[str, dict[str, str]]:
    with (root / "out/train/ct/accuracy.tsv").open() as stream:
        return {row["unit"]: row for row in csv.DictReader(stream, delimiter="\t")}


def test_the_model_has_three_classes_and_a_threshold_of_each(three):
    card = load_card(three / "out/train/ct/model")
    assert card.classes == ("background", "WML", "infarct")
    assert (card.threshold, card.infarct_threshold) == (0.2, 0.25)
    assert card.training["protocol"]["classes"] == 3
    assert card.accuracy["with_infarct"] == 3


def test_what_is_drawn_as_both_is_learned_as_infarct(three):
    folder = next((three / "work").rglob("sub-04_used_image.npy")).parent
    labels = np.asarray(open_mapped(folder, "sub-04_used").labels)
    counts = np.bincount(labels.astype(int).ravel())
    assert len(counts) == 3
    # Balls of 8 mm radius.
    assert counts[1] == pytest.approx(counts[2], rel=0.1)
    assert counts[1] * 0.003 == pytest.approx(2.14, rel=0.1)


def test_out_of_fold_maps_and_tables_tell_infarcts_apart(three):
    maps = {
        label: [
            image(three, named("01", None, space="CT", seen_in="ct", kind=kind)).get_fdata()
            for kind in ("cv", "cvmask")
        ]
        for label, named in (("WML", names.wml), ("infarct", names.infarct))
    }
    assert not np.logical_and(maps["WML"][1], maps["infarct"][1]).any()
    assert maps["infarct"][0].max() > 0
    rows = accuracy(three)
    assert float(rows["sub-01"]["infarct_truth_ml"]) == pytest.approx(2.14, rel=0.1)
    assert float(rows["sub-02"]["infarct_truth_ml"]) == 0
    table = three / "out" / names.cross_validated_stats("01", None)
    with table.open() as stream:
        own = {row["image"]: row for row in csv.DictReader(stream, delimiter="\t")}
    found = image(three, names.infarct("01", None, space="CT", seen_in="ct", kind="cvmask"))
    ml = np.count_nonzero(found.dataobj) * CT_GRID.voxel_ml
    assert float(own["ct"]["infarct_ml"]) == pytest.approx(ml, abs=1e-4)
    page = (three / "out/train-ct.html").read_text()
    assert "3 of 6 images have a manual mask of infarcts; the others are taken to have no" in page


def test_a_begun_training_is_planned_for_slurm(three):
    where = [three / "bids", three / "out", "train", "-w", three / "work", "--device", "cpu"]
    settings = parse([*map(str, where), *SMALL, *how(three)])
    missing = missing_networks(settings, 1, three / "work")
    assert missing.tasks == []
    assert missing.lines[-1] == "0 networks to train on 6 images, 3 done"


def told(root: Path) -> tuple[dict[str, dict[str, str]], dict]:
    """The rows of sub-01's out-of-fold table, by image, and its sidecar."""
    table = root / "out" / names.cross_validated_stats("01", None)
    with table.open() as stream:
        rows = {row["image"]: row for row in csv.DictReader(stream, delimiter="\t")}
    return rows, json.loads(names.sidecar(table).read_text())


def test_infarcts_that_are_drawn_on_the_other_image_are_no_wml_of_the_truth(three):
    """Of sub-04 both balls are drawn as WML on the FLAIR, and one as infarct on the CT."""
    planned = json.loads((three / "out/train/ct/plan.json").read_text())["cases"]
    head = next(head for head in HEADS if head.subject == "04")
    drawn = trainable.lesions_on(FLAIR_GRID, replace(head, centres=head.centres[:1]), FLAIR_TO_CT)
    first_ml = np.count_nonzero(drawn) * FLAIR_GRID.voxel_ml
    # The slices of the CT are thicker, so that a rim of the other is left.
    assert first_ml <= planned["sub-04"]["lesion_ml"] < 1.3 * first_ml
    truth_ml = float(accuracy(three)["sub-04"]["truth_ml"])
    assert truth_ml == pytest.approx(planned["sub-04"]["lesion_ml"], abs=1e-3)


def test_the_dice_by_threshold_is_that_of_masks_without_the_voxels_of_infarcts():
    wml, infarct = np.array([[0.7, 0.52, 0.0, 0.0], [0.1, 0.4, 0.9, 0.0]])
    truth = np.array([True, False, False, False])
    found = dict(zip(THRESHOLDS, dice_by_threshold(wml, truth, infarct, 0.25), strict=True))
    # 0.4 / 0.25 is more than 0.52 / 0.5, and less than 0.52 / 0.3.
    assert found[0.5] == 1
    assert found[0.3] == pytest.approx(2 / 3)
    alone = dict(zip(THRESHOLDS, dice_by_threshold(wml, truth), strict=True))
    assert alone[0.5] == pytest.approx(2 / 3)


def test_at_the_threshold_in_use_the_dice_by_threshold_is_that_of_the_maps(three):
    card = load_card(three / "out/train/ct/model")
    assert card.accuracy["dice_by_threshold"]["0.2"] == card.accuracy["dice"]


def test_the_gate_of_out_of_fold_infarcts_takes_the_place_of_that_of_dark_areas(three):
    rows, sidecar = told(three)
    gates = {gate["name"]: gate for gate in sidecar["QualityGates"]}
    assert "CT large hypodensity" not in gates
    unmarked = sidecar["Facts"]["ct"]["quality"]["dark_unmarked_ml"]
    expected = float(rows["ct"]["infarct_ml"]) + unmarked
    assert gates["CT infarcts"]["value"] == pytest.approx(expected, abs=1e-3)


def test_sidecars_of_infarct_maps_have_the_threshold_of_infarcts_alone(three):
    for named, key, threshold in (
        (names.wml, "Threshold", 0.2),
        (names.infarct, "InfarctThreshold", 0.25),
    ):
        name = named("01", None, space="CT", seen_in="ct", kind="cvmask")
        sidecar = json.loads((three / "out" / names.sidecar(name)).read_text())
        about = sidecar["CrossValidation"]
        assert about[key] == sidecar["Threshold"] == threshold
        assert not {"Threshold", "InfarctThreshold"} - {key} & about.keys()


def test_the_page_tells_how_infarcts_were_found(three):
    page = (three / "out/train-ct.html").read_text()
    card = load_card(three / "out/train/ct/model")
    found = f"{card.accuracy['infarct_dice']:.2f}"
    assert f"Mean Dice of infarcts is {found} in 3 images that have some" in page
    for heading in ("True infarcts (mL)", "Out-of-fold infarcts (mL)", "Dice of infarcts"):
        assert f">{heading}</th>" in page
    assert "50% beside WML and 20% beside infarcts" in page
    curves = (three / "out/train/ct/curves.tsv").read_text()
    assert curves.splitlines()[0].endswith("\tdice_infarct")
    assert all("dice_infarct" in row for row in card.training["curves"])


def test_a_training_of_two_classes_leaves_nothing_of_one_of_three(three, tmp_path):
    root = tmp_path / "again"
    shutil.copytree(three, root)
    for path in root.glob("masks/**/*label-infarct*"):
        path.unlink()
    shutil.rmtree(root / "out/train")
    assert list((root / "out").rglob("*label-infarct*"))
    assert train(root, *how(root)) == 0
    assert not list((root / "out").rglob("*label-infarct*"))
    page = (root / "out/train-ct.html").read_text()
    assert "nfarct" not in page
    assert "50% beside WML." in page
    rows, sidecar = told(root)
    assert rows["ct"]["infarct_ml"] == "n/a"
    gates = {gate["name"]: gate for gate in sidecar["QualityGates"]}
    assert "CT infarcts" not in gates
    assert gates["CT large hypodensity"]["value"] == DARK_ML
    assert "dark_unmarked_ml" not in sidecar["Facts"]["ct"]["quality"]


def test_networks_that_lose_the_class_of_infarcts_are_cautioned_of(three):
    where = [three / "bids", three / "out", "train", "-w", three / "work", "--device", "cpu"]
    settings = parse([*map(str, where), *SMALL, *how(three), "--init", "shipped", "--dry-run"])
    training, cases, _ = settle_with_cases(settings)
    undrawn = [replace(case, infarcts=None) for case in cases]
    assert for_cases(settle(settings), undrawn).cautions == ()
    card = replace(
        training.recipe.beginning.card,
        classes=("background", "WML", "infarct"),
        infarct_threshold=0.4,
    )
    begun = replace(training.recipe.beginning, card=card)
    of_three = replace(training, recipe=replace(training.recipe, beginning=begun), cautions=())
    (caution,) = for_cases(of_three, undrawn).cautions
    assert f"begin from {card.name}, which tells infarcts apart" in caution
    assert "unlearn" not in "".join(for_cases(of_three, cases).cautions)
