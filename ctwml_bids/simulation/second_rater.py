"""The outlines of a second human: what separates two raters bounds what a network can reach."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ctwml_bids.geometry import bounding_box
from ctwml_bids.simulation.anatomy import Head
from ctwml_bids.simulation.fields import smooth_noise, soft_step
from ctwml_bids.simulation.lesions import Lesions

EDGE_SD = 0.7  # mm; how far two humans' outlines of one edge lie apart, one SD
EDGE_LENGTH = 3.0  # mm; over which the displacement is alike (Gaussian width of the noise)
# mm outwards, mean and SD over images: raters draw wider or tighter. The mean is inwards because
# random displacement alone makes small convex foci larger.
BIAS = (-0.1, 0.15)
SMALL_MM = 7.0  # diameter of a sphere as large as a focus; smaller ones may be missed
MISSED = 0.5  # chance that the smallest and faintest foci are missed
REACH = 4.0  # mm from an edge beyond which nothing is displaced


def _missed(rng: np.random.Generator, lesions: Lesions, mask: np.ndarray, voxel_ml: float):
    """Return the labels of all foci, and for each (0: background) whether it is missed."""
    labels, count = ndimage.label(mask)
    missed = np.zeros(count + 1, dtype=bool)
    if count == 0:
        return labels, missed
    place = labels[mask]
    size = np.bincount(place, minlength=count + 1) * voxel_ml * 1000
    diameter = np.cbrt(6 * size / np.pi)
    strength = np.zeros(count + 1)
    np.maximum.at(strength, place, (lesions.lesion * lesions.depth)[mask])
    faint = np.clip(1.5 - strength, 0.3, 1)
    chance = MISSED * np.clip(1.5 * (1 - diameter / SMALL_MM), 0, 1) * (0.5 + faint)
    missed[1:] = rng.random(count) < chance[1:]
    return labels, missed


def _added(
    rng: np.random.Generator, head: Head, lesions: Lesions, mask: np.ndarray, number: int
) -> np.ndarray:
    """Return foci that the first rater does not have: dark spots of 2–4.5 mm in white matter."""
    added = np.zeros(mask.shape, dtype=bool)
    # Where normal white matter is a little abnormal, a human may see a lesion.
    where = (head.white > 0.8) & (lesions.haze > 0.3) & ~mask
    candidates = np.flatnonzero(where)
    if len(candidates) == 0:
        return added
    for index in rng.choice(candidates, number):
        centre = np.array(np.unravel_index(index, mask.shape))
        low = np.maximum(centre - 4, 0)
        part = tuple(slice(a, b) for a, b in zip(low, centre + 5, strict=True))
        grids = np.indices(added[part].shape).transpose(1, 2, 3, 0) + low - centre
        away = np.linalg.norm(grids * head.scale, axis=-1)
        added[part] |= (away <= rng.uniform(1, 2.25)) & (head.white[part] > 0.5)
    return added


def outline_again(rng: np.random.Generator, head: Head, lesions: Lesions) -> np.ndarray:
    """Outline a head's lesions as a second human would.

    Every edge is displaced by smooth noise with an SD of `EDGE_SD` and by a bias of this image;
    small and faint foci may be missed, and some that the truth does not have are added. Dice with
    the truth is then 0.75 on average, near the 0.75 to 0.8 of two humans (Kuijf 2019): 0.70 at 1 to
    5 mL, where most of a lesion is edge, 0.82 and more above 15 mL.

    Parameters
    ----------
    rng
        The second rater's source of randomness.
    head
        Whose brain it is.
    lesions
        The truth.

    Returns
    -------
    numpy.ndarray
        float32 in anatomy.BRAIN_BOX, 0–1; the outline is at 0.5.
    """
    mask = lesions.lesion > 0.5
    labels, missed = _missed(rng, lesions, mask, head.voxel_ml)
    number = rng.poisson(0.5 + 0.6 * int(missed.sum()))
    bias = rng.normal(*BIAS)
    noise = smooth_noise(rng, mask.shape, EDGE_LENGTH / float(np.mean(head.scale)))
    mask = mask & ~missed[labels]
    mask |= _added(rng, head, lesions, mask, number)
    if not mask.any():
        return np.zeros(mask.shape, dtype=np.float32)
    part = bounding_box(mask, int(np.ceil(REACH / float(np.min(head.scale)))))
    within = mask[part]
    # Distance from the edge, which lies half a voxel off the centres on both sides.
    half = float(np.mean(head.scale)) / 2
    outside = ndimage.distance_transform_edt(~within, sampling=head.scale)
    inside = ndimage.distance_transform_edt(within, sampling=head.scale)
    edge = np.where(within, inside - half, half - outside)
    drawn = soft_step(edge + bias + EDGE_SD * noise[part], 1.0)
    drawn[np.abs(edge) > REACH] = within[np.abs(edge) > REACH]
    # No human outlines fluid or infarcts: they stop the outline as they stop lesions.
    drawn *= (head.csf[part] < 0.5) & (lesions.infarct[part] < 0.5)
    result = np.zeros(mask.shape, dtype=np.float32)
    result[part] = drawn
    return result
