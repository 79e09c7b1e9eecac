from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.training import trainable
from tests.training.training import train


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """A training that ran in one go; to look at only."""
    root = tmp_path_factory.mktemp("trained")
    trainable.make(root)
    assert train(root) == 0
    return root


@pytest.fixture
def trained_copy(trained, tmp_path) -> Path:
    """A copy of it to spoil."""
    shutil.copytree(trained, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def untrained(tmp_path) -> Path:
    """Nothing is trained yet."""
    trainable.make(tmp_path)
    return tmp_path
