"""Simulated once for all tests of the simulation: they are real images, and take seconds."""

from __future__ import annotations

import numpy as np
import pytest

from ctwml_bids.simulation.anatomy import make_head
from ctwml_bids.simulation.lesions import make_lesions
from ctwml_bids.simulation.pair import simulate_pair


@pytest.fixture(scope="session")
def severe():
    """A small pair with 40 mL of lesions."""
    return simulate_pair(
        11, fazekas=3, age=75, sex="F", lesion_ml=40.0, size="small", sagittal=False
    )


@pytest.fixture(scope="session")
def old_head():
    """A head of 80 years with 30 mL of lesions, at 1 mm, before any scanner."""
    rng = np.random.default_rng(5)
    head = make_head(rng, 80.0, "M")
    return head, make_lesions(rng, head, 30.0)
