"""Models on disk: cards, checksums, and what is refused."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.segmentation.model_card import ModelCard
from ctwml_bids.segmentation.model_store import default, load_card, load_weights, write_model

CARD = ModelCard(
    name="tiny",
    modality="ct",
    version="1",
    network={"variant": "standard", "in_channels": 2, "classes": 2},
    channels=("zscore", "hu"),
    threshold=0.25,
    members=(),
    license="Apache-2.0",
    never_trained_on=("sub-ge01",),
)
ARRAYS = {
    "kernel": np.arange(8, dtype=np.float32).reshape(2, 4) / 3,
    "running_var": np.array([1e-9, 70000.0], np.float32),
    "norm.num_batches_tracked": np.array(7),
}


@pytest.fixture
def model(tmp_path):
    write_model(tmp_path / "tiny", CARD, [ARRAYS, ARRAYS])
    return tmp_path / "tiny"


def test_card_returns_as_it_was_written(model):
    card = load_card(model)
    assert len(card.members) == 2
    assert replace(card, members=()) == CARD
    assert card.checksum != replace(card, members=card.members[:1]).checksum
    assert card.checksum != replace(card, threshold=0.9).checksum
    assert card.checksum != replace(card, flip=not card.flip).checksum
    assert card.checksum != replace(card, island_share=0.3).checksum
    assert card.checksum == replace(card, accuracy={"dice": 1}).checksum


def test_a_card_of_three_classes_names_them_and_has_a_threshold_for_each(tmp_path):
    network = {**CARD.network, "classes": 3}
    names = ("background", "WML", "infarct")
    three = replace(CARD, network=network, classes=names, infarct_threshold=0.4)
    write_model(tmp_path, three, [ARRAYS])
    card = load_card(tmp_path)
    assert card.has_infarcts
    assert card.classes == names
    assert (card.threshold, card.infarct_threshold) == (0.25, 0.4)
    assert card.checksum != replace(card, infarct_threshold=0.5).checksum
    assert card.checksum != replace(card, infarct_least_ml=0.5).checksum
    assert not CARD.has_infarcts


def test_a_card_from_before_there_were_classes_has_two(model):
    path = model / "card.json"
    former = json.loads(path.read_text())
    del former["classes"], former["infarct_threshold"]
    path.write_text(json.dumps(former))
    card = load_card(model)
    assert card.classes == ("background", "WML")
    assert card.infarct_threshold is None


def test_the_checksum_of_a_model_that_leaves_nothing_out_is_that_of_former_versions():
    card = replace(load_card(default("ct")), island_share=None)
    # As the sidecars of version 1 of ct-sim7 have it.
    assert card.checksum.startswith("2779465c")


def test_kernels_are_halved_and_vectors_keep_their_range(model):
    weights = load_weights(model / "member-00.safetensors")
    assert set(weights) == {"kernel", "running_var"}
    assert all(array.dtype == np.float32 for array in weights.values())
    np.testing.assert_allclose(weights["kernel"], ARRAYS["kernel"], rtol=1e-3)
    np.testing.assert_array_equal(weights["running_var"], ARRAYS["running_var"])


def test_changed_weights_are_refused_by_their_checksum(model):
    path = model / "member-01.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadDataError, match=r"member-01.safetensors .*SHA-256"):
        load_card(model)


def test_missing_network_is_named(model):
    (model / "member-00.safetensors").unlink()
    with pytest.raises(NoInputError, match=r"member-00.safetensors"):
        load_card(model)


def test_folder_without_card_is_no_model(tmp_path):
    with pytest.raises(NoInputError, match=r"card.json"):
        load_card(tmp_path)


def test_pickle_is_never_opened(tmp_path):
    class Exploding:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    for name in ("network.pt", "network.safetensors"):
        (tmp_path / name).write_bytes(pickle.dumps(Exploding()))
        with pytest.raises(BadDataError, match="safetensors"):
            load_weights(tmp_path / name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modality": "pet"}, "modality"),
        ({"members": []}, "names no network"),
        ({"members": [{"file": "../x.safetensors", "sha256": ""}]}, "plain name"),
        ({"channels": ["zscore"]}, "1 channels and 0 neighbouring"),
        ({"threshold": 25}, "threshold"),
        ({"classes": ["background", "infarct"]}, "classes background, infarct are neither"),
        ({"classes": ["background", "WML", "infarct"]}, "3 classes are named; the network has 2"),
        ({"infarct_threshold": 0.5}, "infarct_threshold goes with the class infarct"),
        ({"infarct_threshold": 2}, "infarct_threshold 2 is not between"),
        ({"infarct_least_ml": 1.0}, "infarct_least_ml is a volume above 0, and goes with"),
        ({"infarct_least_ml": "1"}, "infarct_least_ml"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_unusable_card_says_why(model, change, message):
    path = model / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadDataError, match=message):
        load_card(model)


def test_card_that_is_not_json_is_refused(model):
    (model / "card.json").write_text("{")
    with pytest.raises(BadDataError, match="not a model card"):
        load_card(model)


def test_smaller_model_written_over_a_larger_one_leaves_nothing_behind(model):
    write_model(model, CARD, [ARRAYS])
    assert sorted(p.name for p in model.iterdir()) == ["card.json", "member-00.safetensors"]


def test_cards_are_read_without_torch():
    code = "import sys, ctwml_bids.segmentation.model_store; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


ODD = {
    "name": [3, None],
    "modality": [["ct"], 1],
    "network": [[], "standard", {"in_channels": "2", "classes": 2}, {"in_channels": 2}],
    "channels": ["zscore", [1, 2], {"zscore": 1}],
    "threshold": ["0.3", None, True, 10**400, [0.3]],
    "members": [{"a": 1}, [3], [["a", "b"]], [{"file": 3, "sha256": "a"}], [{"file": "a"}]],
    "background": ["x", float("inf")],
    "grid_spacing_mm": [[1, 1], [1, 1, 0], [1, 1, "3"], 3],
    "context": ["1", -1, 10**9, 1.0, True],
    "flip": [1, "yes"],
    "classes": ["background", [1, 2]],
    "island_share": ["0.3"],
    "training": [[], "x"],
    "accuracy": [3],
    "never_trained_on": ["sub-01", [1]],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in ODD.items() for value in values]
)
def test_a_card_with_a_value_of_another_type_is_refused(model, field, value):
    path = model / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(BadDataError, match=r"card\.json is not a.* model card"):
        load_card(model)


@pytest.mark.parametrize("text", ["[" * 100_000, "null", "[]", "3", "\x80", ""])
def test_a_card_that_is_no_object_is_refused(model, text):
    (model / "card.json").write_text(text, encoding="latin-1")
    with pytest.raises(BadDataError, match=r"card\.json is not a model card"):
        load_card(model)


@pytest.mark.parametrize(
    "training",
    [
        {"members": 3, "subjects": 3, "protocol": 3},
        {"members": [3, {"config": 3, "anatomies": 3, "real_subjects": [[]]}]},
        {"subjects": [[], {}, 3, "sub-x"], "protocol": {"loss": []}},
    ],
)
def test_what_a_card_says_of_training_may_have_any_form(training):
    card = replace(CARD, training=training)
    assert card.loss == ""
    assert card.seen <= {"sub-x"}


@pytest.mark.parametrize("kind", ["BF16", "F8_E4M3", "U64", "X"])
@pytest.mark.parametrize("shape", [[2], [2**40], [2**62, 4], [0]])
def test_weights_that_claim_what_the_file_has_not_are_refused(tmp_path, kind, shape):
    header = json.dumps({"a": {"dtype": kind, "shape": shape, "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    if (kind, shape) == ("BF16", [2]):
        return
    with pytest.raises(BadDataError, match="safetensors"):
        load_weights(path)
