"""Simulated once for all tests of the simulation: they are real images, and take seconds."""

from __future__ import annotations

import numpy as np
import pytest

from ctwml_bids.simulation.anatomy import make_head
from ctwml_bids.simulation.infarcts import InfarctShape, pack_shapes, write_shapes
from ctwml_bids.simulation.lesions import make_lesions
from ctwml_bids.simulation.pair import simulate_pair


@pytest.fixture(scope="session")
def infarct_file(tmp_path_factory):
    """A box of 34 mL beside the left ventricle, which white matter lesions would fill."""
    shape = InfarctShape("inf-1", np.array([60, 70, 110]), np.ones((24, 40, 36), dtype=bool))
    path = tmp_path_factory.mktemp("infarcts") / "infarcts.npz"
    write_shapes(path, pack_shapes([shape], False, "made here"))
    return path


@pytest.fixture(scope="session")
def severe(infarct_file):
    """A small pair with 40 mL of lesions and no infarct, though there are shapes."""
    return simulate_pair(
        11,
        fazekas=3,
        age=75,
        sex="F",
        lesion_ml=40.0,
        size="small",
        sagittal=False,
        infarcts=infarct_file,
        infarct="none",
    )


@pytest.fixture(scope="session")
def old_head():
    """A head of 80 years with 30 mL of lesions, at 1 mm, before any scanner."""
    rng = np.random.default_rng(5)
    head = make_head(rng, 80.0, "M")
    return head, make_lesions(rng, head, 30.0)
