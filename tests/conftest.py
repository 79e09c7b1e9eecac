"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("CTWML_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real images; they lie beside the project and are not part of it."""
    data = SHARED / "data"
    if not data.is_dir():
        pytest.skip(f"real images are not at {data} (set CTWML_SHARED)")
    return data


@pytest.fixture(scope="session")
def bids_real(shared_data: Path) -> Path:
    """The real BIDS data set."""
    return shared_data / "bids-real"
