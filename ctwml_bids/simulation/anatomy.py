"""One person's head: the canonical head bent, scaled and aged.

The head lives in the template's frame (a point of the template is a point of the head before the
elastic warp). The nine-parameter map from there to a scanner is drawn by ``pair``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from ctwml_bids.simulation import canonical
from ctwml_bids.simulation.fields import coarse_shape, smooth_noise, soft_step, upsample

# The brain's box on the working grid (with room for the warp); tissues are computed only here.
BRAIN_BOX = (slice(16, 182), slice(16, 218), slice(22, 192))
WARP_STEP = 2.0  # mm between the points at which the warp is known
BRAIN_ML = {"F": (1330.0, 105.0), "M": (1480.0, 115.0)}  # brain mask, mean and SD of adults
TEMPLATE_BRAIN_ML = 1890.0  # of the packaged brain mask: MNI space is larger than life


@dataclass(frozen=True)
class Head:
    """A simulated head on the working grid of ``canonical`` (1 mm, template frame).

    Attributes
    ----------
    age, sex
        Years; "F" or "M".
    scale
        Factors along x, y, z that make millimetres of the template millimetres of the person.
    labels
        uint8 codes of ``canonical``, whole grid.
    skull_distance
        mm of the template frame from the brain with cisterns, whole grid, negative inside.
    grey, white, csf
        Fractions in BRAIN_BOX, float32; outside brain and subarachnoid space all 0.
    brain, ventricles
        Fractions in BRAIN_BOX, float32: the brain mask; the lateral ventricles.
    ventricle_distance
        mm of the template frame from the lateral ventricles, in BRAIN_BOX, negative inside.
    gap
        Width in mm of the fluid between brain mask and skull.
    skull, scalp
        Mean thickness in mm (template frame) of the vault and of its scalp.
    texture
        Smooth noise (SD 1) on the whole grid: thickness of bone and scalp, strands of fat.
    """

    age: float
    sex: str
    scale: np.ndarray
    labels: np.ndarray
    skull_distance: np.ndarray
    grey: np.ndarray
    white: np.ndarray
    csf: np.ndarray
    brain: np.ndarray
    ventricles: np.ndarray
    ventricle_distance: np.ndarray
    gap: float
    skull: float
    scalp: float
    texture: np.ndarray

    @property
    def voxel_ml(self) -> float:
        """Real volume in mL of one voxel of the working grid."""
        return float(np.prod(self.scale)) / 1000.0


def draw_ventricles_ml(rng: np.random.Generator, age: float) -> float:
    """Draw the volume of the lateral ventricles for an age (mL).

    Medians follow the age-banded ventricle masks of CTLesion2MNI152 (27 mL at 37 years in MNI
    space, 66 mL at 87), brought to real size; the spread is log-normal.
    """
    median = 13.0 + 0.40 * max(age - 35, 0) + 0.008 * max(age - 55, 0) ** 2
    return float(np.clip(median * np.exp(rng.normal(0, 0.32)), 7, 95))


def draw_csf_share(rng: np.random.Generator, age: float) -> float:
    """Draw the share of fluid in the brain mask for an age (ventricles included)."""
    mean = 0.105 + 0.0006 * max(age - 20, 0) + 0.0022 * max(age - 50, 0)
    return float(np.clip(rng.normal(mean, 0.018), 0.075, 0.32))


def draw_scale(rng: np.random.Generator, sex: str) -> np.ndarray:
    """Draw the three scales from template to person, from brain volume and head shape."""
    mean, spread = BRAIN_ML[sex]
    volume = np.clip(rng.normal(mean, spread), 1050, 1800)
    shape = np.exp(np.clip(rng.normal(0, 0.035, 3), -0.08, 0.08))
    return (volume / TEMPLATE_BRAIN_ML / np.prod(shape)) ** (1 / 3) * shape


def _elastic(rng: np.random.Generator) -> list[np.ndarray]:
    """Draw a smooth displacement in mm on the warp grid: several mm over 40 mm, less below."""
    shape = coarse_shape(canonical.SHAPE, WARP_STEP)
    strength = rng.uniform(0.6, 1.3)
    field = [
        strength
        * (
            2.8 * smooth_noise(rng, shape, 34 / WARP_STEP, step=4)
            + 0.9 * smooth_noise(rng, shape, 14 / WARP_STEP, step=2)
        )
        for _ in range(3)
    ]
    # Without its affine part over the brain, the nine parameters stay the head's true pose.
    points, inverse = _affine_fit()
    centred = [_indices(axis, WARP_STEP) - shape[axis] * WARP_STEP / 2 for axis in range(3)]
    for part in field:
        fit = inverse @ part.ravel()[points]
        part -= fit[0] + sum(fit[axis + 1] * centred[axis] for axis in range(3))
    return field


@lru_cache(maxsize=1)
def _affine_fit() -> tuple[np.ndarray, np.ndarray]:
    """Return points of the warp grid in the brain, and the pseudo-inverse of (1, x, y, z)."""
    thin = (slice(None, None, int(WARP_STEP)),) * 3
    shape = coarse_shape(canonical.SHAPE, WARP_STEP)
    points = np.flatnonzero(canonical.canonical_head().brain[thin] > 0.5)[::50]
    index = np.stack(np.unravel_index(points, shape), axis=1) * WARP_STEP
    centred = index - np.asarray(shape) * WARP_STEP / 2
    design = np.column_stack([np.ones(len(points)), centred])
    return points, np.linalg.pinv(design).astype(np.float32)


@lru_cache(maxsize=1)
def _away_from_ventricles() -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the ventricles' distance on the warp grid, and its gradient."""
    thin = (slice(None, None, int(WARP_STEP)),) * 3
    distance = canonical.canonical_head().ventricle_distance
    blurred = ndimage.gaussian_filter(distance, 1.5)
    gradient = [np.gradient(blurred, axis=axis)[thin].astype(np.float32) for axis in range(3)]
    return distance[thin], gradient


