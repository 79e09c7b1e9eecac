"""Normal darkness of white matter on CT by region: nobody's lesions, and never labelled.

Long tracts and watersheds of white matter are darker than the rest on normal CTs, more in one
person than in another. A network that never saw that calls it a lesion.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from ctwml_bids.simulation import canonical
from ctwml_bids.simulation.anatomy import BRAIN_BOX, Head
from ctwml_bids.simulation.fields import soft_step, upsample

STEP = 3  # mm between the points at which regions are computed
ASYMMETRY = 0.15  # left and right differ by at most this share
YOUNG, OLD = 45.0, 55.0  # years; below and above, amplitudes are those of the young and of the old


@dataclass(frozen=True)
class Region:
    """A smooth region, mirrored at x = 0.

    Attributes
    ----------
    points
        Corners in mm of the template frame (right side) of the line about which it lies.
    width
        SD in mm of the Gaussian that it is across this line.
    young, old
        Most HU by which it is darker, in the young and in the old.
    near
        mm from the lateral ventricles over which it fades; infinite: it does not.
    """

    points: tuple[tuple[float, float, float], ...]
    width: float
    young: float
    old: float
    near: float = np.inf


REGIONS = {
    "optic radiation": Region(((36, -26, -2), (37, -44, 4), (27, -72, 6)), 5.5, 4.0, 2.5),
    "trigone": Region(((29, -46, 14),), 11.0, 4.0, 3.0, near=10.0),
    "parieto-occipital": Region(((26, -60, 24), (24, -74, 16)), 9.0, 3.5, 2.5),
    "frontal horn": Region(((20, 32, 4), (22, 26, 18)), 9.0, 2.5, 3.0, near=8.0),
    "centrum semiovale": Region(((25, -36, 36), (24, 8, 34)), 8.0, 2.0, 3.0),
    "external capsule": Region(((31, 14, -2), (33, -12, 6)), 3.5, 2.0, 4.0),
    "temporal stem": Region(((34, 0, -14), (38, -24, -8)), 5.0, 2.0, 4.0),
    "hippocampus": Region(((30, -8, -22), (34, -32, -8)), 6.0, 1.5, 4.0),
    "fourth ventricle": Region(((9, -42, -36), (18, -52, -36)), 7.0, 2.0, 3.5),
}
# Temporal horn and choroid fissure: in the old they widen below a voxel's size.
TEMPORAL_HORN = Region(((29, -10, -20), (35, -34, -6)), 2.5, 0.05, 0.35)


def _grid() -> tuple[tuple[int, ...], list[np.ndarray]]:
    """Return shape and |x|, y, z (mm) of the coarse grid over the brain's box."""
    x, y, z = canonical.coordinates(BRAIN_BOX)
    thin = [x[::STEP], y[:, ::STEP], z[:, :, ::STEP]]
    return tuple(n.size for n in thin), [np.abs(thin[0]), *thin[1:]]


def _away(axes: list[np.ndarray], points: tuple[tuple[float, float, float], ...]) -> np.ndarray:
    """Return the squared distance (mm²) from a line through points."""
    ends = points if len(points) > 1 else points * 2
    nearest = np.full(1, np.inf)
    for start, end in itertools.pairwise(ends):
        a, step = np.array(start), np.subtract(end, start)
        length = max(float(step @ step), 1e-6)
        along = sum((axes[i] - a[i]) * step[i] for i in range(3)) / length
        along = np.clip(along, 0, 1)
        nearest = np.minimum(
            nearest, sum((axes[i] - a[i] - along * step[i]) ** 2 for i in range(3))
        )
    return nearest


def shape_of(region: Region) -> np.ndarray:
    """Return a region, 0–1, on every third voxel of anatomy.BRAIN_BOX (float32)."""
    _, axes = _grid()
    return np.exp(-_away(axes, region.points) / (2 * region.width**2)).astype(np.float32)


@lru_cache(maxsize=1)
def _shapes() -> dict[str, np.ndarray]:
    return {name: shape_of(region) for name, region in REGIONS.items()}


def _most(region: Region, age: float) -> float:
    return float(np.interp(age, (YOUNG, OLD), (region.young, region.old)))


def regional_darkness(rng: np.random.Generator, head: Head) -> np.ndarray:
    """Draw by how much normal white matter is darker at each place.

    Parameters
    ----------
    rng
        Source of randomness.
    head
        Whose age sets how much there may be, and whose ventricles some regions follow.

    Returns
    -------
    numpy.ndarray
        float32 HU ≥ 0 in anatomy.BRAIN_BOX, also where there is no white matter.
    """
    distance = np.maximum(head.ventricle_distance[::STEP, ::STEP, ::STEP], 0)
    shape, _ = _grid()
    total = np.zeros(shape, dtype=np.float32)
    x = canonical.coordinates(BRAIN_BOX)[0][::STEP]
    general = rng.beta(1.3, 1.6)  # who has dark tracts has them in several regions
    for name, region in REGIONS.items():
        amplitude = _most(region, head.age) * np.clip(general + rng.normal(0, 0.2), 0, 1)
        sides = 1 + rng.uniform(-ASYMMETRY, ASYMMETRY) / 2 * np.clip(x / 8, -1, 1)
        field = amplitude * sides * _shapes()[name]
        if np.isfinite(region.near):
            field = field * np.exp(-distance / region.near)
        total = np.maximum(total, field) + 0.3 * np.minimum(total, field)
    return upsample(ndimage.gaussian_filter(total, 0.7), head.white.shape, STEP)


def temporal_fluid(rng: np.random.Generator, head: Head) -> np.ndarray:
    """Draw the share of fluid that temporal horns and choroid fissures add to each voxel.

    Parameters
    ----------
    rng, head
        As for `regional_darkness`.

    Returns
    -------
    numpy.ndarray
        float32, 0–1, in anatomy.BRAIN_BOX; at most 0.05 in the young, 0.35 in the old.
    """
    share = _most(TEMPORAL_HORN, head.age) * rng.uniform(0, 1)
    coarse = shape_of(TEMPORAL_HORN) * np.float32(share)
    below = soft_step(0 - canonical.coordinates(BRAIN_BOX)[2][:, :, ::STEP], 6.0)
    return upsample(coarse * below, head.white.shape, STEP).astype(np.float32)
