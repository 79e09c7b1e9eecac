"""What lies along the walls of the lateral ventricles: linings that are lesions, rims that are not.

On FLAIR everybody has a thin bright rim with small caps at the horns, which experts leave out. In
most people over 50 parts of the wall are lined by 1 to 3 mm that are as bright as lesions or
brighter, which experts outline.
"""

from __future__ import annotations

import numpy as np

from ctwml_bids.simulation import canonical
from ctwml_bids.simulation.anatomy import BRAIN_BOX, Head
from ctwml_bids.simulation.fields import smooth_noise, soft_step, upsample

# Where caps lie: mm of the template on either side (x, y, z), and their width (SD). Frontal horns,
# trigones, bodies; linings also thicken along the temporal horns.
CAPS = ((22, 32, 6, 11), (30, -52, 14, 13), (20, -22, 32, 13))
TEMPORAL_HORNS = ((34, -26, -10, 11),)
STEP = 2  # mm between the points at which caps and patches are drawn
# Chance of a lining by age: none of the young, most from 50 years on.
LINED_AGES, LINED_CHANCES = (30.0, 50.0, 60.0), (0.0, 0.8, 0.9)
# A lining holds at most this share of all lesions, and lines such a part of the walls.
SHARE_OF_LESIONS = (0.05, 0.5)
PART_OF_WALL = (0.15, 0.95)
# mm: as thick is a lining wherever it is, how much it grows with its patch, and how it ends.
THICKNESS_MM, GROWTH_MM, TAPER = (0.9, 1.5), (0.1, 0.7), 5.0
MOST_MM = 3.0


def horn_caps(
    shape: tuple[int, ...], step: int, places: tuple[tuple[int, int, int, int], ...] = CAPS
) -> np.ndarray:
    """Return where caps lie at the horns: 0–1 (float32) on every ``step``-th voxel of BRAIN_BOX."""
    axes = np.meshgrid(
        *[
            canonical.ORIGIN[a] + BRAIN_BOX[a].start + step * np.arange(shape[a], dtype=np.float32)
            for a in range(3)
        ],
        indexing="ij",
    )
    caps = np.zeros(shape, dtype=np.float32)
    for x, y, z, width in places:
        squared = (np.abs(axes[0]) - x) ** 2 + (axes[1] - y) ** 2 + (axes[2] - z) ** 2
        caps += np.exp(-squared / (2 * width**2))
    return caps


def _patches(
    rng: np.random.Generator, shape: tuple[int, ...], length: float, caps: float
) -> np.ndarray:
    """Return noise of a correlation length in mm (SD 1), higher by up to ``caps`` at the horns."""
    coarse = tuple((n - 1) // STEP + 1 for n in shape)
    field = smooth_noise(rng, coarse, length / STEP)
    field += caps * horn_caps(coarse, STEP, CAPS + TEMPORAL_HORNS)
    return upsample(field, shape, STEP)


def draw_lining(
    rng: np.random.Generator, head: Head, white: np.ndarray, volume_ml: float
) -> np.ndarray:
    """Draw the lining of the lateral ventricles that experts outline as lesion.

    Parameters
    ----------
    rng
        Source of randomness.
    head
        Whose brain it is.
    white
        Fraction of white matter in anatomy.BRAIN_BOX where lesions may lie.
    volume_ml
        Volume of all the person's lesions in mL; the lining is a part of it.

    Returns
    -------
    numpy.ndarray
        float32 fraction 0–1 in anatomy.BRAIN_BOX, all 0 where there is no lining.
    """
    lining = np.zeros(white.shape, dtype=np.float32)
    lined = rng.random() < np.interp(head.age, LINED_AGES, LINED_CHANCES)
    most_ml = volume_ml * rng.uniform(*SHARE_OF_LESIONS)
    part = rng.uniform(*PART_OF_WALL)
    base, growth = rng.uniform(*THICKNESS_MM), rng.uniform(*GROWTH_MM)
    patches = _patches(rng, white.shape, rng.uniform(5, 12), rng.uniform(0.5, 2.0))
    distance = head.ventricle_distance * np.float32(np.mean(head.scale))
    cerebrum = (canonical.CEREBRUM, canonical.CAPSULE, canonical.CALLOSUM)
    wall = (distance > -1.5) & (distance < MOST_MM + 0.5) & (white > 0.2)
    wall &= np.isin(head.labels[BRAIN_BOX], cerebrum)
    if not lined or volume_ml <= 0 or not wall.any():
        return lining
    depth, patch, share = distance[wall], patches[wall], np.minimum(white[wall] * 1.25, 1)

    def fraction(level: float) -> np.ndarray:
        above = np.maximum(patch - level, 0)
        thickness = np.minimum(base + growth * above, MOST_MM)
        # It ends as a wedge, within a few millimetres along the wall.
        thickness = np.minimum(thickness, TAPER * above)
        return np.where(above > 0, soft_step(thickness - depth, 1.0), 0) * share

    low, high = float(np.quantile(patch, 1 - part)), float(patch.max())
    if (fraction(low) > 0.5).sum() * head.voxel_ml > most_ml:
        for _ in range(12):
            level = (low + high) / 2
            much = (fraction(level) > 0.5).sum() * head.voxel_ml > most_ml
            low, high = (level, high) if much else (low, level)
        low = high
    lining[wall] = fraction(low)
    return lining


def normal_rim(rng: np.random.Generator, head: Head) -> np.ndarray:
    """Return the normal bright rim of the ventricles and its caps on FLAIR.

    Parameters
    ----------
    rng
        Source of randomness.
    head
        Whose brain it is.

    Returns
    -------
    numpy.ndarray
        float32 in anatomy.BRAIN_BOX: about 1 at the wall, up to 1.6 in patches and at the horns,
        falling off within 0.5 to 1.2 mm.
    """
    patches = _patches(rng, head.white.shape, 6.0, rng.uniform(0.0, 1.5))
    width = rng.uniform(0.5, 1.2) * (1 + 0.25 * np.clip(patches, -1, 2))
    distance = head.ventricle_distance * np.float32(np.mean(head.scale))
    # Half a millimetre of wall, or the fluid beside it would hide every rim.
    falling = np.exp(-np.maximum(distance - 0.5, 0) / width)
    return np.clip(1 + 0.5 * patches, 0.2, 1.6) * falling
