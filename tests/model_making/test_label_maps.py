from __future__ import annotations

import csv

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.errors import BadDataError
from model_making import label_maps
from model_making.label_anatomies import chosen_maps
from model_making.train_shipped import TEST_ANATOMIES
from model_making.training_facts import NEVER

NAME = "anat-13"  # ends just below the hindbrain


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data / "anatomies"


@pytest.fixture(scope="module")
def found(folder):
    return label_maps.read_label_map(folder / f"{NAME}_labels.nii.gz")


def _centre(found, *labels):
    index = np.argwhere(np.isin(found.labels[:, :, label_maps.EXTENDED :], labels)).mean(axis=0)
    return nib.affines.apply_affine(found.affine, index + np.array([0, 0, label_maps.EXTENDED]))


def test_left_is_left_front_is_front_and_up_is_up(found):
    assert _centre(found, 2)[0] < -10 < 10 < _centre(found, 41)[0]
    assert _centre(found, label_maps.EYE)[1] > _centre(found, 7, 46)[1] + 60
    assert _centre(found, 10, 49)[2] > _centre(found, 16)[2] + 15


def test_voxels_lie_where_the_file_says(found, folder):
    image = nib.load(folder / f"{NAME}_labels.nii.gz")
    index = np.argwhere(np.asarray(image.dataobj) == 11).mean(axis=0)
    assert _centre(found, 11) == pytest.approx(nib.affines.apply_affine(image.affine, index))


def test_volumes_are_the_data_sets(found, folder):
    with (folder / "anatomies.tsv").open() as file:
        row = next(r for r in csv.DictReader(file, delimiter="\t") if r["anatomy"] == NAME)
    inside = found.labels[:, :, label_maps.EXTENDED :]
    # The table counts neither inferior horns nor choroid plexus.
    assert np.isin(inside, (4, 43)).sum() / 1000 == pytest.approx(
        float(row["lateral_ventricles_ml"]), abs=0.05
    )
    more = np.isin(inside, label_maps.LATERAL_VENTRICLES).sum() / 1000
    assert more == pytest.approx(8.7, abs=0.1)
    assert np.isin(inside, label_maps.LESIONS).sum() / 1000 == pytest.approx(
        float(row["lesion_ml"]), abs=0.05
    )
    assert 1.0 < found.brain.sum() / 1000 / float(row["brain_ml"]) < 1.35  # with fluid


def test_the_lowest_slice_goes_on_and_holds_no_brain(found):
    below = found.labels[:, :, : label_maps.EXTENDED]
    assert (below == found.labels[:, :, label_maps.EXTENDED, None]).all()
    assert below.any()
    assert not found.brain[:, :, : label_maps.EXTENDED].any()


def test_other_label_maps_are_refused(tmp_path, folder):
    image = nib.load(folder / f"{NAME}_labels.nii.gz")
    labels = np.asarray(image.dataobj)
    for name, change, message in (
        ("strange", lambda a: np.where(a == 516, 999, a), "999"),
        ("lacking", lambda a: np.where(a == 16, 0, a), "lacks"),
        ("cut", lambda a: a[:, :125], "cerebellum"),
    ):
        path = tmp_path / f"{name}.nii.gz"
        nib.Nifti1Image(change(labels).astype(np.int16), image.affine).to_filename(path)
        with pytest.raises(BadDataError, match=message):
            label_maps.read_label_map(path)


def test_anatomies_of_test_cohorts_are_kept_apart(folder):
    tests = {path.name[:7] for path in chosen_maps(folder, [], True)}
    training = {path.name[:7] for path in chosen_maps(folder, [], False)}
    assert tests == {"anat-05", "anat-11", "anat-17", "anat-20"}
    assert len(training) == 15
    assert not training & tests
    assert tests <= set(TEST_ANATOMIES)
    assert tests <= set(NEVER)
    with pytest.raises(SystemExit, match="for-tests"):
        chosen_maps(folder, ["anat-01", "anat-11"], False)
