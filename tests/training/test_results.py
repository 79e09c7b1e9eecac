"""What comes of a training: whom each network saw, maps, model, tables, report, the group."""

from __future__ import annotations

import csv
import json
import shutil

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from ctwml_bids.bids import names
from ctwml_bids.group.cross_validated import picture_of
from ctwml_bids.group.summary import GroupOptions, read_units, run_group
from ctwml_bids.preprocessing.normalisation import from_grid, network_grid
from ctwml_bids.segmentation import ensemble
from ctwml_bids.segmentation.model_store import load_card
from ctwml_bids.templates import packaged
from tests.training import trainable
from tests.training.trainable import CT_GRID, FLAIR_GRID, HEADS, LABELS
from tests.training.training import image, maps, units


def test_no_subject_is_segmented_by_a_network_that_saw_it(trained):
    done = units(trained)
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


def test_out_of_fold_maps_are_the_mean_of_the_repeats_on_the_images_own_grids(trained):
    for head in HEADS:
        of = (head.subject, head.session)
        for space, grid in (("CT", CT_GRID), ("FLAIR", FLAIR_GRID)):
            probability, mask = (
                image(trained, names.wml(*of, space=space, seen_in="ct", kind=kind))
                for kind in ("cv", "cvmask")
            )
            assert probability.shape == mask.shape == grid.shape
            np.testing.assert_allclose(probability.affine, grid.affine, atol=1e-5)
            found = np.asarray(probability.dataobj)
            np.testing.assert_array_equal(np.asarray(mask.dataobj) > 0, found > 0.25)
            assert found.max() > 0.25
    one, two = (array for name, array in maps(trained).items() if name.endswith("/sub-01"))
    assert not np.array_equal(one, two)
    peak = (one.astype(float) + two).max() / 2 / 1024
    found = np.asarray(
        image(trained, names.wml("01", None, space="CT", seen_in="ct", kind="cv")).dataobj
    )
    assert found.max() <= peak + 1 / 1024
    assert found.max() > 0.6 * peak


def test_the_spread_over_the_repeats_is_their_standard_deviation(trained):
    grid = network_grid(nib.load(packaged().brain_mask))
    frame = trainable.TEMPLATE_TO_CT
    for head in HEADS[:2]:
        of = (head.subject, head.session)
        both = [a / 1024 for n, a in maps(trained).items() if n.endswith(f"/{names.stem(*of)}")]
        assert len(both) == 2
        expected = from_grid(np.abs(both[0] - both[1]) / 2, grid, frame, CT_GRID)
        found = image(trained, names.wml(*of, space="CT", seen_in="ct", kind="cvstd"))
        assert expected.max() > 0.01
        written = np.asarray(found.dataobj)
        # Fluid of the ventricles, which is no lesion, has none; at its border it is interpolated.
        fluid = (written == 0) & (expected > 1 / 1024)
        assert fluid.mean() < 1e-3
        compared = ~ndimage.binary_dilation(fluid, np.ones((3, 3, 3)))
        np.testing.assert_allclose(written[compared], expected[compared], atol=1 / 1024)
        name = names.wml(*of, space="FLAIR", seen_in="ct", kind="cvstd")
        assert image(trained, name).shape == FLAIR_GRID.shape
        sidecar = json.loads((trained / "out" / names.sidecar(name)).read_text())
        assert sidecar["Description"].startswith("Standard deviation over the repeats")
        assert "Threshold" not in sidecar


def test_lesions_are_learned_where_the_transforms_bring_them(trained):
    """FLAIR lies 5.8 mm from the CT: with the transforms left out, they would not be."""
    for head in HEADS:
        if head.centres:
            name = names.wml(head.subject, head.session, space="CT", seen_in="ct", kind="cv")
            found = np.asarray(image(trained, name).dataobj)
            lesions = trainable.lesions_on(CT_GRID, head, np.eye(4))
            brain = trainable.ellipsoid(CT_GRID, trainable.BRAIN)
            assert found[lesions].mean() > 1.3 * found[brain & ~lesions].mean(), name


def test_the_model_is_usable_and_its_card_says_how_it_was_made(trained):
    folder = trained / "out/train/ct/model"
    card = load_card(folder)
    assert len(ensemble.load(folder).members) == 2
    assert (card.name, card.modality, card.threshold) == ("trained-ct", "ct", 0.25)
    about = card.training
    assert about["subjects"] == [f"sub-0{i}" for i in range(1, 6)]
    assert [set(split) for split in about["splits"]] == [set(about["subjects"])] * 2
    assert about["units_without_lesion"] == 1
    assert about["protocol"]["steps"] == 25
    assert [row["step"] for row in about["curves"]] == [25]
    assert card.accuracy["units"] == 6
    assert 0 <= card.accuracy["dice"] <= 1
    for unit in units(trained):
        if unit.startswith("member"):
            assert units(trained)[unit]["trained_on"] == about["subjects"]
    seeds = {about["seed"] for about in units(trained).values()}
    assert len(seeds) == 6


def test_networks_of_the_cross_validation_are_dropped_and_heads_too(trained):
    left = sorted((trained / "out/train").rglob("*.safetensors"))
    assert [path.parent.name for path in left] == ["model", "model", "member-01", "member-02"]
    assert not list((trained / "work").rglob("*.npy"))
    assert not list(trained.rglob("*.tmp*"))


