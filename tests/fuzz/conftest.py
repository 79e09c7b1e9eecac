"""One process for all inputs of a test run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz.worker import Worker


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """Runs inputs one after another."""
    started = Worker()
    yield started
    started.close()
