"""The fuzzing notices what it looks for, and goes on."""

from __future__ import annotations

import pytest

from tests.fuzz.case import Case
from tests.fuzz.worker import Worker


@pytest.fixture(scope="module")
def impatient():
    worker = Worker(hang_s=3.0)
    yield worker
    worker.close()


@pytest.mark.parametrize(
    ("does", "fault"),
    [
        ("hangs", "hang: "),
        ("dies", "death: "),
        ("raises", "escape: "),
        ("writes", "outside: "),
        ("another code", "code: "),
    ],
)
def test_a_fault_is_noticed_and_the_next_input_runs(impatient, does, fault):
    verdict = impatient.run(Case("faults", (does,), program="faulty"))
    assert {found[: len(fault)] for found in verdict.faults} == {fault}
    right = impatient.run(Case("faults", ("nothing",), program="faulty"))
    assert (right.faults, right.code) == ([], 0)
