"""The participant workflow: one sub-workflow a unit, read top to bottom as the method's steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from ctwml_bids.interfaces.outputs import UNIT_FILES, MeasureUnit, ReportUnit, WriteUnit
from ctwml_bids.interfaces.preprocessing import (
    Deform,
    ExtractBrain,
    FindVentricles,
    FramePair,
    NormaliseNineParameter,
    ReadImage,
    RegisterRigid,
)
from ctwml_bids.interfaces.segmentation import SegmentLesions, ToNative, ToTemplate

# Measured on a 512 × 512 × 56 CT with a 512 × 512 × 28 FLAIR, rounded up: GiB a node may need.
MEMORY_GB = {
    "read": 1.0,
    "brain": 2.0,
    "register": 1.5,
    "normalise": 0.8,
    "segment": 1.5,
    "native": 1.5,
    "template": 2.0,
    "ventricles": 1.5,
    "measure": 1.5,
    "report": 1.5,
    "write": 1.0,
}


@dataclass(frozen=True)
class Resources:
    """What every node of a run shares.

    Attributes
    ----------
    template_t1w, template_mask, template_ventricles
        Template images.
    deformable
        Whether SyN runs on top of the nine parameters.
    in_template
        Whether maps are written in the template's space.
    ct_model, flair_model
        Model folders.
    ct_threshold, flair_threshold
        Probability above which a voxel is a lesion.
    seed
        Seed of registration and normalisation.
    threads
        Threads one node may use.
    use_gpu
        Whether the networks run on CUDA.
    context
        JSON-able description of the run for sidecars and report: versions, settings hashes,
        model cards, template name, output folder.
    """

    template_t1w: Path
    template_mask: Path
    template_ventricles: Path
    deformable: bool
    in_template: bool
    ct_model: Path
    flair_model: Path
    ct_threshold: float
    flair_threshold: float
    seed: int
    threads: int
    use_gpu: bool
    context: dict[str, Any]


@dataclass(frozen=True)
class UnitFiles:
    """The input images of one unit and what sidecars and report say of them."""

    label: str
    ct: Path | None
    flair: Path | None
    ct_sidecar: dict[str, Any]
    context: dict[str, Any]


def workflow_name(label: str) -> str:
    """Return a unit's workflow name: Nipype allows letters, digits and underscores.

    Doubling keeps `sub-a_ses-b` and a subject that would collide with it apart.
    """
    return "unit_" + label.replace("_", "__").replace("-", "_")


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
        _add_reading(wf, unit, resources, name, collect)
    if len(present) == 2:
        frames = _add_pair(wf, resources, collect)
    else:
        frames = {present[0]: _add_single(wf, resources, present[0])}
    for name in present:
        _add_segmentation(wf, unit, resources, name, frames[name], collect)
    if len(present) == 2:
        _add_across(wf, unit, resources, frames, collect)
    if resources.in_template:
        _add_template_space(wf, resources, frames, collect)
    _add_results(wf, unit, resources, collect)
    return wf


def _node(interface: Any, name: str, kind: str, *, threads: int = 1) -> pe.Node:
    return pe.Node(interface, name=name, mem_gb=MEMORY_GB[kind], n_procs=threads)


def _add_reading(
    wf: pe.Workflow, unit: UnitFiles, resources: Resources, name: str, collect: pe.Node
) -> None:
    """Add reading and brain extraction of one image."""
    read = _node(
        ReadImage(
            in_file=str(getattr(unit, name)),
            modality=name,
            sidecar=unit.ct_sidecar if name == "ct" else {},
        ),
        f"read_{name}",
        "read",
    )
    brain = _node(
        ExtractBrain(modality=name, threads=resources.threads),
        f"brain_{name}",
        "brain",
        threads=resources.threads if name == "flair" else 1,
    )
    wf.connect(
        [
            (read, brain, [("out_file", "in_file")]),
            (read, collect, [("out_file", f"{name}_image"), ("facts", f"{name}_facts")]),
            (brain, collect, [("mask", f"{name}_brain"), ("facts", f"{name}_brain_facts")]),
        ]
    )


def _normalise(resources: Resources, name: str) -> pe.Node:
    return _node(
        NormaliseNineParameter(
            template_mask=str(resources.template_mask), seed=resources.seed, threads=1
        ),
        f"normalise_{name}",
        "normalise",
    )


def _add_single(wf: pe.Workflow, resources: Resources, name: str) -> tuple[pe.Node, str]:
    """Add the frame of an image that is alone: its own brain mask, normalised."""
    normalise = _normalise(resources, name)
    wf.connect(wf.get_node(f"brain_{name}"), "mask", normalise, "mask")
    return normalise, f"brain_{name}"


def _add_pair(
    wf: pe.Workflow, resources: Resources, collect: pe.Node
) -> dict[str, tuple[pe.Node, str]]:
    """Add the pair's registration, and the CT's frame with the FLAIR's mask carried to it."""
    register = _node(
        RegisterRigid(seed=resources.seed, threads=1), "register", "register", threads=1
    )
    normalise = _normalise(resources, "flair")
    frame = _node(
        FramePair(template_mask=str(resources.template_mask), seed=resources.seed, threads=1),
        "frame_ct",
        "normalise",
    )
    brain_ct, brain_flair = wf.get_node("brain_ct"), wf.get_node("brain_flair")
    wf.connect(
        [
            (wf.get_node("read_flair"), register, [("out_file", "flair")]),
            (wf.get_node("read_ct"), register, [("out_file", "ct")]),
            (brain_flair, register, [("mask", "flair_mask")]),
            (brain_ct, register, [("mask", "ct_mask")]),
            (brain_flair, normalise, [("mask", "mask")]),
            (brain_ct, frame, [("mask", "ct_mask")]),
            (brain_flair, frame, [("mask", "flair_mask"), ("facts", "flair_mask_facts")]),
            (register, frame, [("flair_to_ct", "flair_to_ct"), ("facts", "registration_facts")]),
            (normalise, frame, [("template_to_native", "template_to_flair")]),
            (
                register,
                collect,
                [("flair_to_ct", "flair_to_ct"), ("facts", "registration_facts")],
            ),
            (frame, collect, [("facts", "frame_facts")]),
        ]
    )
    return {"ct": (frame, "frame_ct"), "flair": (normalise, "brain_flair")}


