"""What a report that is written again says of the run that made the results."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from ctwml_bids.errors import BadDataError
from ctwml_bids.unit.model_cards import named, register_cards
from ctwml_bids.unit.rewriting import _as_run
from tests.unit.facts import card, run_facts


@pytest.fixture
def stored() -> dict:
    """A sidecar of the statistics table that another run has written."""
    return {
        "Models": {"ct": json.loads(json.dumps(asdict(card("ct", threshold=0.3))))},
        "Software": {"ctwml_bids": "0.0.1"},
        "SettingsHashes": {"preprocessing": "a"},
        "Settings": {"template": "Other", "normalisation": "syn", "seed": 7, "device": "cuda"},
    }


def test_a_report_says_what_its_own_run_did_not_what_this_one_would(tmp_path, stored):
    found, files = _as_run(run_facts(tmp_path), stored)
    assert files == {"ct": None}
    assert found.cards == {"ct": card("ct", threshold=0.3)}
    assert (found.template.name, found.normalisation, found.seed) == ("Other", "syn", 7)
    assert (found.versions, found.hashes) == ({"ctwml_bids": "0.0.1"}, {"preprocessing": "a"})
    del stored["Settings"]
    assert _as_run(run_facts(tmp_path), stored)[0].seed == run_facts(tmp_path).seed


def test_a_card_of_a_version_without_infarcts_has_two_classes(tmp_path, stored):
    for name in ("classes", "infarct_threshold"):
        del stored["Models"]["ct"][name]
    found, _ = _as_run(run_facts(tmp_path), stored)
    assert found.cards == {"ct": card("ct", threshold=0.3)}


def test_a_model_that_this_version_does_not_know_is_told(tmp_path, stored):
    del stored["Models"]["ct"]["threshold"]
    with pytest.raises(BadDataError, match="threshold"):
        _as_run(run_facts(tmp_path), stored)


def test_a_report_has_the_card_that_its_unit_was_segmented_with(tmp_path, stored):
    run, ours = run_facts(tmp_path), card("ct", threshold=0.3)
    register_cards(run.output_dir, [card("ct", threshold=0.4), ours])
    stored["Models"] = {"ct": json.loads(json.dumps(named(run.output_dir, ours)))}
    found, files = _as_run(run, stored)
    assert found.cards == {"ct": ours}
    assert json.loads((run.output_dir / files["ct"]).read_text())["threshold"] == 0.3
