"""Runs of units of two small steps, through everything but the real workflow."""

from __future__ import annotations

import io
from pathlib import Path

from nipype.pipeline import engine as pe

from ctwml_bids.bids.status import UnitResult
from ctwml_bids.run.participant import run_participants
from ctwml_bids.run.preflight import SCRATCH, Ready
from ctwml_bids.run.progress import start_logging
from tests.execution import steps


def workflow_name(label: str) -> str:
    return "unit_" + label.replace("-", "_")


def run(
    units, ready: Ready, second, marks: Path | None = None
) -> tuple[dict[str, UnitResult], str]:
    """Run units of two steps; `second` gives the second step of a unit by its label.

    Returns the results by label, and what was on the screen.
    """
    screen = io.StringIO()

    def build(batch):
        wf = pe.Workflow(SCRATCH, base_dir=str(ready.settings.work_dir))
        for unit in batch:
            inner = pe.Workflow(workflow_name(unit.label))
            first = pe.Node(steps.Succeed(mark=str(marks or "")), name="first", mem_gb=0.1)
            last = pe.Node(second(unit.label), name="last", mem_gb=0.1)
            inner.connect(first, "out", last, "value")
            wf.add_nodes([inner])
        return wf

    results = run_participants(
        units, ready, start_logging(0, screen), build=build, workflow_name=workflow_name
    )
    return {result.label: result for result in results}, screen.getvalue()
