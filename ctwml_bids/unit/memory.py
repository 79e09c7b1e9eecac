"""How much memory the steps of a unit need, by the size of its images."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

# Kind of step → GiB that its process holds whatever the images (0.4 of it are libraries), and GiB
# that each million voxels of the images it works on adds. Lines some 5 to 10% above what
# `benchmarks/node_memory.py` measured with a 512 × 512 × 28 FLAIR and CTs of 512 × 512 × 56 and
# 512 × 512 × 400 (GiB, in this order, for the CT's or the pair's step).
NEEDS = {
    "read": (0.4, 0.008),  # 0.46, 1.12
    "brain": (0.7, 0.014),  # 0.87, 2.08
    "register": (0.45, 0.009),  # 0.55, 1.32
    "normalise": (0.5, 0.012),  # 0.55, 1.72
    "segment": (0.55, 0.0075),  # 0.61, 1.23
    "native": (0.4, 0.02),  # 0.61, 2.37
    "ventricles": (0.55, 0.0215),  # 0.77, 2.64
    # SyN runs on a grid of its own: 1.02 with the FLAIR; the large CT's slope is that of "read".
    "deform": (1.1, 0.008),
    "template": (0.5, 0.0),  # 0.43, 0.43
    # Resamples template maps onto the FLAIR's grid and little else: as "read", with room.
    "contrast": (0.5, 0.02),
    "measure": (0.5, 0.014),  # 0.56, 1.92
    "report": (0.65, 0.0105),  # 0.78, 1.70
    "write": (0.5, 0.0075),  # 0.45, 1.19
}
# Kinds of steps that work on one image, and those that work on all of the unit.
OF_ONE = ("read", "brain", "segment", "native", "ventricles", "contrast")
OF_ALL = ("register", "normalise", "template", "measure", "report", "write")
# Bytes of a header that are read: the dimensions of both versions of NIfTI are among them.
_HEAD = 64
# Of the step that needs least, with an image of no voxels: with less, no step has room.
LEAST_GB = min(fixed for fixed, _ in NEEDS.values())


def step_gb(kind: str, megavoxels: float) -> float:
    """Give the memory (GiB) that a step may need.

    Parameters
    ----------
    kind
        Of `NEEDS`.
    megavoxels
        Millions of voxels of the images that it works on, together.
    """
    fixed, each = NEEDS[kind]
    return round(fixed + each * megavoxels, 2)


def unit_gb(megavoxels: Mapping[str, float], *, deformable: bool = False) -> float:
    """Give the memory (GiB) of a unit's largest step.

    Parameters
    ----------
    megavoxels
        Of each of its images.
    deformable
        Whether one of them is deformed to the template, too.
    """
    of_one = (*OF_ONE, "deform") if deformable else OF_ONE
    single = max(step_gb(kind, size) for kind in of_one for size in megavoxels.values())
    return max(single, *(step_gb(kind, sum(megavoxels.values())) for kind in OF_ALL))


def megavoxels(images: Mapping[str, Path]) -> dict[str, float]:
    """Count the voxels of a unit's images, in millions, from their headers.

    Parameters
    ----------
    images
        ``ct``, ``flair`` or both.

    Returns
    -------
    dict
        The same; 0 for one that cannot be read, which its first step will say.
    """
    return {name: _count(path) for name, path in images.items()}


def _count(path: Path) -> float:
    """Count voxels (millions) by the dimensions that the first bytes of a NIfTI header state.

    Making a `nibabel` image takes a millisecond, and a plan may have thousands.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            head = file.read(_HEAD)
    except (OSError, EOFError, zlib.error):
        return 0.0
    if len(head) < _HEAD:
        return 0.0
    for order in "<>":
        # Version 1 has 16-bit dimensions, version 2 64-bit ones; their number comes first.
        layout = {348: (f"{order}4h", 40), 540: (f"{order}4q", 16)}
        (length,) = struct.unpack_from(f"{order}i", head)
        if length in layout:
            form, offset = layout[length]
            axes, *shape = struct.unpack_from(form, head, offset)
            voxels: int = math.prod(shape[:axes])
            return max(0, voxels) / 1e6
    return 0.0
