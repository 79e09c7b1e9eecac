"""Random heads for the brain network: shapes, contrasts, slices and fields of view.

The idea is SynthSeg's (Billot et al., Med Image Anal 2023): where few heads are at hand, let
their appearance vary beyond what scanners do, and the network learns shapes instead of contrasts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

FINE_MM = 2.0


@dataclass(frozen=True)
class TrainingHead:
    """One head on a fine grid (RAS axes, `FINE_MM` isotropic) whose centre is the network grid's.

    Attributes
    ----------
    name
        Subject and session.
    contrasts
        Images of the same head, float16 (x, y, z), 0 (air) … 2.
    brain
        Fraction of each voxel that is brain, float16 (x, y, z).
    depth
        Distance from the brain's surface in mm, positive outside, float16 (x, y, z).
    top
        Index of the head's top slice on the fine grid.
    """

    name: str
    contrasts: tuple[np.ndarray, ...]
    brain: np.ndarray
    depth: np.ndarray
    top: int


def random_view(
    head: TrainingHead, rng: np.random.Generator, shape: tuple[int, int, int], spacing_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one training example.

    Returns
    -------
    image : numpy.ndarray
        float32, ``shape``, intensities 0 … 2.
    brain : numpy.ndarray
        float32, ``shape``, fraction of brain.
    """
    image = _mixed_contrast(head, rng)
    if rng.random() < 0.75:
        image = _recoloured(image, head, rng)
    if rng.random() < 0.35:
        image = _cluttered_below(image, head, rng)
    image *= _bias_field(image.shape, rng)
    image = _thick_slices(image, rng)
    image, brain, lowered = _cropped_view(image, head, rng)
    points = _deformed_points(image.shape, rng, shape, spacing_mm, lowered)
    view = ndimage.map_coordinates(image, points, order=1, mode="constant", output=np.float32)
    brain = ndimage.map_coordinates(brain, points, order=1, mode="constant", output=np.float32)
    view = _scanned(view, rng)
    if rng.random() < 0.5:
        view, brain = view[::-1], brain[::-1]
    return np.ascontiguousarray(view), np.ascontiguousarray(brain)


def _mixed_contrast(head, rng):
    """One of the head's images, or a weighted mean of two, some of them inverted in part."""
    images = head.contrasts
    if len(images) == 1 or rng.random() < 0.5:
        return images[int(rng.integers(len(images)))].astype(np.float32)
    weight = np.float32(rng.random())
    return weight * images[0].astype(np.float32) + (1 - weight) * images[1].astype(np.float32)


def _lookup(values, rng, monotone):
    """Pass intensities through a random piecewise linear function of five knots."""
    knots = np.linspace(0, 1.6, 5)
    heights = rng.uniform(0, 1.2, 5)
    heights[0] = 0.0 if monotone else rng.uniform(0, 0.5)
    if monotone:
        heights = np.cumsum(np.abs(heights)) / 2.5
    return np.interp(values, knots, heights).astype(np.float32)


def _recoloured(image, head, rng):
    """Give brain and surroundings unrelated contrasts, and tissue layers their own gains."""
    monotone = rng.random() < 0.7
    inner = _lookup(image, rng, monotone) if rng.random() < 0.7 else image
    outer = _lookup(image, rng, True) if rng.random() < 0.7 else image
    # Skull, marrow and scalp are layers around the brain: a random gain by depth lets fat be
    # brighter than brain (no fat suppression) or nearly vanish.
    layers = rng.uniform(0.2, 2.5, 6) ** rng.uniform(0, 1.5)
    gain = np.interp(head.depth, (1, 4, 8, 13, 20, 40), layers).astype(np.float32)
    outer = outer * gain
    if rng.random() < 0.5:
        outer = _with_marrow(outer, head, rng)
    brain = head.brain.astype(np.float32)
    return brain * inner + (1 - brain) * outer


def _with_marrow(image, head, rng):
    """Draw a shell of fatty marrow around the upper brain, a thin dark line away from it."""
    start = rng.uniform(2, 5)
    end = start + rng.uniform(2, 6)
    profile = np.interp(head.depth, (start - 1, start + 1, end - 1, end + 1), (0, 1, 1, 0)).astype(
        np.float32
    )
    filled = np.flatnonzero(head.brain.astype(np.float32).sum(axis=(0, 1)) > 1)
    base = int(filled[0] + rng.uniform(0.2, 0.5) * (filled[-1] - filled[0]))
    profile[:, :, :base] = 0
    line = np.interp(head.depth, (0.5, 1.5, start - 1, start + 1), (0, 1, 1, 0))
    image = image * (1 - np.float32(rng.random()) * line.astype(np.float32))
    return image * (1 - profile) + profile * np.float32(rng.uniform(0.2, 1.8))


