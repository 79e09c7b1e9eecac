"""The participant workflow: one sub-workflow a unit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nipype.pipeline import engine as pe

from ctwml_bids.unit.resources import Resources, UnitInput
from ctwml_bids.workflows.unit import init_unit_wf


def init_participant_wf(
    *, units: Sequence[UnitInput], resources: Resources, work_dir: Path
) -> pe.Workflow:
    """Join the units' workflows; they share nothing, so one that fails stops no other."""
    wf = pe.Workflow("participant_wf", base_dir=str(work_dir))
    wf.add_nodes([init_unit_wf(unit=unit, resources=resources) for unit in units])
    return wf
