from __future__ import annotations

import pytest

from ctwml_bids.statistics.gates import ct
from ctwml_bids.statistics.gates.infarcts import infarcts, infarcts_or_dark_areas, names_of_both


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
    quality = {"dark_region_ml": 60.0, "dark_unmarked_ml": 7.0}
    (dark,) = infarcts_or_dark_areas(None, quality, image="CT")
    assert (dark.name, dark.value) == ("CT large hypodensity", 60.0)
    (marked,) = infarcts_or_dark_areas(20.0, quality, image="CT")
    assert (marked.name, marked.value) == ("CT infarcts", 27.0)
    assert {dark.name, marked.name} == names_of_both("CT")
    # HU alone tell what is dark.
    assert infarcts_or_dark_areas(None, None, image="FLAIR") == []
    (marked,) = infarcts_or_dark_areas(20.0, None, image="FLAIR")
    assert {marked.name} == names_of_both("FLAIR")
    assert marked.value == 20.0


def test_dark_areas_that_no_infarct_covers_are_told_as_perhaps_missed():
    assert "missed" not in infarcts(20.0, image="CT").message
    told = infarcts(20.0, 7.0, image="CT")
    assert told.value == 27.0
    assert "7.0 mL lie in other large dark areas" in told.message
    assert "may be infarcts that were missed" in told.message
