"""How lesions darken white matter on CT: a soft border and a graded core.

Water in the tissue, which CT shows, fades over several mm about the border that FLAIR shows.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ctwml_bids.geometry import bounding_box
from ctwml_bids.simulation.anatomy import Head
from ctwml_bids.simulation.fields import upsample

STEP = 2  # mm between the points at which the distance is computed
FADE_MM = (1.3, 2.6)  # mm, see `darkening`; a real CT of severe leukoaraiosis has 2
REACH_MM = 12.0  # mm outside a lesion beyond which nothing is darker
CORE_MM = 7.0  # mm inside the border where the full drop is reached
RIM = 0.85  # share of the drop, before the fading, just inside the border


def _border_distance(lesion: np.ndarray, ventricles: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return mm from the lesions' border, negative inside; the ventricles' wall is no border.

    Water spreads: what is ragged on FLAIR is smooth on CT, and so is this distance.
    """
    thin = (slice(None, None, STEP),) * 3
    edges = STEP * scale
    within = lesion[thin]
    if not within.any():
        return np.full(lesion.shape, np.float32(REACH_MM))
    outside = ndimage.distance_transform_edt(~within, sampling=edges)
    inside = ndimage.distance_transform_edt(within | ventricles[thin], sampling=edges)
    half = float(np.mean(edges)) / 2
    distance = np.where(within, half - inside, outside - half)
    return upsample(ndimage.gaussian_filter(distance, 1.6 / STEP), lesion.shape, STEP)


def darkening(
    rng: np.random.Generator, head: Head, lesion: np.ndarray, depth: np.ndarray
) -> np.ndarray:
    """Return how much of their full drop in HU lesions cause at each place.

    Across the border the drop follows a logistic function of the distance whose scale is drawn
    from `FADE_MM`: half of it lies at the border, a tenth two scales and more outside. Inside it
    goes on growing for `CORE_MM`, and is larger near the ventricles.

    Parameters
    ----------
    rng
        Source of randomness.
    head
        Whose brain it is.
    lesion, depth
        As in ``lesions.Lesions``, in anatomy.BRAIN_BOX.

    Returns
    -------
    numpy.ndarray
        float32 from 0 to about 1.3, same shape; not restricted to white matter.
    """
    fade = float(rng.uniform(*FADE_MM))
    result = np.zeros(lesion.shape, dtype=np.float32)
    mask = lesion > 0.5
    if not mask.any():
        return result
    part = bounding_box(mask, int(np.ceil(REACH_MM / float(np.min(head.scale)))))
    distance = _border_distance(mask[part], head.ventricles[part] > 0.5, head.scale)
    core = RIM + (1 - RIM) * np.clip(-distance / CORE_MM, 0, 1)
    near = 0.9 + 0.2 * np.exp(-np.maximum(head.ventricle_distance[part], 0) / 8.0)
    soft = 1 / (1 + np.exp(distance / fade))
    soft *= np.clip((REACH_MM - distance) / 4.0, 0, 1)
    # A focus smaller than the fading is faint, but not gone.
    soft = np.maximum(soft, 0.8 * ndimage.gaussian_filter(lesion[part], 1.0))
    result[part] = soft * core * near * depth[part]
    return result
