from __future__ import annotations

import pytest

from ctwml_bids.statistics.gates import brain


@pytest.mark.parametrize(
    ("ml", "status"),
    [
        (1350, "pass"),
        (1000, "pass"),
        (999, "warn"),
        (1801, "warn"),
        (699, "fail"),
        (2201, "fail"),
        (0, "fail"),
    ],
)
def test_brain_volume(ml, status):
    gate = brain.brain_volume(ml, image="CT")
    assert gate.status == status
    assert f"{ml:.0f} mL" in gate.message


def test_a_cut_brain_is_said_where():
    assert brain.coverage({"top": 0, "bottom": 0.02}, image="CT").status == "pass"
    top = brain.coverage({"top": 0.3, "bottom": 0}, image="FLAIR")
    assert top.status == "warn"
    assert "at the top" in top.message
    assert "bottom" not in top.message
    both = brain.coverage({"left": 0.6, "front": 0.2, "top": 0}, image="CT")
    assert both.status == "fail"
    assert "left and at the front" in both.message


@pytest.mark.parametrize(
    ("dice", "scales", "status"),
    [
        (0.96, (0.9, 0.95, 0.87), "pass"),
        (0.85, (0.9, 0.95, 0.87), "warn"),
        (0.96, (0.70, 0.85, 0.80), "warn"),
        (0.96, (1.2, 1.1, 1.0), "warn"),
        (0.96, (0.80, 1.10, 0.90), "warn"),
        (0.60, (0.9, 0.95, 0.87), "fail"),
    ],
    ids=["usual", "dice", "small", "large", "stretched", "elsewhere"],
)
def test_fit_of_the_template(dice, scales, status):
    gate = brain.template_fit(dice, scales, image="CT")
    assert gate.status == status
    assert gate.name == "CT normalisation"
    assert " × ".join(f"{scale:.2f}" for scale in scales) in gate.message
