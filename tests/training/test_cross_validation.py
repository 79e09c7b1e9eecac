"""Networks know whom they saw, and do not segment them."""

from __future__ import annotations

import numpy as np
import pytest

from ctwml_bids.errors import BadDataError
from ctwml_bids.modality import CT
from ctwml_bids.training.cross_validation import predict_left_out, train_network
from ctwml_bids.training.mapped_heads import save_mapped
from ctwml_bids.training.recipe import Recipe, TrainingConfig, TrainingUnit
from ctwml_bids.training.units import check_apart
from tests.segmentation.toy import toy_head

RECIPE = Recipe(
    version="1",
    modality="ct",
    labels="flair",
    folds=2,
    repeats=1,
    members=1,
    template="toy",
    network=TrainingConfig(
        steps=2, batch=2, learning_rate=1e-3, precision="float32", variant="standard", seed=1
    ),
    channels=CT.channels,
    flip=False,
    threshold=0.5,
)
NAMES = ["sub-1_used", "sub-2_ses-a_used", "sub-2_ses-b_used", "sub-3_used"]


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    for seed, name in enumerate(NAMES):
        head = toy_head(seed)
        save_mapped(folder, name, head.channels, head.labels, {})
    return folder


def network(heads, tmp_path, names):
    unit = TrainingUnit(1, 1)
    return train_network(unit, RECIPE, folder=tmp_path / "unit", heads=heads, names=names)


def test_a_left_out_subject_is_segmented_on_the_grid(heads, tmp_path):
    trained = network(heads, tmp_path, NAMES[:3])
    assert trained.subjects == {"sub-1", "sub-2"}
    ((name, found),) = predict_left_out(trained, heads, NAMES[3:], RECIPE)
    probability = found.probability
    assert found.infarct is None
    assert name == "sub-3_used"
    inside = np.asarray(toy_head(3).channels > -3).any(axis=0)
    assert probability.shape == inside.shape
    assert (probability[~inside] == 0).all()
    assert (probability[inside] > 0).all()


def test_a_leaking_split_is_refused_before_anyone_is_segmented(heads, tmp_path):
    # One session of sub-2 was trained on, the other is to be segmented: the same brain.
    trained = network(heads, tmp_path, ["sub-1_used", "sub-2_ses-a_used"])
    found = predict_left_out(trained, heads, ["sub-3_used", "sub-2_ses-b_used"], RECIPE)
    with pytest.raises(BadDataError, match=r"unit was trained on sub-2.*leaks"):
        next(found)


def test_a_subject_that_was_trained_on_is_not_left_out():
    check_apart({"sub-1"}, {"sub-2"}, "repeat-01_fold-01")
    with pytest.raises(BadDataError, match=r"repeat-01_fold-01 was trained on sub-2, .*leaks"):
        check_apart({"sub-1", "sub-2"}, {"sub-2", "sub-3"}, "repeat-01_fold-01")
