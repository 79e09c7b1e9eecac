"""First steps of a unit: read, find the brain, register the pair, find the template frame."""

from __future__ import annotations

from nipype.pipeline import engine as pe

from ctwml_bids.interfaces.alignment import FramePair, NormaliseNineParameter, RegisterRigid
from ctwml_bids.interfaces.preprocessing import ExtractBrain, ReadImage
from ctwml_bids.unit.resources import Resources, UnitFiles
from ctwml_bids.workflows.steps import step


def add_reading(
    wf: pe.Workflow, unit: UnitFiles, resources: Resources, name: str, collect: pe.Node
) -> None:
    """Add reading and brain extraction of one image."""
    read = step(
        ReadImage(
            in_file=str(getattr(unit, name)),
            modality=name,
            sidecar=unit.ct_sidecar if name == "ct" else unit.flair_sidecar,
        ),
        f"read_{name}",
        "read",
        unit,
        name,
    )
    brain = step(
        ExtractBrain(modality=name, threads=resources.threads),
        f"brain_{name}",
        "brain",
        unit,
        name,
        threads=resources.threads if name == "flair" else 1,
    )
    wf.connect(
        [
            (read, brain, [("out_file", "in_file"), ("facts", "image_facts")]),
            (read, collect, [("out_file", f"{name}_image"), ("facts", f"{name}_facts")]),
            (brain, collect, [("mask", f"{name}_brain"), ("facts", f"{name}_brain_facts")]),
        ]
    )


def _masks(resources: Resources) -> dict[str, str]:
    return {name: str(getattr(resources, name)) for name in ("template_mask", "guide_mask")}


def _normalise(unit: UnitFiles, resources: Resources, name: str) -> pe.Node:
    return step(
        NormaliseNineParameter(**_masks(resources), seed=resources.seed),
        f"normalise_{name}",
        "normalise",
        unit,
        name,
    )


def add_single(
    wf: pe.Workflow, unit: UnitFiles, resources: Resources, name: str
) -> tuple[pe.Node, str]:
    """Add the frame of an image that is alone: its own brain mask, normalised."""
    normalise = _normalise(unit, resources, name)
    wf.connect(wf.get_node(f"brain_{name}"), "whole", normalise, "mask")
    return normalise, f"brain_{name}"


def add_pair(
    wf: pe.Workflow, unit: UnitFiles, resources: Resources, collect: pe.Node
) -> dict[str, tuple[pe.Node, str]]:
    """Add the pair's registration, and the CT's frame with the FLAIR's mask carried to it."""
    threads = resources.registration_threads
    register = step(
        RegisterRigid(seed=resources.seed, threads=threads),
        "register",
        "register",
        unit,
        "ct",
        "flair",
        threads=threads,
    )
    normalise = _normalise(unit, resources, "flair")
    frame = step(
        FramePair(**_masks(resources), seed=resources.seed),
        "frame_ct",
        "normalise",
        unit,
        "ct",
        "flair",
    )
    brain_ct, brain_flair = wf.get_node("brain_ct"), wf.get_node("brain_flair")
    wf.connect(
        [
            (wf.get_node("read_flair"), register, [("out_file", "flair")]),
            (wf.get_node("read_ct"), register, [("out_file", "ct")]),
            (brain_flair, register, [("whole", "flair_mask")]),
            (brain_ct, register, [("whole", "ct_mask")]),
            (brain_flair, normalise, [("whole", "mask")]),
            (wf.get_node("read_ct"), frame, [("out_file", "ct")]),
            (brain_ct, frame, [("whole", "ct_mask"), ("facts", "ct_mask_facts")]),
            (brain_flair, frame, [("whole", "flair_mask"), ("facts", "flair_mask_facts")]),
            (register, frame, [("flair_to_ct", "flair_to_ct"), ("facts", "registration_facts")]),
            (
                normalise,
                frame,
                [
                    ("template_to_native", "template_to_flair"),
                    ("guide_to_native", "guide_to_flair"),
                ],
            ),
            (
                register,
                collect,
                [("flair_to_ct", "flair_to_ct"), ("facts", "registration_facts")],
            ),
            (frame, collect, [("facts", "frame_facts")]),
        ]
    )
    return {"ct": (frame, "frame_ct"), "flair": (normalise, "brain_flair")}