def test_tables_and_report_are_there(trained):
    folder = trained / "out/train/ct"
    with (folder / "accuracy.tsv").open() as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    assert [row["unit"] for row in rows] == LABELS
    for row, head in zip(rows, HEADS, strict=True):
        lesions = trainable.lesions_on(FLAIR_GRID, head, trainable.FLAIR_TO_CT)
        assert float(row["truth_ml"]) == pytest.approx(
            lesions.sum() * FLAIR_GRID.voxel_ml, rel=1e-4
        )
    page = (trained / "out/train-ct.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "Learning curves" in page
    assert "train/ct/model" in page


def test_out_of_fold_lesions_are_judged_by_the_gates_again(trained):
    for head in HEADS:
        table = trained / "out" / names.cross_validated_stats(head.subject, head.session)
        with table.open(newline="") as opened:
            rows = {row["image"]: row for row in csv.DictReader(opened, delimiter="\t")}
        gates = json.loads(names.sidecar(table).read_text())["QualityGates"]
        by_name = {gate["name"]: gate for gate in gates}
        assert sorted(by_name) == [
            "CT large hypodensity",
            "CT lesion volume",
            "CT lesions in the ventricles",
            "CT lesions near the skull",
            "CT slice spacing",
        ]
        assert len(gates) == len(by_name)
        assert by_name["CT large hypodensity"]["value"] == trainable.DARK_ML
        volume = by_name["CT lesion volume"]["value"]
        assert volume == pytest.approx(float(rows["ct"]["wml_ml"]), abs=1e-4)
        assert volume > 0
        worst = max((gate["status"] for gate in gates), key=["pass", "warn", "fail"].index)
        assert {row["qc"] for row in rows.values()} == {worst}


def test_group_takes_the_out_of_fold_results(trained_copy):
    rows, failures = read_units(trained_copy / "out")
    assert failures == []
    with (trained_copy / "out/train/ct/accuracy.tsv").open() as table:
        expected = {row["unit"]: row for row in csv.DictReader(table, delimiter="\t")}
    for row in rows:
        assert row["ct_model"] == "trained-ct"
        assert row["ct_wml_ml"] == pytest.approx(float(expected[row["unit"]]["cv_ml"]), rel=1e-3)
        assert row["dice"] == pytest.approx(float(expected[row["unit"]]["dice"]), abs=1e-3)
        assert row["flair_model"] == "shipped-flair"
        assert (row["out_of_fold"], row["out_of_fold_label"]) == ("ct", "")
    # A unit that was measured anew from another image has no out-of-fold results of it.
    path = trained_copy / "out/logs/sub-01/status.json"
    status = json.loads(path.read_text())
    status["request"]["inputs"]["sub-01/ct/sub-01_ct.nii.gz"][-1] = "another"
    path.write_text(json.dumps(status))
    models = {row["unit"]: row["ct_model"] for row in read_units(trained_copy / "out")[0]}
    assert models["sub-01"] == "shipped-ct"
    assert models["sub-02"] == "trained-ct"


def test_the_groups_maps_and_pictures_show_the_out_of_fold_lesions(trained_copy):
    out = trained_copy / "out"
    options, t1w = GroupOptions(draws=0), packaged().t1w
    # Of a network that found nothing, as `trainable` has it, the maps would be empty.
    page = run_group(out, version="0", options=options, find_template=lambda _: t1w).read_text()
    assert "in no lesion map" not in page
    (found,) = (out / "group/maps").glob("*_desc-ctAll_frequency.nii.gz")
    units_of = json.loads(found.with_name(found.name.replace(".nii.gz", ".json")).read_text())
    assert sorted(units_of["Units"]) == LABELS
    assert np.asarray(nib.load(found).dataobj).max() > 0
    pictures = [
        out / names.example(head.subject, head.session, cross_validated=True) for head in HEADS
    ]
    assert all(path.is_file() for path in pictures)
    row = next(row for row in read_units(out)[0] if row["unit"] == "sub-01")
    assert out / picture_of(row, "01", None, "") == pictures[0]


def test_group_of_a_model_takes_new_subjects_beside_those_it_was_trained_on(trained_copy):
    """As after ``participant --model train/ct/model --desc local`` with one subject more."""
    out = trained_copy / "out"
    for head in HEADS:
        of = (head.subject, head.session)
        shipped = out / names.stats(*of)
        local = out / names.stats(*of, model_label="local")
        local.write_text(shipped.read_text().replace("shipped-ct", "trained-ct"))
        validated = out / names.cross_validated_stats(*of)
        for table, hashed in ((shipped, "shipped"), (validated, "shipped"), (local, "local")):
            about = {**json.loads(names.sidecar(shipped).read_text())}
            about |= json.loads(names.sidecar(table).read_text()) if table != local else {}
            about["SettingsHashes"] = {"segmentation": hashed}
            names.sidecar(table).write_text(json.dumps(about))
        status = out / names.status(*of)
        shutil.copy(status, out / names.status(*of, model_label="local"))
    # Nobody has trained on the last one.
    (out / names.cross_validated_stats("05", "b")).unlink()
    rows, failures = read_units(out, "local")
    assert failures == []
    assert {row["ct_model"] for row in rows} == {"trained-ct"}
    validated = [row["unit"] for row in rows if row["out_of_fold"] == "ct"]
    assert validated == LABELS[:-1]
