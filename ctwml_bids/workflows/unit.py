"""The workflow of one unit, read top to bottom as the method's steps.

Every step hands on one record of files (`unit.records`), its output `found`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from nipype.interfaces.base import BaseInterface
from nipype.pipeline import engine as pe

from ctwml_bids.bids.units import Unit
from ctwml_bids.interfaces.alignment import (
    Deform,
    FramePair,
    NormaliseNineParameter,
    RegisterRigid,
)
from ctwml_bids.interfaces.preprocessing import (
    ExtractBrain,
    FindVentricles,
    MeasureContrast,
    ReadImage,
)
from ctwml_bids.interfaces.results import MeasureUnit, ReportUnit, WriteUnit
from ctwml_bids.interfaces.segmentation import SegmentLesions, ToNative, ToTemplate
from ctwml_bids.unit.memory import step_gb
from ctwml_bids.unit.resources import Resources

# `_step` of one unit's workflow.
Step = Callable[..., pe.Node]


def workflow_name(label: str) -> str:
    """Return a unit's workflow name: Nipype allows letters, digits and underscores.

    Doubling keeps `sub-a_ses-b` and a subject that would collide with it apart; a plus sign, which
    BIDS allows in labels, is spelt out.
    """
    return "unit_" + label.replace("_", "__").replace("-", "_").replace("+", "_plus_")


@dataclass(frozen=True)
class _ImageNodes:
    """The steps that give the fields of `ImageFiles`."""

    head: pe.Node | None = None
    ventricles: pe.Node | None = None
    network: pe.Node | None = None
    lesions: pe.Node | None = None
    in_template: pe.Node | None = None
    contrast: pe.Node | None = None


def init_unit_wf(
    *, unit: Unit, megavoxels: Mapping[str, float], resources: Resources
) -> pe.Workflow:
    """Segment, measure, report and write one unit: a CT, a FLAIR or a pair.

    Memory is asked for by the millions of voxels of each image (`memory.megavoxels`).

    The node ``write`` puts the derivatives in place once everything else is done, so a failed
    unit leaves nothing behind.
    """
    wf = pe.Workflow(workflow_name(unit.label))
    step: Step = partial(_step, wf, megavoxels)
    heads, register = _add_heads(step, unit, resources)
    images = {name: _add_lesions(step, unit, resources, name, head) for name, head in heads.items()}
    shared: dict[str, pe.Node] = {}
    if register is not None:
        ct, flair = images["ct"].network, images["flair"].network
        shared["registration"] = register
        shared["ct_in_flair"] = _to_native(step, unit, resources, ct, "ct", "flair", register)
        shared["flair_in_ct"] = _to_native(step, unit, resources, flair, "flair", "ct", register)
    if resources.in_template:
        if resources.run.normalisation == "syn":
            shared["fields"] = _add_deformation(step, resources, heads)
        for name, nodes in images.items():
            in_template = _to_template(step, resources, name, nodes, shared)
            images[name] = replace(nodes, in_template=in_template)
    _add_results(wf, step, unit, resources, images, shared)
    return wf


def _step(
    wf: pe.Workflow,
    megavoxels: Mapping[str, float],
    interface: BaseInterface,
    name: str,
    kind: str,
    *images: str,
    threads: int = 1,
    **given: pe.Node | None,
) -> pe.Node:
    """Add a node that states its memory and threads.

    Parameters
    ----------
    wf
        To which it is added.
    megavoxels
        Of the unit's images.
    interface, name
        Of the node.
    kind
        Of step, as in `memory.NEEDS`.
    images
        ``ct`` and/or ``flair``: those it works on.
    threads
        CPUs that it uses.
    given
        Inputs that are the record of another step, where there is that step.
    """
    size = sum(megavoxels.get(image, 0.0) for image in images)
    node = pe.Node(interface, name=name, mem_gb=step_gb(kind, size), n_procs=threads)
    wf.add_nodes([node])
    for field, source in given.items():
        if source is not None:
            wf.connect(source, "found", node, field)
    return node


def _add_heads(
    step: Step, unit: Unit, resources: Resources
) -> tuple[dict[str, pe.Node], pe.Node | None]:
    """Add reading, brains and frames, of a pair with its registration."""
    sidecars = {"ct": unit.ct_sidecar, "flair": unit.flair_sidecar}
    seed, reads, brains = resources.run.seed, {}, {}
    frame = {"template": resources.template, "guide": resources.guide, "seed": seed}
    for name, path in unit.images.items():
        read = ReadImage(in_file=str(path), modality=name, sidecar=sidecars[name])
        reads[name] = step(read, f"read_{name}", "read", name)
        threads = resources.threads if name == "flair" else 1
        brain, given = ExtractBrain(modality=name, threads=threads), {"read": reads[name]}
        brains[name] = step(brain, f"brain_{name}", "brain", name, threads=threads, **given)

    def normalise(name: str) -> pe.Node:
        given = {"read": reads[name], "brain": brains[name]}
        fit = NormaliseNineParameter(**frame)
        return step(fit, f"normalise_{name}", "normalise", name, **given)

    if len(reads) == 1:
        return {name: normalise(name) for name in reads}, None
    threads = resources.registration_threads
    register = step(
        RegisterRigid(seed=seed, threads=threads),
        "register",
        "register",
        "ct",
        "flair",
        threads=threads,
        ct=reads["ct"],
        flair=reads["flair"],
        ct_brain=brains["ct"],
        flair_brain=brains["flair"],
    )
    flair = normalise("flair")
    given = {"read": reads["ct"], "brain": brains["ct"], "flair": flair, "registration": register}
    ct = step(FramePair(**frame), "frame_ct", "normalise", "ct", "flair", **given)
    return {"ct": ct, "flair": flair}, register


def _add_lesions(
    step: Step, unit: Unit, resources: Resources, name: str, head: pe.Node
) -> _ImageNodes:
    """Add one image's ventricles, its network, and the network's maps on the image's own grid."""
    guide, use_gpu = resources.guide, resources.run.device == "cuda"
    find = FindVentricles(modality=name, guide=guide)
    ventricles = step(find, f"ventricles_{name}", "ventricles", name, head=head)
    network = step(
        SegmentLesions(
            template=resources.template,
            guide=guide,
            model=str(resources.models[name]),
            card=resources.run.cards[name],
            modality=name,
            use_gpu=use_gpu,
            threads=resources.threads,
        ),
        f"segment_{name}",
        "segment",
        name,
        threads=1 if use_gpu else resources.threads,
        head=head,
        ventricles=ventricles,
    )
    lesions = _to_native(step, unit, resources, network, name, name)
    contrast = None
    if name == "flair":
        # Tells whether it is a FLAIR; lesions are left out of what it compares.
        compare, given = MeasureContrast(guide=guide), {"head": head, "lesions": lesions}
        contrast = step(compare, "contrast_flair", "contrast", name, **given)
    return _ImageNodes(head, ventricles, network, lesions, contrast=contrast)


