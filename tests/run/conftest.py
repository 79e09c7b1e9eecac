"""The small data set and models of the command line's tests, for the tests of a run."""

from __future__ import annotations

from tests.cli.conftest import (  # noqa: F401
    dataset,
    light_workers,
    models,
    ready,
    units,
)
