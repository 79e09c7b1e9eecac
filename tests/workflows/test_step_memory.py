"""The memory that the steps of a unit declare, against what they were measured to hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ctwml_bids.unit.memory import unit_gb

MEASURED = Path(__file__).resolve().parents[2] / "benchmarks/results/node_memory.json"
UNITS = json.loads(MEASURED.read_text())["result"]["units"]


def size(slices: int) -> float:
    return 512 * 512 * slices / 1e6


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: f"{unit['ct_slices']} slices")
def test_every_step_declares_what_it_was_measured_to_hold_and_not_twice_as_much(graph, unit):
    sizes = {"ct": size(unit["ct_slices"]), "flair": size(unit["flair_slices"])}
    wf = graph(megavoxels=sizes)
    for name, peak in unit["peak_gib"].items():
        declared = wf.get_node(name).mem_gb
        assert peak <= declared, name
        # What is declared too high keeps CPUs idle; small steps do not matter.
        assert declared <= max(2 * peak, 1.2), name
    assert unit_gb(sizes) >= max(unit["peak_gib"].values())


def test_a_larger_image_needs_more(graph):
    small, large = (graph(megavoxels={"ct": size(n), "flair": 7.0}) for n in (56, 400))
    assert large.get_node("brain_ct").mem_gb > 2 * small.get_node("brain_ct").mem_gb
    assert large.get_node("brain_flair").mem_gb == small.get_node("brain_flair").mem_gb
