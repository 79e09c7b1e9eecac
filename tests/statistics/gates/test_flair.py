from __future__ import annotations

import math

import pytest

from ctwml_bids.statistics.gates import flair


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
    gate = flair.flair_contrast(grey, darker, fluid)
    assert gate.status == status
    assert f"{grey:.2f}" in gate.message
    assert f"{fluid:.2f}" in gate.message


@pytest.mark.parametrize(
    ("lesions", "status"),
    [(math.nan, "fail"), (1.04, "fail"), (1.15, "fail"), (1.29, "warn"), (1.7, "warn")],
)
def test_bright_lesions_are_not_those_of_a_t1w_image(lesions, status):
    assert flair.flair_contrast(0.88, 0.97, 0.4, lesions).status == status


def test_the_message_says_what_was_left_out_of_white_matter():
    gate = flair.flair_contrast(1.1, 1.2, 0.4, 1.5, 0.42)
    assert "without the lesions found and 6 mm around them, 42% of the white matter" in gate.message
    assert "without the lesions" not in flair.flair_contrast(0.85, 0.9, 0.4, 1.05, 0.0).message


def test_what_could_not_be_measured_is_said():
    gate = flair.flair_contrast(math.nan, math.nan, 0.3)
    assert gate.status == "warn"
    assert "could not be measured" in gate.message
