"""Nodes that state their memory and threads."""

from __future__ import annotations

from typing import Any

from nipype.pipeline import engine as pe

from ctwml_bids.unit.memory import step_gb
from ctwml_bids.unit.resources import UnitFiles


def step(
    interface: Any, name: str, kind: str, unit: UnitFiles, *images: str, threads: int = 1
) -> pe.Node:
    """Make a node that states its memory and threads.

    Parameters
    ----------
    interface, name
        Of the node.
    kind
        Of step, as in `memory.NEEDS`.
    unit
        Whose step it is.
    images
        ``ct`` and/or ``flair``: those it works on.
    threads
        CPUs that it uses.
    """
    size = sum(unit.megavoxels.get(image, 0.0) for image in images)
    return pe.Node(interface, name=name, mem_gb=step_gb(kind, size), n_procs=threads)
