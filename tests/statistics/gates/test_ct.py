from __future__ import annotations

import pytest

from ctwml_bids.statistics.gates import ct
from ctwml_bids.statistics.gates.infarcts import infarcts


@pytest.mark.parametrize(
    ("step", "status", "error"),
    [
        (None, "pass", "is not known"),
        (0.0, "pass", "is not known"),
        (0.004, "pass", "is not known"),
        (0.31, "pass", ""),
        (1, "pass", ""),
        (2, "pass", ""),
        (4, "warn", "off by 1 HU"),
        (8, "warn", "off by 2 HU"),
        (10, "warn", "off by 2.5 HU"),
        (16.06, "warn", "off by 4 HU"),
        (32, "fail", "off by 8 HU"),
    ],
)
def test_steps_of_hu_are_told_with_their_error(step, status, error):
    gate = ct.value_steps(step)
    assert gate.status == status
    assert error in gate.message


@pytest.mark.parametrize(("hu", "status"), [(31, "pass"), (45, "warn"), (3, "fail"), (200, "fail")])
def test_tissue_hu(hu, status):
    assert ct.tissue_hu(hu).status == status


def test_where_infarcts_are_marked_their_gate_takes_the_place_of_that_of_dark_areas():
    quality = {"tissue_hu": 30.0, "bright_ml": 0.0, "dark_region_ml": 60.0}
    facts = {"hu_step": 1.0, "quality": quality}
    names = {
        marks: {gate.name for gate in ct.ct_gates(facts, 1.0, marks_infarcts=marks)}
        for marks in (False, True)
    }
    assert names[False] - names[True] == {"CT large hypodensity"}
    assert names[True] < names[False]


def test_dark_areas_that_no_infarct_covers_are_told_as_perhaps_missed():
    assert "missed" not in infarcts(20.0, image="CT").message
    told = infarcts(20.0, 7.0, image="CT")
    assert told.value == 27.0
    assert "7.0 mL lie in other large dark areas" in told.message
    assert "may be infarcts that were missed" in told.message
