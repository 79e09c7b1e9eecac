from __future__ import annotations

import math

import pytest

from ctwml_bids.statistics import quality


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
    gate = quality.brain_volume(ml, image="CT")
    assert gate.status == status
    assert f"{ml:.0f} mL" in gate.message


@pytest.mark.parametrize(("hu", "status"), [(31, "pass"), (45, "warn"), (3, "fail"), (200, "fail")])
def test_tissue_hu(hu, status):
    assert quality.tissue_hu(hu).status == status


@pytest.mark.parametrize("verdict", ["pass", "warn", "fail"])
def test_registration_takes_the_verdict_and_gives_its_reason(verdict):
    gate = quality.registration(
        verdict,
        "masks overlap by half",
        mirror_ratio=1.5,
        nmi_gain=0.02,
        mask_dice=0.5,
        limits="at least 1.35",
    )
    assert gate.status == verdict
    assert "Masks overlap by half." in gate.message
    assert (gate.value, gate.limits) == (1.5, "at least 1.35")


def test_lesions_at_the_skull_fail_only_when_there_is_something_to_measure():
    assert quality.lesions_near_skull(0.1, image="CT", lesion_ml=20).status == "pass"
    assert quality.lesions_near_skull(0.4, image="CT", lesion_ml=20).status == "warn"
    assert quality.lesions_near_skull(0.9, image="CT", lesion_ml=20).status == "fail"
    assert quality.lesions_near_skull(0.9, image="CT", lesion_ml=0.2).status == "warn"


def test_a_cut_brain_is_said_where():
    assert quality.coverage({"top": 0, "bottom": 0.02}, image="CT").status == "pass"
    top = quality.coverage({"top": 0.3, "bottom": 0}, image="FLAIR")
    assert top.status == "warn"
    assert "at the top" in top.message
    assert "bottom" not in top.message
    both = quality.coverage({"left": 0.6, "front": 0.2, "top": 0}, image="CT")
    assert both.status == "fail"
    assert "left and at the front" in both.message


@pytest.mark.parametrize(
    ("gate", "values"),
    [
        (quality.bright, (0.5, 5, 60)),
        (quality.hypodensity, (0, 20, 120)),
        (lambda ml: quality.lesion_volume(ml, image="CT"), (40, 150, 300)),
        (lambda ratio: quality.slice_spacing(ratio, image="CT"), (1.0, 1.76, 3.0)),
    ],
)
def test_more_is_worse(gate, values):
    assert [gate(value).status for value in values] == ["pass", "warn", "fail"]


def test_what_could_not_be_measured_asks_for_a_look():
    for gate in (quality.brain_volume(math.nan, image="CT"), quality.bright(math.nan)):
        assert gate.status == "warn"
        assert "could not be measured" in gate.message
        assert "nan" not in gate.message


def test_no_gate_speaks_of_a_diagnosis():
    gates = [quality.hypodensity(20), quality.bright(10), quality.lesion_volume(200, image="CT")]
    for gate in gates:
        assert "look" in gate.message or "check" in gate.message


def test_overall_is_the_worst():
    good = quality.brain_volume(1300, image="CT")
    odd, bad = quality.brain_volume(950, image="CT"), quality.brain_volume(100, image="CT")
    assert quality.overall([]) == "pass"
    assert quality.overall([good, good]) == "pass"
    assert quality.overall([odd, good]) == "warn"
    assert quality.overall([odd, bad, good]) == "fail"


def test_brain_that_the_carried_mask_leaves_out():
    shares = {0.0: "pass", 0.09: "pass", 0.18: "warn", 0.5: "fail"}
    assert {share: quality.carried_mask(share).status for share in shares} == shares
    assert "18% of the brain found on the CT" in quality.carried_mask(0.18).message
