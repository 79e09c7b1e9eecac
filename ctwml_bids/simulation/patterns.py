"""Real patterns of white matter lesions, from anatomy files that have some, bent onto a head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import ndimage

from ctwml_bids.simulation.anatomy import Head
from ctwml_bids.simulation.canonical import BRAIN_BOX, MIRRORED
from ctwml_bids.simulation.fields import smooth_noise
from ctwml_bids.simulation.individual import read_lesions

PATTERN_SHARE = 0.5  # of the heads, where there are anatomies with lesions of their own
PATTERN_STREAM = 41  # of a seed
STEP = 2  # voxels of the working grid between two points of a pattern
# Of so many patterns drawn the one nearest to the wanted volume is taken.
CANDIDATES = 3
FAR_MM = 25.0  # beyond, distances are alike: other rules say what follows there
BEND_MM, BEND_LENGTH = 2.5, 14.0  # SD of a shift along each axis, and its smoothness (SD), mm
NO_PATTERN = "none"


@dataclass(frozen=True)
class Pattern:
    """A pattern that a head's lesions follow.

    Attributes
    ----------
    name
        Stem of the anatomy file, with ``-mirrored`` where left and right are exchanged, or "none".
    distance
        mm from its lesions (negative inside) at every second voxel of BRAIN_BOX, or None.
    """

    name: str
    distance: np.ndarray | None


def draw_pattern(
    rng: np.random.Generator,
    head: Head,
    anatomies: Sequence[Path],
    volume_ml: float | None,
    share: float = PATTERN_SHARE,
) -> Pattern:
    """Draw a real pattern and bend it as the head was bent, and a little more.

    Parameters
    ----------
    rng
        Source of randomness.
    head
        Whose lesions will follow it.
    anatomies
        Anatomy files; those without lesions of their own give none.
    volume_ml
        Wanted volume of lesions, so that large ones follow large patterns; None: any.
    share
        Chance of a real pattern where there are some.

    Raises
    ------
    BadDataError
        If a file cannot be read.
    """
    if not anatomies or rng.random() >= share:
        return Pattern(NO_PATTERN, None)
    known = {
        Path(path): found for path in anatomies if (found := _distances(Path(path))) is not None
    }
    if not known or volume_ml == 0:
        return Pattern(NO_PATTERN, None)
    drawn = [list(known)[i] for i in rng.integers(len(known), size=CANDIDATES)]
    if volume_ml is not None:
        wanted = np.log(max(volume_ml, 0.1) / head.voxel_ml / STEP**3)
        sizes = {path: np.log(max((known[path] < 0).sum(), 1)) for path in drawn}
        drawn.sort(key=lambda path: abs(sizes[path] - wanted))
    path, distances = drawn[0], known[drawn[0]]
    mirrored = bool(rng.random() < 0.5)
    shape = head.source.shape[1:]
    places = [
        (part + BEND_MM * smooth_noise(rng, shape, BEND_LENGTH / STEP)) / STEP
        for part in head.source
    ]
    # The working grid is symmetric about x = 0.
    array = distances[::-1] if mirrored else distances
    bent = ndimage.map_coordinates(array, places, order=1, mode="nearest", output=np.float32)
    return Pattern(path.stem + (MIRRORED if mirrored else ""), bent)


@lru_cache(maxsize=32)
def _distances(path: Path) -> np.ndarray | None:
    """Return mm from a file's lesions at every second voxel of the working grid (float32)."""
    lesions = read_lesions(path)
    if lesions is None or not lesions[BRAIN_BOX].any():
        return None
    share = ndimage.uniform_filter(lesions.astype(np.float32), 3)[::STEP, ::STEP, ::STEP]
    thin = share > 0.4
    away = ndimage.distance_transform_edt(~thin) - ndimage.distance_transform_edt(thin)
    # Between points of both kinds lies half a step.
    away -= 0.5 * np.sign(away)
    return np.minimum(STEP * away, FAR_MM).astype(np.float32)