def _add_segmentation(
    wf: pe.Workflow,
    unit: UnitFiles,
    resources: Resources,
    name: str,
    frame: tuple[pe.Node, str],
    collect: pe.Node,
) -> None:
    """Add one image's network, its maps on the image's own grid, and its ventricles."""
    transform, mask_node = frame
    read, mask = wf.get_node(f"read_{name}"), wf.get_node(mask_node)
    segment = _node(
        SegmentLesions(
            template_mask=str(resources.template_mask),
            model=str(getattr(resources, f"{name}_model")),
            modality=name,
            use_gpu=resources.use_gpu,
            threads=resources.threads,
        ),
        f"segment_{name}",
        "segment",
        threads=1 if resources.use_gpu else resources.threads,
    )
    native = _to_native(unit, resources, seen=name, space=name)
    ventricles = _node(
        FindVentricles(modality=name, template_ventricles=str(resources.template_ventricles)),
        f"ventricles_{name}",
        "ventricles",
    )
    wf.connect(
        [
            (read, segment, [("out_file", "in_file")]),
            (mask, segment, [("mask", "mask")]),
            (transform, segment, [("template_to_native", "template_to_native")]),
            (
                segment,
                native,
                [("probability", "probability"), ("disagreement", "disagreement")],
            ),
            (transform, native, [("template_to_native", "template_to_native")]),
            (read, ventricles, [("out_file", "in_file")]),
            (mask, ventricles, [("mask", "mask")]),
            (transform, ventricles, [("template_to_native", "template_to_native")]),
            (
                native,
                collect,
                [
                    ("probability", f"{name}_in_{name}_probability"),
                    ("disagreement", f"{name}_in_{name}_disagreement"),
                    ("mask", f"{name}_in_{name}_mask"),
                ],
            ),
            (ventricles, collect, [("ventricles", f"{name}_ventricles")]),
            (transform, collect, [("template_to_native", f"template_to_{name}")]),
            (mask, collect, [("mask", f"{name}_used_brain")]),
        ]
    )


