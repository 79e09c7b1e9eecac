from __future__ import annotations

import math

import pytest

from ctwml_bids.statistics.gates import lesions


def test_lesions_at_the_skull_fail_only_when_there_is_something_to_measure():
    assert lesions.lesions_near_skull(0.1, image="CT", lesion_ml=20).status == "pass"
    assert lesions.lesions_near_skull(0.4, image="CT", lesion_ml=20).status == "warn"
    assert lesions.lesions_near_skull(0.9, image="CT", lesion_ml=20).status == "fail"
    assert lesions.lesions_near_skull(0.9, image="CT", lesion_ml=0.2).status == "warn"


@pytest.mark.parametrize(
    ("inside", "left_out", "status"),
    [
        (0.0, 0.0, "pass"),
        (0.9, 0.1, "pass"),
        (3.0, 0.0, "warn"),
        (0.0, 3.0, "warn"),
        (0.1, 36.5, "fail"),
        (33.5, 0.0, "warn"),
        (33.5, 31.0, "fail"),
        (math.nan, 1.0, "warn"),
    ],
)
def test_lesions_in_the_ventricles_count_whether_left_out_or_not(inside, left_out, status):
    gate = lesions.lesions_in_ventricles(inside, left_out, image="CT")
    assert gate.status == status
    assert gate.name == "CT lesions in the ventricles"
    assert gate.limits == "warn above 2 mL; fail above 30 mL left out"
