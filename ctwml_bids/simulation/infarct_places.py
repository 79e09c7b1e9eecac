"""Where infarcts lie in a head: real shapes bent as it is, and lacunes in its deep parts."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ctwml_bids.geometry import bounding_box
from ctwml_bids.simulation import canonical
from ctwml_bids.simulation.anatomy import BRAIN_BOX, Head
from ctwml_bids.simulation.bending import WARP_STEP
from ctwml_bids.simulation.fields import upsample
from ctwml_bids.simulation.infarcts import InfarctShape

REACH_MM = 24  # around a shape in which its distance is known
FAR_MM = 2.0 * REACH_MM  # what is given further away
NEAR_MM = 4  # around a shape in which its distance is known exactly, beyond to 1 mm
# A compartment (above or below the tentorium, left or right) with less of an infarct has none:
# the shape reached over a border that lies elsewhere in this head.
STRAY = 0.1
LACUNE_MM = (3.0, 15.0)  # diameter of a lacune's cavity (Wardlaw 2013, Lancet Neurol 12:822)


def nowhere() -> np.ndarray:
    """Return a distance map in BRAIN_BOX (mm, float32) to which everything is far."""
    return np.full([part.stop - part.start for part in BRAIN_BOX], FAR_MM, dtype=np.float32)


def _signed_distance(mask: np.ndarray) -> np.ndarray:
    """Return mm from a mask's surface, negative inside, on its box grown by REACH_MM."""
    wide = np.pad(mask, REACH_MM)
    even = np.pad(wide, [(0, n % 2) for n in wide.shape])
    thin = even.reshape([m for n in even.shape for m in (n // 2, 2)]).any(axis=(1, 3, 5))
    distance = upsample(2 * ndimage.distance_transform_edt(~thin), wide.shape, 2)
    middle = tuple(slice(REACH_MM - NEAR_MM, n - REACH_MM + NEAR_MM) for n in wide.shape)
    outside = np.maximum(ndimage.distance_transform_edt(~wide[middle]) - 0.5, 0)
    inside = np.maximum(ndimage.distance_transform_edt(wide[middle]) - 0.5, 0)
    distance[middle] = outside - inside
    # Drawn slice by slice, masks have steps that no infarct has.
    return ndimage.gaussian_filter(distance, 0.8)


def placed(head: Head, shape: InfarctShape) -> tuple[tuple[slice, ...], np.ndarray]:
    """Return a shape's signed distance in a head: slices in BRAIN_BOX, and mm there.

    The shape is bent as the head is; what strays into another compartment is left out.
    """
    distance = _signed_distance(shape.mask)
    low = shape.start - REACH_MM
    high = low + distance.shape
    thin = [(part >= low[a]) & (part < high[a]) for a, part in enumerate(head.source)]
    step = int(WARP_STEP)
    coarse = bounding_box(thin[0] & thin[1] & thin[2], 1)
    box = tuple(
        slice(part.start * step, min(part.stop * step, cut.stop - cut.start))
        for part, cut in zip(coarse, BRAIN_BOX, strict=True)
    )
    size = tuple(part.stop - part.start for part in box)
    places = [
        upsample(part[coarse], size, WARP_STEP) - low[a] for a, part in enumerate(head.source)
    ]
    near = ndimage.map_coordinates(distance, places, order=1, mode="nearest")
    below = np.isin(head.labels[BRAIN_BOX][box], (canonical.CEREBELLUM, canonical.BRAINSTEM))
    left = places[0] + low[0] < -canonical.ORIGIN[0]
    tissue = (near < 0) * (head.grey + head.white)[box]
    for compartment in (below & left, below & ~left, ~below & left, ~below & ~left):
        if tissue[compartment].sum() < STRAY * tissue.sum():
            near[compartment] = np.maximum(near[compartment], 2)
    return box, near


def put_lacunes(rng: np.random.Generator, head: Head, holes: np.ndarray, most: int) -> list[float]:
    """Put one to ``most`` lacunes into a distance map (in place); return their diameters in mm."""
    labels = head.labels[BRAIN_BOX]
    _, _, z = canonical.coordinates(BRAIN_BOX)
    near = head.ventricle_distance
    whole = head.grey + head.white > 0.95
    sites = [
        (labels == canonical.DEEP_GREY, 0.4),
        (labels == canonical.CAPSULE, 0.2),
        # Corona radiata: beside the bodies of the ventricles.
        (
            (labels == canonical.CEREBRUM)
            & (head.white > 0.9)
            & (near > 3)
            & (near < 18)
            & (z > 18),
            0.3,
        ),
        ((labels == canonical.BRAINSTEM) & (z > -42) & (z < -20), 0.1),
    ]
    diameters = []
    for _ in range(int(rng.integers(1, most + 1))):
        where = sites[int(rng.choice(len(sites), p=[share for _, share in sites]))][0]
        candidates = np.flatnonzero(where & whole)
        # Most are small.
        ratio = np.log(LACUNE_MM[1] / LACUNE_MM[0])
        diameter = float(LACUNE_MM[0] * np.exp(ratio * rng.beta(1.3, 2.2)))
        index, form, turn = rng.random(), rng.uniform(0.6, 1.6, 3), rng.normal(size=(3, 3))
        if len(candidates) == 0:
            continue
        centre = np.unravel_index(candidates[int(index * len(candidates))], labels.shape)
        radii = diameter / 2 / float(np.mean(head.scale)) * form / np.cbrt(np.prod(form))
        reach = int(np.ceil(radii.max())) + 5
        box = tuple(
            slice(max(c - reach, 0), min(c + reach + 1, n))
            for c, n in zip(centre, labels.shape, strict=True)
        )
        offsets = np.indices([part.stop - part.start for part in box]).reshape(3, -1)
        offsets = offsets + np.array(
            [[part.start - c] for part, c in zip(box, centre, strict=True)]
        )
        turned = np.linalg.qr(turn)[0] @ offsets / radii[:, None]
        away = np.linalg.norm(turned, axis=0) - 1
        size = [part.stop - part.start for part in box]
        holes[box] = np.minimum(holes[box], (away * radii.mean()).reshape(size))
        diameters.append(round(diameter, 1))
    return diameters
