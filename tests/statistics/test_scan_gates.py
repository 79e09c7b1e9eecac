from __future__ import annotations

import pytest

from ctwml_bids.statistics import scan_gates


@pytest.mark.parametrize(
    ("upright", "turned", "status"),
    [
        (1.4, 4.0, "pass"),
        (2.0, 3.4, "pass"),
        (3.0, 3.2, "warn"),
        (3.0, 2.9, "warn"),
        (3.1, 2.1, "fail"),
        (5.4, 2.0, "fail"),
        (6.04, 5.13, "warn"),
        (9.0, 4.5, "warn"),
    ],
)
def test_way_up(upright, turned, status):
    gate = scan_gates.way_up(upright, turned, "upside down", image="CT")
    assert (gate.name, gate.status) == ("CT way up", status)
    if status == "fail":
        assert "the header has the head upside down" in gate.message


@pytest.mark.parametrize(
    ("empty", "unseen", "status"),
    [(0, 0.0, "pass"), (2, 0.0, "pass"), (1, 12.0, "warn"), (3, 40.0, "warn"), (20, 700.0, "fail")],
)
def test_empty_slices(empty, unseen, status):
    gate = scan_gates.empty_slices(empty, 34, unseen, 1300.0 - unseen, image="FLAIR")
    assert gate.status == status
    assert gate.value == unseen
    if unseen:
        assert f"{empty} of 34 slices of FLAIR" in gate.message
        assert f"about {unseen:.0f} mL of the brain not seen" in gate.message


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
    gate = scan_gates.value_steps(step)
    assert gate.status == status
    assert error in gate.message
