from __future__ import annotations

import pytest

from ctwml_bids.statistics.gates import scan


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
    gate = scan.way_up(upright, turned, "upside down", image="CT")
    assert (gate.name, gate.status) == ("CT way up", status)
    if status == "fail":
        assert "the header has the head upside down" in gate.message


@pytest.mark.parametrize(
    ("empty", "unseen", "status"),
    [(0, 0.0, "pass"), (2, 0.0, "pass"), (1, 12.0, "warn"), (3, 40.0, "warn"), (20, 700.0, "fail")],
)
def test_empty_slices(empty, unseen, status):
    gate = scan.empty_slices(empty, 34, unseen, 1300.0 - unseen, image="FLAIR")
    assert gate.status == status
    assert gate.value == unseen
    if unseen:
        assert f"{empty} of 34 slices of FLAIR" in gate.message
        assert f"about {unseen:.0f} mL of the brain not seen" in gate.message
