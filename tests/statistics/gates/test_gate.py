from __future__ import annotations

import math

import pytest

from ctwml_bids.statistics.gates import brain, ct, lesions
from ctwml_bids.statistics.gates.gate import overall
from ctwml_bids.statistics.gates.infarcts import infarcts


@pytest.mark.parametrize(
    ("gate", "values"),
    [
        (ct.bright, (0.5, 5, 60)),
        (ct.hypodensity, (0, 20, 120)),
        (lambda ml: lesions.lesion_volume(ml, image="CT"), (40, 150, 300)),
        (lambda ml: infarcts(ml, image="FLAIR"), (0, 20, 120)),
        (lambda ml: infarcts(2.0, ml, image="CT"), (0, 20, 120)),
        (ct.slice_spacing, (1.0, 1.76, 3.0)),
    ],
)
def test_more_is_worse(gate, values):
    assert [gate(value).status for value in values] == ["pass", "warn", "fail"]


def test_what_could_not_be_measured_asks_for_a_look():
    for gate in (brain.brain_volume(math.nan, image="CT"), ct.bright(math.nan)):
        assert gate.status == "warn"
        assert "could not be measured" in gate.message
        assert "nan" not in gate.message


def test_no_gate_speaks_of_a_diagnosis():
    gates = [ct.hypodensity(20), ct.bright(10), lesions.lesion_volume(200, image="CT")]
    gates += [infarcts(20, image="CT"), infarcts(2, 20, image="CT")]
    for gate in gates:
        assert "look" in gate.message or "check" in gate.message


def test_overall_is_the_worst():
    good = brain.brain_volume(1300, image="CT")
    odd, bad = brain.brain_volume(950, image="CT"), brain.brain_volume(100, image="CT")
    assert overall([]) == "pass"
    assert overall([good, good]) == "pass"
    assert overall([odd, good]) == "warn"
    assert overall([odd, bad, good]) == "fail"
