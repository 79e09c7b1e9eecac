"""What a participant workflow is made from: units, and what all of their nodes share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Resources:
    """What every node of a run shares.

    Attributes
    ----------
    template_t1w, template_mask
        Images of the template that the run normalises to.
    guide_mask, guide_gm, guide_wm, guide_ventricles
        Brain, tissues and lateral ventricles of the packaged template: contrast, ventricles and
        midline are looked up in its coordinates, whichever template the run has.
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
    threads, registration_threads
        Threads of a pass through the networks, and of ANTs, whose result depends on it.
    use_gpu
        Whether the networks run on CUDA.
    context
        JSON-able description of the run for sidecars and report: versions, settings hashes,
        model cards, template name, output folder.
    """

    template_t1w: Path
    template_mask: Path
    guide_mask: Path
    guide_gm: Path
    guide_wm: Path
    guide_ventricles: Path
    deformable: bool
    in_template: bool
    ct_model: Path
    flair_model: Path
    ct_threshold: float
    flair_threshold: float
    seed: int
    threads: int
    registration_threads: int
    use_gpu: bool
    context: dict[str, Any]


@dataclass(frozen=True)
class UnitFiles:
    """The input images of one unit, what sidecars and report say of them, and their size.

    `megavoxels` has the millions of voxels of each image (`memory.megavoxels`).
    """

    label: str
    ct: Path | None
    flair: Path | None
    ct_sidecar: dict[str, Any]
    context: dict[str, Any]
    megavoxels: dict[str, float] = field(default_factory=dict)
    flair_sidecar: dict[str, Any] = field(default_factory=dict)
