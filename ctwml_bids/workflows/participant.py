"""The participant workflow: one sub-workflow a unit, read top to bottom as the method's steps."""

from __future__ import annotations

from pathlib import Path

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from ctwml_bids.interfaces.results import UNIT_FILES, MeasureUnit, ReportUnit, WriteUnit
from ctwml_bids.unit.resources import Resources, UnitFiles
from ctwml_bids.workflows.frames import add_pair, add_reading, add_single
from ctwml_bids.workflows.lesions import add_across, add_segmentation, add_template_space
from ctwml_bids.workflows.steps import step

__all__ = ["Resources", "UnitFiles", "init_participant_wf", "init_unit_wf", "workflow_name"]


def workflow_name(label: str) -> str:
    """Return a unit's workflow name: Nipype allows letters, digits and underscores.

    Doubling keeps `sub-a_ses-b` and a subject that would collide with it apart; a plus sign, which
    BIDS allows in labels, is spelt out.
    """
    return "unit_" + label.replace("_", "__").replace("-", "_").replace("+", "_plus_")


def init_participant_wf(
    *, units: list[UnitFiles], resources: Resources, work_dir: Path
) -> pe.Workflow:
    """Join the units' workflows; they share nothing, so one that fails stops no other."""
    wf = pe.Workflow("participant_wf", base_dir=str(work_dir))
    wf.add_nodes([init_unit_wf(unit=unit, resources=resources) for unit in units])
    return wf


def init_unit_wf(*, unit: UnitFiles, resources: Resources) -> pe.Workflow:
    """Segment, measure, report and write one unit: a CT, a FLAIR or a pair.

    Outputs
    -------
    The `collect` node holds the unit's files (`UNIT_FILES`); `write` puts the derivatives in
    place once everything else is done, so a failed unit leaves nothing behind.
    """
    wf = pe.Workflow(workflow_name(unit.label))
    collect = pe.Node(niu.IdentityInterface(fields=UNIT_FILES), name="collect")
    present = [name for name in ("ct", "flair") if getattr(unit, name) is not None]
    for name in present:
        add_reading(wf, unit, resources, name, collect)
    if len(present) == 2:
        frames = add_pair(wf, unit, resources, collect)
    else:
        frames = {present[0]: add_single(wf, unit, resources, present[0])}
    for name in present:
        add_segmentation(wf, unit, resources, name, frames[name], collect)
    if len(present) == 2:
        add_across(wf, unit, resources, frames, collect)
    if resources.in_template:
        add_template_space(wf, unit, resources, frames, collect)
    _add_results(wf, unit, resources, collect)
    return wf


def _add_results(wf: pe.Workflow, unit: UnitFiles, resources: Resources, collect: pe.Node) -> None:
    """Add the measures with their quality gates, the report, and the writing of all."""
    context = {**resources.context, **unit.context, "label": unit.label}
    raw = {name: str(getattr(unit, name)) for name in ("ct", "flair") if getattr(unit, name)}
    measure = step(MeasureUnit(context=context, raw=raw), "measure", "measure", unit, *raw)
    report = step(ReportUnit(context=context, raw=raw), "report", "report", unit, *raw)
    write = step(WriteUnit(context=context, raw=raw), "write", "write", unit, *raw)
    connected = {
        edge[1] for _, _, d in wf._graph.in_edges(collect, data=True) for edge in d["connect"]
    }
    for field in UNIT_FILES:
        if field in connected:
            wf.connect([(collect, node, [(field, field)]) for node in (measure, report, write)])
    wf.connect(
        [
            (measure, report, [("measures", "measures")]),
            (measure, write, [("measures", "measures")]),
            (report, write, [("report", "report"), ("example", "example")]),
        ]
    )
