from __future__ import annotations

import json
import math

import pytest

from ctwml_bids.statistics.fazekas import Thresholds
from ctwml_bids.statistics.thresholds import ThresholdSet, from_record, literature

OURS = ThresholdSet(
    "helsinki", "147 units of Helsinki", {"ct": Thresholds(6.0, 16.0)}, {"ct": "ct-sim2"}
)


@pytest.mark.parametrize(("ml", "group"), [(0.0, "0-1"), (5.9, "0-1"), (6.0, "2"), (16.0, "3")])
def test_a_statement_has_the_group_and_names_the_cohort(ml, group):
    found = OURS.state("ct", ml, "ct-sim2")
    assert found["group"] == group
    assert "from 147 units of Helsinki" in found["sentence"]
    assert "need not measure alike" not in found["sentence"]


def test_volumes_of_another_model_are_told_apart():
    assert "fitted to volumes of the model ct-sim2" in OURS.state("ct", 3.0, "mine")["sentence"]


def test_an_image_without_thresholds_has_no_statement():
    assert OURS.state("flair", 3.0) is None
    assert OURS.state("ct", math.nan) is None


def test_literature_is_a_cold_start_by_name():
    found = literature().state("flair", 10.0)
    assert (found["group"], found["low_ml"], found["high_ml"]) == ("2", 7.0, 15.0)
    assert "cold start" in found["sentence"]


def test_a_record_is_read_as_it_was_written():
    record = json.loads(json.dumps(OURS.described()))
    assert from_record(record) == OURS


def test_a_threshold_that_no_volume_reaches_survives_json():
    one = ThresholdSet("a", "a cohort without Fazekas 3", {"ct": Thresholds(6.0, math.inf)})
    again = from_record(json.loads(json.dumps(one.described(), allow_nan=False)))
    assert again.state("ct", 500.0)["group"] == "2"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "no Thresholds"),
        ({"Thresholds": {}}, "empty"),
        ({"Thresholds": {"ct": {"Low": "seven", "High": 15}}}, "Low for ct is 'seven'"),
        ({"Thresholds": {"ct": {"Low": 7}}}, "High for ct is None"),
        ({"Thresholds": {"ct": {"Low": 15, "High": 7}}}, "wrong order"),
        ({"Thresholds": {"mri": {"Low": 7, "High": 15}}}, "'mri'"),
        ({"Thresholds": {"ct": {"Low": 7, "High": 15}}}, "which cohort"),
    ],
)
def test_what_is_no_record_is_refused_with_the_reason(content, said):
    with pytest.raises(ValueError, match=said):
        from_record(content)
