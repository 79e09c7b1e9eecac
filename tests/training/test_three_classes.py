"""Training on manual masks of WML and of infarcts."""

from __future__ import annotations

import csv
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
from ctwml_bids.training.missing import missing_networks
from tests.training import trainable
from tests.training.trainable import CT_GRID, FLAIR_GRID, FLAIR_TO_CT, HEADS
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
