"""Cards of models in the output folder: there once, and true for every unit that names one."""

from __future__ import annotations

import hashlib
import json

import pytest

from ctwml_bids.errors import BadDataError
from ctwml_bids.unit.model_cards import card_file, named, recalled, register_cards
from tests.unit.facts import card


def cards_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.json"))


def test_a_card_is_written_once_and_found_again_by_what_a_unit_says(tmp_path):
    model = card("ct", training={"data": "heads", "subjects": ["sub-1"]})
    register_cards(tmp_path, [model, card("flair", name="other")])
    (tmp_path / "models/toy/card.json").chmod(0o444)
    register_cards(tmp_path, [model])
    assert cards_in(tmp_path) == ["models/other/card.json", "models/toy/card.json"]
    said = json.loads(json.dumps(named(tmp_path, model)))
    content = (tmp_path / said["card"]).read_bytes()
    assert said["card_sha256"] == hashlib.sha256(content).hexdigest()
    found, file = recalled(tmp_path, said)
    assert (found, file.as_posix()) == (model, "models/toy/card.json")


def test_another_model_of_the_same_name_lies_beside_the_first(tmp_path):
    first, second = card("ct"), card("ct", version="2")
    register_cards(tmp_path, [first])
    before = named(tmp_path, first)
    register_cards(tmp_path, [second])
    assert len(cards_in(tmp_path)) == 2
    assert recalled(tmp_path, before)[0] == first
    assert recalled(tmp_path, named(tmp_path, second))[0] == second
    register_cards(tmp_path, [first, second])
    assert len(cards_in(tmp_path)) == 2


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_card_that_is_gone_or_changed_is_told_and_comes_back_with_its_model(tmp_path, damage):
    model, path = card("ct"), tmp_path / "models/toy/card.json"
    register_cards(tmp_path, [model])
    said = named(tmp_path, model)
    path.unlink()
    if damage == "changed":
        path.write_text("{}")
    with pytest.raises(BadDataError, match=r"toy/card\.json: is gone or was changed .* model toy"):
        recalled(tmp_path, said)
    register_cards(tmp_path, [model])
    assert recalled(tmp_path, said)[0] == model


def test_a_name_that_is_no_folder_stays_within_the_output_folder(tmp_path):
    model = card("ct", name="../my model/")
    register_cards(tmp_path / "out", [model])
    assert cards_in(tmp_path) == ["out/models/my-model/card.json"]
    assert recalled(tmp_path / "out", named(tmp_path / "out", model))[0] == model
    assert card_file(tmp_path, card("ct", name="..")).as_posix() == "models/model/card.json"
