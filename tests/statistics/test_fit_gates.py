from __future__ import annotations

import math

import pytest

from ctwml_bids.statistics import fit_gates


@pytest.mark.parametrize(
    ("grey", "darker", "fluid", "status"),
    [
        (1.10, 1.2, 0.4, "pass"),
        (1.02, 1.1, 0.9, "pass"),
        (0.92, 1.05, 0.4, "warn"),
        (0.85, 0.95, 0.4, "fail"),
        (1.10, 1.2, 1.3, "warn"),
        (1.10, 1.2, 2.0, "fail"),
    ],
)
def test_contrast_of_a_flair(grey, darker, fluid, status):
    gate = fit_gates.flair_contrast(grey, darker, fluid)
    assert gate.status == status
    assert f"{grey:.2f}" in gate.message
    assert f"{fluid:.2f}" in gate.message


@pytest.mark.parametrize(
    ("lesions", "status"),
    [(math.nan, "fail"), (1.04, "fail"), (1.15, "fail"), (1.29, "warn"), (1.7, "warn")],
)
def test_bright_lesions_are_not_those_of_a_t1w_image(lesions, status):
    assert fit_gates.flair_contrast(0.88, 0.97, 0.4, lesions).status == status


def test_the_message_says_what_was_left_out_of_white_matter():
    gate = fit_gates.flair_contrast(1.1, 1.2, 0.4, 1.5, 0.42)
    assert "without the lesions found and 6 mm around them, 42% of the white matter" in gate.message
    assert "without the lesions" not in fit_gates.flair_contrast(0.85, 0.9, 0.4, 1.05, 0.0).message


@pytest.mark.parametrize(("share", "status"), [(0.0, "pass"), (0.06, "pass"), (0.12, "warn")])
def test_bone_in_the_carried_mask(share, status):
    gate = fit_gates.bone_in_mask(share)
    assert gate.status == status
    assert f"{100 * share:.1f}%" in gate.message


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
    gate = fit_gates.template_fit(dice, scales, image="CT")
    assert gate.status == status
    assert gate.name == "CT normalisation"
    assert " × ".join(f"{scale:.2f}" for scale in scales) in gate.message


def test_what_could_not_be_measured_is_said():
    gate = fit_gates.flair_contrast(math.nan, math.nan, 0.3)
    assert gate.status == "warn"
    assert "could not be measured" in gate.message


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
    gate = fit_gates.lesions_in_ventricles(inside, left_out, image="CT")
    assert gate.status == status
    assert gate.name == "CT lesions in the ventricles"
    assert gate.limits == "warn above 2 mL; fail above 30 mL left out"