def _widening(growth: float, box: tuple[slice, ...]) -> list[np.ndarray]:
    """Return the displacement (warp grid) that moves the ventricles' surface out by some mm."""
    distance, gradient = _away_from_ventricles()
    distance = distance[box]
    beyond = np.exp(-np.maximum(distance - max(growth, 0), 0) / 16.0)
    if growth <= 0:
        pull = -growth * beyond * np.clip(1 + distance / 4.0, 0, 1)
    else:
        # The outermost millimetre and a half of the ventricle is stretched over the new room,
        # so that no point is taken from across a narrow horn.
        layer = np.clip((distance + 1.5) / (growth + 1.5), 0, 1)
        pull = np.where(distance < growth, distance + 1.5 - 1.5 * layer, growth * beyond)
        pull = -np.where(distance < -1.5, 0, pull)
    pull = pull.astype(np.float32)
    return [pull * part[box] for part in gradient]


def _indices(axis: int, step: float) -> np.ndarray:
    """Return the working grid's voxel indices along an axis, broadcastable."""
    index = np.arange(0, canonical.SHAPE[axis], step, dtype=np.float32)
    return index.reshape([-1 if other == axis else 1 for other in range(3)])


def _aged_warp(rng: np.random.Generator, ventricle_voxels: float) -> list[np.ndarray]:
    """Draw a warp whose ventricles have a wanted volume: source voxel indices, whole grid."""
    elastic = _elastic(rng)
    base = canonical.canonical_head().ventricle_distance
    box = tuple(slice(part.start // 2, part.stop // 2) for part in BRAIN_BOX)
    low, high = -1.5, 11.0
    fixed = [(_indices(a, WARP_STEP) + elastic[a])[box] for a in range(3)]
    for _ in range(6):
        growth = (low + high) / 2
        move = _widening(growth, box)
        source = [fixed[a] + move[a] for a in range(3)]
        distance = ndimage.map_coordinates(base, source, order=1, mode="nearest")
        volume = float(soft_step(-distance, 1.2).sum()) * WARP_STEP**3
        low, high = (growth, high) if volume < ventricle_voxels else (low, growth)
    move = _widening(growth, (slice(None),) * 3)
    return [
        upsample(elastic[axis] + move[axis], canonical.SHAPE, WARP_STEP) + _indices(axis, 1)
        for axis in range(3)
    ]


def _warp(array: np.ndarray, source: list[np.ndarray], box: tuple[slice, ...], order: int):
    """Take a canonical field at displaced positions of a box."""
    return ndimage.map_coordinates(
        array, [part[box] for part in source], order=order, mode="nearest", output=array.dtype
    )


def _tissues(
    rng: np.random.Generator, head: dict[str, np.ndarray], share: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return grey, white and fluid fractions with individual folds and a wanted fluid share.

    The template's maps are averages over many brains. Raising them to a power and multiplying
    by log-normal noise makes single folds of them; a factor on fluid opens the sulci.
    """
    grey, white, brain = head["grey"], head["white"], head["brain"]
    cerebrum = np.isin(head["labels"], (canonical.CEREBRUM, canonical.FALX))
    power = np.where(cerebrum, np.float32(rng.uniform(2.2, 3.2)), np.float32(1.3))
    fluid = np.clip(1 - grey - white, 0.004, 1)
    amplitude = rng.uniform(0.4, 0.8)
    noise = [amplitude * smooth_noise(rng, grey.shape, rng.uniform(2.5, 4)) for _ in range(2)]
    grey = np.maximum(grey, 1e-4) ** power * np.exp(noise[0])
    white = np.maximum(white, 1e-4) ** power
    fluid = fluid**power * np.exp(noise[1])
    ventricles = head["ventricles"]
    sample = (slice(None, None, 3),) * 3
    weight = brain[sample]
    low, high = -3.0, 4.0
    for _ in range(14):
        middle = (low + high) / 2
        opened = fluid[sample] * np.exp(middle)
        part = opened / (grey[sample] + white[sample] + opened)
        part = np.maximum(part, ventricles[sample])
        low, high = (
            (middle, high) if (part * weight).sum() < share * weight.sum() else (low, middle)
        )
    fluid = fluid * np.float32(np.exp(middle))
    total = grey + white + fluid
    inside = 1 - ventricles
    return grey / total * inside, white / total * inside, 1 - (grey + white) / total * inside


def make_head(rng: np.random.Generator, age: float, sex: str) -> Head:
    """Draw a head.

    Parameters
    ----------
    rng
        Source of randomness.
    age
        Years; ventricles and sulci widen with it.
    sex
        "F" or "M"; sets the mean brain volume.

    Returns
    -------
    Head
    """
    base = canonical.canonical_head()
    scale = draw_scale(rng, sex)
    target = draw_ventricles_ml(rng, age) / (np.prod(scale) / 1000.0)
    source = _aged_warp(rng, target)
    everywhere = (slice(None),) * 3
    labels = _warp(base.labels, source, everywhere, 0)
    skull_distance = _warp(base.skull_distance, source, everywhere, 1)
    ventricle_distance = _warp(base.ventricle_distance, source, BRAIN_BOX, 1)
    fields = {
        "grey": _warp(base.grey, source, BRAIN_BOX, 1),
        "white": _warp(base.white, source, BRAIN_BOX, 1),
        "brain": _warp(base.brain, source, BRAIN_BOX, 1),
        "labels": labels[BRAIN_BOX],
        "ventricles": soft_step(-ventricle_distance, 1.2).astype(np.float32),
    }
    grey, white, csf = _tissues(rng, fields, draw_csf_share(rng, age))
    gap = float(np.clip(rng.normal(1.0 + 0.03 * max(age - 45, 0), 0.4), 0.6, 3.5))
    within = soft_step(gap - skull_distance[BRAIN_BOX], 1.0)
    tissue = np.minimum(fields["brain"], within)
    return Head(
        age=age,
        sex=sex,
        scale=scale,
        labels=labels,
        skull_distance=skull_distance,
        grey=grey * tissue,
        white=white * tissue,
        csf=csf * tissue + (within - tissue),
        brain=fields["brain"],
        ventricles=fields["ventricles"] * tissue,
        ventricle_distance=ventricle_distance,
        gap=gap,
        skull=float(rng.uniform(5.5, 9.5)),
        scalp=float(rng.uniform(4.0, 8.5)),
        texture=smooth_noise(rng, canonical.SHAPE, 12.0),
    )


def vault(head: Head) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance in mm outside the skull's outer surface, and the scalp's thickness."""
    _, _, z = canonical.coordinates()
    base = np.clip((-14 - z) / 14, 0, 1)  # the base is thinner than the vault
    uneven = np.clip(head.texture, -2, 2)
    thickness = head.skull * (1 + 0.14 * uneven) * (1 - 0.35 * base)
    return head.skull_distance - head.gap - thickness, head.scalp * (1 + 0.1 * uneven)
