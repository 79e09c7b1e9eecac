"""Infarcts on the way to a network: which masks are packed, and what heads are labelled."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.errors import BadDataError, NoInputError, UsageError
from ctwml_bids.simulation.infarcts import read_shapes
from model_making import infarct_shapes, train_shipped
from model_making.shipped_heads import GridHead, labels_of


def write_mask(folder, name, shape, affine=None):
    image = nib.Nifti1Image(np.ones(shape, dtype=np.uint8), np.eye(4) if affine is None else affine)
    nib.save(image, folder / f"{name}_mask.nii.gz")


@pytest.fixture
def masks(tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir()
    for name in ("inf-3", "inf-17", "inf-71"):
        write_mask(folder, name, (10, 12, 14))
    return folder


def pack(masks, to, *options):
    infarct_shapes.main([str(masks), str(to), *options])
    return read_shapes(to)


def test_masks_for_training_and_for_tests_are_packed_apart(masks, tmp_path):
    training = pack(masks, tmp_path / "training.npz")
    assert training.names == ("inf-3", "inf-71")
    assert not training.for_tests
    assert "BSD-2" in training.source
    tests = pack(masks, tmp_path / "tests.npz", "--for-tests")
    assert tests.names == ("inf-17",)
    assert tests.for_tests


def test_infarcts_over_300_ml_are_left_out(masks, tmp_path):
    write_mask(masks, "inf-4", (60, 60, 84))  # 302 mL
    write_mask(masks, "inf-5", (60, 60, 83))  # 299 mL
    assert pack(masks, tmp_path / "shapes.npz").names == ("inf-3", "inf-5", "inf-71")


def test_masks_that_are_not_in_mni_space_are_refused(masks, tmp_path):
    write_mask(masks, "inf-6", (10, 10, 10), np.diag([2, 2, 2, 1.0]))
    with pytest.raises(BadDataError, match="inf-6"):
        pack(masks, tmp_path / "shapes.npz")
    with pytest.raises(NoInputError):
        pack(tmp_path, tmp_path / "shapes.npz")


def test_infarcts_for_tests_are_refused_for_training(masks, tmp_path):
    pack(masks, tmp_path / "tests.npz", "--for-tests")
    arguments = f"heads {tmp_path / 'heads'} --seeds 0 1 --infarcts {tmp_path / 'tests.npz'}"
    with pytest.raises(BadDataError, match="are for tests"):
        train_shipped.main(arguments.split())
    assert not (tmp_path / "heads").exists()


def test_a_kind_of_infarct_needs_shapes(tmp_path):
    arguments = f"heads {tmp_path / 'heads'} --seeds 0 1 --infarct subacute"
    with pytest.raises(UsageError, match="--infarcts FILE"):
        train_shipped.main(arguments.split())
    assert not (tmp_path / "heads").exists()


def test_a_voxel_is_labelled_as_what_it_holds_most_of():
    lesions = np.array([0.0, 0.5, 0.3, 0.2, 0.1, 0.0, 0.24])
    infarcts = np.array([0.0, 0.1, 0.2, 0.4, 0.3, 0.5, 0.25])
    wanted = [0, 1, 1, 2, 0, 2, 0]
    head = GridHead(np.zeros(7), np.ones(7), lesions, 0.001, None, infarcts)
    assert labels_of(head).tolist() == wanted
    assert labels_of(head).dtype == np.uint8
    alone = GridHead(np.zeros(7), np.ones(7), lesions, 0.001)
    assert labels_of(alone).tolist() == [0, 1, 0, 0, 0, 0, 0]
