"""The participant workflow: one sub-workflow a unit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nipype.pipeline import engine as pe

from ctwml_bids.bids.units import Unit
from ctwml_bids.unit.memory import megavoxels
from ctwml_bids.unit.resources import Resources
from ctwml_bids.workflows.unit import init_unit_wf


def init_participant_wf(
    *, units: Sequence[Unit], resources: Resources, work_dir: Path
) -> pe.Workflow:
    """Join the units' workflows; they share nothing, so one that fails stops no other."""
    wf = pe.Workflow("participant_wf", base_dir=str(work_dir))
    for unit in units:
        size = megavoxels(unit.images)
        wf.add_nodes([init_unit_wf(unit=unit, megavoxels=size, resources=resources)])
    return wf