def _add_across(
    wf: pe.Workflow,
    unit: UnitFiles,
    resources: Resources,
    frames: dict[str, tuple[pe.Node, str]],
    collect: pe.Node,
) -> None:
    """Add each image's maps on the other image's grid, straight from the network's grid."""
    register = wf.get_node("register")
    for seen, space in (("ct", "flair"), ("flair", "ct")):
        native = _to_native(unit, resources, seen=seen, space=space)
        segment = wf.get_node(f"segment_{seen}")
        wf.connect(
            [
                (
                    segment,
                    native,
                    [("probability", "probability"), ("disagreement", "disagreement")],
                ),
                (frames[seen][0], native, [("template_to_native", "template_to_native")]),
                (
                    native,
                    collect,
                    [
                        ("probability", f"{seen}_in_{space}_probability"),
                        ("disagreement", f"{seen}_in_{space}_disagreement"),
                        ("mask", f"{seen}_in_{space}_mask"),
                    ],
                ),
            ]
        )
        # The map wanted is native space → space of the image that was seen.
        wf.connect(register, f"{space}_to_{seen}", native, "native_to_seen")


def _add_template_space(
    wf: pe.Workflow,
    resources: Resources,
    frames: dict[str, tuple[pe.Node, str]],
    collect: pe.Node,
) -> None:
    """Add the maps on the template's grid; a pair is deformed once, by its FLAIR."""
    deform = None
    if resources.deformable:
        name = "flair" if "flair" in frames else "ct"
        transform, mask_node = frames[name]
        deform = _node(
            Deform(
                template_t1w=str(resources.template_t1w),
                template_mask=str(resources.template_mask),
                seed=resources.seed,
                threads=1,
            ),
            "deform",
            "register",
        )
        wf.connect(
            [
                (wf.get_node(f"read_{name}"), deform, [("out_file", "in_file")]),
                (wf.get_node(mask_node), deform, [("mask", "mask")]),
                (transform, deform, [("template_to_native", "template_to_native")]),
                (deform, collect, [("forward", "syn_forward"), ("inverse", "syn_inverse")]),
            ]
        )
    for name in frames:
        to_template = _node(
            ToTemplate(
                template_t1w=str(resources.template_t1w),
                threshold=getattr(resources, f"{name}_threshold"),
            ),
            f"{name}_in_template",
            "template",
        )
        wf.connect(wf.get_node(f"segment_{name}"), "probability", to_template, "probability")
        if deform is not None:
            wf.connect(deform, "forward", to_template, "forward")
            wf.connect(deform, "inverse", to_template, "inverse")
        for kind in ("probability", "mask"):
            wf.connect(to_template, kind, collect, f"{name}_in_template_{kind}")


def _to_native(unit: UnitFiles, resources: Resources, *, seen: str, space: str) -> pe.Node:
    return _node(
        ToNative(
            native=str(getattr(unit, space)), threshold=getattr(resources, f"{seen}_threshold")
        ),
        f"{seen}_in_{space}",
        "native",
    )


def _add_results(wf: pe.Workflow, unit: UnitFiles, resources: Resources, collect: pe.Node) -> None:
    """Add the measures with their quality gates, the report, and the writing of all."""
    context = {**resources.context, **unit.context, "label": unit.label}
    raw = {name: str(getattr(unit, name)) for name in ("ct", "flair") if getattr(unit, name)}
    measure = _node(MeasureUnit(context=context, raw=raw), "measure", "measure")
    report = _node(ReportUnit(context=context, raw=raw), "report", "report")
    write = _node(WriteUnit(context=context, raw=raw), "write", "write")
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
            (report, write, [("report", "report")]),
        ]
    )
