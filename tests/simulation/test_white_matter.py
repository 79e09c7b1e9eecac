from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ctwml_bids.simulation import canonical
from ctwml_bids.simulation.anatomy import BRAIN_BOX
from ctwml_bids.simulation.white_matter import (
    REGIONS,
    regional_darkness,
    shape_of,
    temporal_fluid,
)

ORIGIN = canonical.ORIGIN + [part.start for part in BRAIN_BOX]
OPTIC_RADIATION, EXTERNAL_CAPSULE = (37, -44, 4), (32, 1, 2)


def at(field: np.ndarray, point: tuple[float, float, float], side: int = 1) -> float:
    place = np.round(np.array(point) * (side, 1, 1) - ORIGIN).astype(int)
    return float(field[tuple(place)])


@pytest.fixture(scope="module")
def drawn(old_head):
    """Darkness of 10 young and 10 old people with one head."""
    head, _ = old_head
    rng = np.random.default_rng(3)
    ages = {"young": 30.0, "old": 75.0}
    return {
        name: [regional_darkness(rng, replace(head, age=age)) for _ in range(10)]
        for name, age in ages.items()
    }


def test_normal_darkness_lies_between_0_and_4_hu_and_differs_between_people(drawn):
    young = [at(field, OPTIC_RADIATION) for field in drawn["young"]]
    assert 0 <= min(young) < 1.5 < max(young) < 5
    # 1.9 HU on a normal CT of 29 years.
    assert min(young) < 1.9 < max(young)
    for field in drawn["young"] + drawn["old"]:
        assert field.min() >= 0
        assert field.max() < 5.5


def test_optic_radiations_are_darker_in_the_young_external_capsules_in_the_old(drawn):
    mean = {
        (who, place): np.mean([at(field, place) for field in fields])
        for who, fields in drawn.items()
        for place in (OPTIC_RADIATION, EXTERNAL_CAPSULE)
    }
    assert mean["young", OPTIC_RADIATION] > mean["old", OPTIC_RADIATION]
    assert mean["young", EXTERNAL_CAPSULE] < mean["old", EXTERNAL_CAPSULE]


def test_left_and_right_are_alike(drawn):
    for field in drawn["young"]:
        right, left = at(field, OPTIC_RADIATION), at(field, OPTIC_RADIATION, -1)
        assert right == pytest.approx(left, rel=0.2, abs=0.1)


def test_regions_lie_in_the_white_matter_of_the_template():
    white = canonical.canonical_head().white[BRAIN_BOX][::3, ::3, ::3]
    for name, region in REGIONS.items():
        inside = shape_of(region) > 0.7
        assert white[inside].mean() > (0.3 if name in ("hippocampus", "external capsule") else 0.5)


def test_temporal_horns_gain_more_fluid_in_the_old(old_head):
    head, _ = old_head
    rng = np.random.default_rng(4)
    young = [temporal_fluid(rng, replace(head, age=30.0)).max() for _ in range(10)]
    old = [temporal_fluid(rng, replace(head, age=80.0)).max() for _ in range(10)]
    assert max(young) <= 0.05
    assert 0.1 < max(old) <= 0.35
