from __future__ import annotations

import pytest

from ctwml_bids.statistics.gates import ct


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