def _to_native(
    step: Step,
    unit: Unit,
    resources: Resources,
    network: pe.Node | None,
    seen: str,
    space: str,
    register: pe.Node | None = None,
) -> pe.Node:
    """Add the maps of what was seen in one image on an image's grid, straight from the network's.

    The registration is needed where that is the other image.
    """
    native, thresholds = str(unit.images[space]), _thresholds(resources, seen)
    maps = ToNative(native=native, seen=seen, **thresholds)
    given = {"network": network, "registration": register}
    return step(maps, f"{seen}_in_{space}", "native", space, **given)


def _thresholds(resources: Resources, name: str) -> dict[str, float]:
    card = resources.run.cards[name]
    found = {"threshold": card.threshold, "infarct_threshold": card.infarct_threshold}
    return {field: value for field, value in found.items() if value is not None}


def _add_deformation(step: Step, resources: Resources, heads: dict[str, pe.Node]) -> pe.Node:
    """Add the deformable registration; a pair is deformed once, by its FLAIR."""
    name, threads = "flair" if "flair" in heads else "ct", resources.registration_threads
    syn = Deform(template=resources.template, seed=resources.run.seed, threads=threads)
    return step(syn, "deform", "deform", name, threads=threads, head=heads[name])


def _to_template(
    step: Step,
    resources: Resources,
    name: str,
    nodes: _ImageNodes,
    shared: dict[str, pe.Node],
) -> pe.Node:
    """Add one image's maps on the template's grid."""
    maps = ToTemplate(template=resources.template, **_thresholds(resources, name))
    given = {"network": nodes.network, "fields": shared.get("fields")}
    if name == "ct" and {"fields", "registration"} <= shared.keys():
        # The field is the FLAIR's: the head tells whether the CT's frame is, too.
        given["head"] = nodes.head
    return step(maps, f"{name}_in_template", "template", **given)


def _add_results(
    wf: pe.Workflow,
    step: Step,
    unit: Unit,
    resources: Resources,
    images: dict[str, _ImageNodes],
    shared: dict[str, pe.Node],
) -> None:
    """Add the measures with their quality gates, the report, and the writing of all."""
    results = dict(shared)
    for name, nodes in images.items():
        results |= {f"{name}_{field}": node for field, node in vars(nodes).items()}
    of = {"unit": unit, "run": resources.run}
    measure = step(MeasureUnit(**of), "measure", "measure", *images, **results)
    results["measures"] = measure
    report = step(ReportUnit(**of), "report", "report", *images, **results)
    results["report"] = report
    write = step(WriteUnit(**of), "write", "write", *images, **results)
    wf.connect(report, "example", write, "example")
