"""Pairs with infarcts: their truth, the files of it, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from ctwml_bids.simulation import dataset
from ctwml_bids.simulation.infarcts import read_shapes
from ctwml_bids.simulation.pair import _draw_infarcts, simulate_pair

OPTIONS = {"fazekas": 3, "ct_spacing": (2, 2, 4), "flair_spacing": (2, 2, 4), "age": 70.0}


@pytest.fixture(scope="module")
def old(infarct_file):
    return simulate_pair(21, **OPTIONS, lesion_ml=40.0, infarcts=infarct_file, infarct="old")


def array(image) -> np.ndarray:
    return np.asarray(image.dataobj)


def test_no_voxel_is_both_and_volumes_are_the_facts(old):
    for truth in (old.ct_truth, old.flair_truth):
        lesions, infarcts = array(truth.lesions) > 0, array(truth.infarcts) > 0
        assert truth.infarcts.get_data_dtype() == np.uint8
        assert truth.infarct_fraction.get_data_dtype() == np.float32
        assert not (lesions & infarcts).any()
        assert np.array_equal(infarcts, array(truth.infarct_fraction) > 0.5)
        voxel = abs(np.linalg.det(truth.infarcts.affine[:3, :3])) / 1000
        assert infarcts.sum() * voxel == pytest.approx(old.facts["infarct_ml"], rel=0.15)
        assert lesions.sum() * voxel == pytest.approx(40, rel=0.25)
        total = array(truth.lesion_fraction) + array(truth.infarct_fraction)
        assert total.max() < 1 + 1e-5
    assert old.facts["infarct_ml"] > 10
    shapes = {one.get("shape") for one in old.facts["infarcts"]}
    assert shapes & {"inf-1", "inf-1-mirrored"}
    assert old.facts["lesion_ml"] == pytest.approx(40, rel=0.05)


def test_infarcts_are_dark_on_the_ct(old):
    hu, truth = array(old.ct).astype(float), old.ct_truth
    inside = array(truth.infarct_fraction) > 0.95
    around = (array(truth.brain) > 0) & (array(truth.infarct_fraction) == 0)
    assert np.median(hu[inside]) < np.median(hu[around]) - 8


def test_the_same_seed_gives_the_same_infarcts_from_a_file_or_its_shapes(infarct_file, old_head):
    (head, found), (again, same) = (
        _draw_infarcts(21, old_head[0], given, "old", 0.1)
        for given in (infarct_file, read_shapes(infarct_file))
    )
    assert found.described == same.described
    assert found.box == same.box
    assert found.fraction.any()
    assert np.array_equal(found.fraction, same.fraction)
    assert np.array_equal(head.csf, again.csf)


def test_the_ct_alone_is_that_of_the_pair(infarct_file, old):
    alone = simulate_pair(
        21, **OPTIONS, lesion_ml=40.0, modality="ct", infarcts=infarct_file, infarct="old"
    )
    assert np.array_equal(array(old.ct), array(alone.ct))
    assert np.array_equal(array(old.ct_truth.infarcts), array(alone.ct_truth.infarcts))


def test_where_none_is_asked_for_there_is_none(severe):
    for truth in (severe.ct_truth, severe.flair_truth):
        assert not array(truth.infarcts).any()
    assert severe.facts["infarcts"] == []
    assert severe.facts["infarct_ml"] == 0


def test_kinds_that_are_not_known_or_lack_shapes_are_refused(infarct_file):
    with pytest.raises(ValueError, match="'chronic'"):
        simulate_pair(1, infarct="chronic", infarcts=infarct_file)
    with pytest.raises(ValueError, match="with infarcts"):
        simulate_pair(1, infarct="old")


def test_the_mask_is_written_where_there_is_an_infarct(old, severe, tmp_path):
    dataset._write_truth(tmp_path, "sub-01", "CT", old.ct_truth, "bids:raw:ct")
    assert (tmp_path / "sub-01_space-CT_label-infarct_mask.nii.gz").is_file()
    assert (tmp_path / "sub-01_space-CT_label-infarct_mask.json").is_file()
    dataset._write_truth(tmp_path, "sub-02", "CT", severe.ct_truth, "bids:raw:ct")
    assert not list(tmp_path.glob("sub-02*infarct*"))
