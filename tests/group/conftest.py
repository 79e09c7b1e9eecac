"""Results of cohorts, small and like the paper's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import dataset, light_workers, models, ready, units  # noqa: F401
from tests.group.cohorts import CT, FLAIR, add_unit, big_cohort
from tests.group.cohorts import run as summarise


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Results of five units with CT and FLAIR."""
    for number, (ct, flair) in enumerate(zip(CT, FLAIR, strict=True), start=1):
        add_unit(tmp_path, f"{number:02d}", ct, flair)
    return tmp_path


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    """A cohort like the paper's, summarised once; only to be read."""
    out = big_cohort(tmp_path_factory.mktemp("cohort"), 60)
    summarise(out)
    return out
