"""A sample of generated inputs: each is refused with a documented exit code, or right.

``make fuzz`` runs many more. What a fault is, `verdict` says.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.case import Case
from tests.fuzz.kinds import KINDS

# Inputs of each kind; the whole file takes less than a minute of one CPU.
INPUTS = 12


@pytest.mark.parametrize("kind", KINDS)
def test_a_generated_input_is_refused_with_its_code_or_right(worker, kind):
    @settings(
        max_examples=INPUTS,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=KINDS[kind][0])
    def run(case: Case) -> None:
        assert worker.run(case).faults == []

    run()