def _cluttered_below(image, head, rng):
    """Put random structure where face and neck lie: the training heads end at the skull base."""
    low = int(np.nonzero(head.brain.astype(np.float32).sum(axis=(0, 1)) > 1)[0][0])
    level = low + int(rng.uniform(-8, 12))
    coarse = rng.normal(size=[max(2, n // int(rng.integers(2, 7))) for n in image.shape])
    factors = [n / c for n, c in zip(image.shape, coarse.shape, strict=True)]
    noise = ndimage.zoom(coarse, factors, order=1).astype(np.float32)
    noise = noise[: image.shape[0], : image.shape[1], : image.shape[2]]
    x, y = (np.linspace(-1, 1, n)[:, None] for n in image.shape[:2])
    wide, long = rng.uniform(0.5, 0.85, 2)
    inside = (x / wide) ** 2 + (y.T / long + rng.uniform(-0.2, 0.2)) ** 2 < 1
    height = np.arange(image.shape[2])
    where = inside[:, :, None] & (height < level) & (head.depth > 4)
    clutter = np.clip(rng.uniform(0.2, 0.8) + rng.uniform(0.2, 0.6) * noise, 0, 2)
    return np.where(where, clutter, image)


def _bias_field(shape, rng):
    field = rng.normal(0, rng.uniform(0, 0.35), size=(3, 3, 3))
    smooth = ndimage.zoom(field, [n / 3 for n in shape], order=1, mode="nearest", grid_mode=True)
    return np.exp(smooth).astype(np.float32)


def _thick_slices(image, rng):
    """Blur as slices of 3–8 mm along one axis do, mostly axial, at times with gaps."""
    axis = int(rng.choice(3, p=(0.15, 0.15, 0.7)))
    thickness = round(rng.uniform(1, 8) / FINE_MM)
    # The network's own grid averages over its voxels.
    image = ndimage.gaussian_filter(image, 0.6)
    if thickness < 2:
        return image
    image = ndimage.uniform_filter1d(image, thickness, axis=axis, mode="nearest")
    kept = np.arange(int(rng.integers(thickness)), image.shape[axis], thickness)
    positions = np.arange(image.shape[axis])
    nearest = kept[np.abs(positions[:, None] - kept).argmin(axis=1)]
    return np.take(image, nearest, axis=axis) if rng.random() < 0.5 else image


def _cropped_view(image, head, rng):
    """Cut the field of view: below, above, in front; say by how many mm the top came down."""
    seen = np.ones(image.shape, dtype=bool)
    lowered = 0
    if rng.random() < 0.3:
        seen[:, :, : int(rng.uniform(10, 35))] = False
    if rng.random() < 0.2:
        lowered = int(rng.uniform(2, 16))
        seen[:, :, max(0, head.top + 1 - lowered) :] = False
    if rng.random() < 0.15:
        seen[:, image.shape[1] - int(rng.uniform(8, 24)) :] = False
    brain = head.brain.astype(np.float32)
    return np.where(seen, image, 0), np.where(seen, brain, 0), lowered * FINE_MM


def _deformed_points(fine_shape, rng, shape, spacing_mm, lowered_mm):
    """Fine-grid indices (3, x, y, z) where the network grid's voxels are sampled."""
    axes = [(np.arange(n) - (n - 1) / 2) * spacing_mm for n in shape]
    points = np.stack(np.meshgrid(*axes, indexing="ij"))
    angles = np.radians(rng.uniform((-20, -12, -12), (20, 12, 12)))
    matrix = _rotation(angles) @ np.diag(rng.uniform(0.87, 1.15, 3))
    shift = rng.normal(0, 5, 3) - (0, 0, lowered_mm)
    moved = np.tensordot(matrix, points, axes=1) + shift[:, None, None, None]
    for axis in range(3):
        coarse = rng.normal(0, rng.uniform(0, 3.0), size=(5, 6, 5))
        factors = [n / c for n, c in zip(shape, coarse.shape, strict=True)]
        moved[axis] += ndimage.zoom(coarse, factors, order=3, mode="nearest", grid_mode=True)
    centre = (np.asarray(fine_shape) - 1) / 2
    return moved / FINE_MM + centre[:, None, None, None]


def _rotation(angles):
    """Rotate about x, then y, then z (radians)."""
    result = np.eye(3)
    for axis, angle in enumerate(angles):
        a, b = [i for i in range(3) if i != axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        result = turn @ result
    return result


def _scanned(view, rng):
    """Noise, gamma, gain and clipping, as `scale_intensity` may leave them."""
    high = max(float(np.percentile(view[view > 0.05], 95)) if (view > 0.05).any() else 1.0, 1e-3)
    view = np.clip(view / high, 0, 3) ** np.float32(np.exp(rng.uniform(-0.35, 0.35)))
    noise = rng.normal(0, rng.uniform(0, 0.06), (2, *view.shape)).astype(np.float32)
    view = np.hypot(view + noise[0], noise[1]) if rng.random() < 0.6 else np.abs(view + noise[0])
    return np.clip(view * np.float32(rng.uniform(0.75, 1.35)), 0, 2).astype(np.float32)
