"""Middle steps of a unit: the networks, and their maps on every grid that is wanted."""

from __future__ import annotations

from nipype.pipeline import engine as pe

from ctwml_bids.interfaces.alignment import Deform
from ctwml_bids.interfaces.preprocessing import FindVentricles, MeasureContrast
from ctwml_bids.interfaces.segmentation import SegmentLesions, ToNative, ToTemplate
from ctwml_bids.unit.resources import Resources, UnitFiles
from ctwml_bids.workflows.steps import step


def add_segmentation(
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
    segment = step(
        SegmentLesions(
            template_mask=str(resources.template_mask),
            guide_wm=str(resources.guide_wm),
            guide_ventricles=str(resources.guide_ventricles),
            model=str(getattr(resources, f"{name}_model")),
            checksum=resources.context["models"][name]["checksum"],
            threshold=getattr(resources, f"{name}_threshold"),
            modality=name,
            use_gpu=resources.use_gpu,
            threads=resources.threads,
        ),
        f"segment_{name}",
        "segment",
        unit,
        name,
        threads=1 if resources.use_gpu else resources.threads,
    )
    native = _to_native(unit, resources, seen=name, space=name)
    ventricles = step(
        FindVentricles(modality=name, guide_ventricles=str(resources.guide_ventricles)),
        f"ventricles_{name}",
        "ventricles",
        unit,
        name,
    )
    wf.connect(
        [
            (read, segment, [("out_file", "in_file")]),
            (mask, segment, [("mask", "mask"), ("whole", "whole")]),
            (
                transform,
                segment,
                [
                    ("template_to_native", "template_to_native"),
                    ("guide_to_native", "guide_to_native"),
                ],
            ),
            (
                segment,
                native,
                [("probability", "probability"), ("disagreement", "disagreement")],
            ),
            (transform, native, [("template_to_native", "template_to_native")]),
            (read, ventricles, [("out_file", "in_file")]),
            (mask, ventricles, [("whole", "mask")]),
            (transform, ventricles, [("guide_to_native", "guide_to_native")]),
            (ventricles, segment, [("ventricles", "ventricles")]),
            (
                native,
                collect,
                [
                    ("probability", f"{name}_in_{name}_probability"),
                    ("disagreement", f"{name}_in_{name}_disagreement"),
                    ("mask", f"{name}_in_{name}_mask"),
                ],
            ),
            (segment, collect, [("facts", f"{name}_network_facts")]),
            (ventricles, collect, [("ventricles", f"{name}_ventricles")]),
            (
                transform,
                collect,
                [
                    ("template_to_native", f"template_to_{name}"),
                    ("guide_to_native", f"guide_to_{name}"),
                    ("template_brain", f"{name}_template_brain"),
                    ("fit", f"{name}_fit"),
                ],
            ),
            (mask, collect, [("mask", f"{name}_used_brain")]),
        ]
    )
    if name == "flair":
        _add_contrast(wf, unit, resources, transform, native, collect)


def _add_contrast(
    wf: pe.Workflow,
    unit: UnitFiles,
    resources: Resources,
    transform: pe.Node,
    native: pe.Node,
    collect: pe.Node,
) -> None:
    """Add what tells whether the FLAIR is one; lesions, on its own grid, are left out of it."""
    contrast = step(
        MeasureContrast(
            guide_gm=str(resources.guide_gm),
            guide_wm=str(resources.guide_wm),
            guide_ventricles=str(resources.guide_ventricles),
        ),
        "contrast_flair",
        "contrast",
        unit,
        "flair",
    )
    wf.connect(
        [
            (wf.get_node("read_flair"), contrast, [("out_file", "in_file")]),
            (wf.get_node("brain_flair"), contrast, [("mask", "mask")]),
            (transform, contrast, [("guide_to_native", "guide_to_native")]),
            (native, contrast, [("mask", "lesions")]),
            (contrast, collect, [("facts", "flair_contrast")]),
        ]
    )


def add_across(
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


def add_template_space(
    wf: pe.Workflow,
    unit: UnitFiles,
    resources: Resources,
    frames: dict[str, tuple[pe.Node, str]],
    collect: pe.Node,
) -> None:
    """Add the maps on the template's grid; a pair is deformed once, by its FLAIR."""
    deform = None
    if resources.deformable:
        name = "flair" if "flair" in frames else "ct"
        transform, mask_node = frames[name]
        deform = step(
            Deform(
                template_t1w=str(resources.template_t1w),
                template_mask=str(resources.template_mask),
                seed=resources.seed,
                threads=resources.registration_threads,
            ),
            "deform",
            "deform",
            unit,
            name,
            threads=resources.registration_threads,
        )
        wf.connect(
            [
                (wf.get_node(f"read_{name}"), deform, [("out_file", "in_file")]),
                (wf.get_node(mask_node), deform, [("whole", "mask")]),
                (transform, deform, [("template_to_native", "template_to_native")]),
                (deform, collect, [("forward", "syn_forward"), ("inverse", "syn_inverse")]),
            ]
        )
    for name in frames:
        to_template = step(
            ToTemplate(
                template_t1w=str(resources.template_t1w),
                threshold=getattr(resources, f"{name}_threshold"),
            ),
            f"{name}_in_template",
            "template",
            unit,
        )
        wf.connect(wf.get_node(f"segment_{name}"), "probability", to_template, "probability")
        if deform is not None:
            wf.connect(deform, "forward", to_template, "forward")
            wf.connect(deform, "inverse", to_template, "inverse")
            if name == "ct" and len(frames) == 2:
                wf.connect(frames["ct"][0], "facts", to_template, "frame_facts")
        for kind in ("probability", "mask"):
            wf.connect(to_template, kind, collect, f"{name}_in_template_{kind}")


def _to_native(unit: UnitFiles, resources: Resources, *, seen: str, space: str) -> pe.Node:
    return step(
        ToNative(
            native=str(getattr(unit, space)), threshold=getattr(resources, f"{seen}_threshold")
        ),
        f"{seen}_in_{space}",
        "native",
        unit,
        space,
    )
