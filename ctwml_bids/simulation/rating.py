"""Fazekas grades from the pattern of lesions, never from their volume, and raters who disagree.

What Fazekas 1987 (AJR 149: 351–356) tells apart by eye is measured in mm on axial slices of
about 5 mm, which is what raters see:

- periventricular: 0 none, 1 caps or a pencil-thin lining, 2 a smooth halo, 3 irregular, reaching
  into the deep white matter;
- deep: 0 none, 1 punctate foci, 2 beginning confluence, 3 large confluent areas.

The grade of a person is the larger of both, as clinical reports give one figure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ctwml_bids.geometry import PERIVENTRICULAR_MM

SLICE = 5.0  # mm; the FLAIRs that are rated in practice have slices of 4–5 mm
TOUCHES = 3.0  # mm; nearer lesions are connected to the ventricles for a rater's eye
BLOCK = 4  # voxels of 1 mm along the ventricle's border over which its lining is judged
BORDER_SHARE = 1 / 15  # of the border must be lined as thickly as the thickness that is reported
# Where a measure in mm reaches the score on its right: grades change at 0.5, 1.5 and 2.5.
LINING_MM = ((0.0, 1.0, 5.0, 10.0, 15.0), (0.0, 0.5, 1.5, 2.5, 3.5))
DEEP_MM = ((0.0, 3.0, 12.0, 20.0, 30.0), (0.0, 0.5, 1.5, 2.5, 3.5))
# Caps line too little of the border for a thickness: they are seen from 2% of it on.
CAPS_SHARE = ((0.0, 0.02, 0.05), (0.0, 0.5, 1.0))
RATER_SD = 0.33  # of a grade; see `draw_rating`


@dataclass(frozen=True)
class Rating:
    """A rating of one person's lesions.

    Attributes
    ----------
    periventricular, deep
        Scores without unit, 0 to 3.5; a rater's may leave this range.
    """

    periventricular: float
    deep: float

    @property
    def periventricular_grade(self) -> int:
        """Fazekas' periventricular grade, 0–3."""
        return _grade(self.periventricular)

    @property
    def deep_grade(self) -> int:
        """Fazekas' grade of the deep white matter, 0–3."""
        return _grade(self.deep)

    @property
    def grade(self) -> int:
        """The larger of both, 0–3."""
        return max(self.periventricular_grade, self.deep_grade)


def _grade(score: float) -> int:
    return int(np.clip(np.floor(score + 0.5), 0, 3))


def _slices(field: np.ndarray, count: int) -> np.ndarray:
    """Average ``count`` voxels along z into one; what is left over at the top is dropped."""
    whole = field.shape[2] // count
    shape = (*field.shape[:2], whole, count)
    return field[:, :, : whole * count].reshape(shape).mean(axis=3)


def lining(lesion: np.ndarray, distance: np.ndarray, nearest: np.ndarray) -> tuple[float, float]:
    """Measure how lesions line the ventricles.

    Parameters
    ----------
    lesion
        bool, axes x, y, z: lesions connected to the ventricles.
    distance
        mm from the ventricles, 0 inside, same shape.
    nearest
        Voxel of the ventricles that is nearest to each voxel, integers, shape (3, x, y, z).

    Returns
    -------
    thickness
        mm that `BORDER_SHARE` of the border's blocks reach or exceed.
    share
        Share of the blocks lined by more than 1 mm.
    """
    # One number for the part of the border (4 mm long, one slice) that is nearest.
    wide = nearest.shape[2] // BLOCK + 1
    block = ((nearest[0] // BLOCK) * wide + nearest[1] // BLOCK) * lesion.shape[2] + nearest[2]
    blocks = np.unique(block[(distance > 0) & (distance < 1.6)])
    thickness = np.zeros(int(block.max()) + 1, dtype=np.float32)
    np.maximum.at(thickness, block[lesion], distance[lesion])
    thickness = thickness[blocks]
    return float(np.quantile(thickness, 1 - BORDER_SHARE)), float((thickness > 1).mean())


def largest_focus(lesion: np.ndarray, area: float) -> float:
    """Return the diameter in mm of the disc as large as the largest focus on any axial slice.

    Parameters
    ----------
    lesion
        bool, axes x, y, z.
    area
        mm² of a voxel in the slice.
    """
    in_plane = np.zeros((3, 3, 3), dtype=bool)
    in_plane[:, :, 1] = True
    labels, count = ndimage.label(lesion, structure=in_plane)
    if count == 0:
        return 0.0
    return float(2 * np.sqrt(np.bincount(labels[lesion]).max() * area / np.pi))


def measure(
    lesion: np.ndarray, ventricle_distance: np.ndarray, scale: np.ndarray
) -> dict[str, float]:
    """Measure what the grades rest on.

    Parameters
    ----------
    lesion
        Fraction of each voxel that is lesion (0–1), 1 mm grid of the template, axes x, y, z.
    ventricle_distance
        mm of the template frame from the lateral ventricles, same grid, negative inside.
    scale
        Shape (3,): millimetres of the person per millimetre of the template along x, y, z.

    Returns
    -------
    dict
        ``lining_mm`` and ``lined_share`` of the ventricles' border, ``deep_mm`` (see `lining`,
        `largest_focus`).
    """
    count = max(1, round(SLICE / scale[2]))
    edges = np.asarray(scale, dtype=float) * (1, 1, count)
    seen = _slices(lesion, count) > 0.5
    inside = _slices((ventricle_distance < 0).astype(np.float32), count) > 0.5
    nearest = ndimage.distance_transform_edt(
        ~inside, sampling=edges, return_distances=False, return_indices=True
    )
    # The ventricle fills its slice: its roof lies half a slice nearer than the slice's centre.
    steps = np.abs(np.indices(seen.shape) - nearest) * edges[:, None, None, None]
    steps[2] = np.maximum(steps[2] - edges[2] / 2, 0)
    distance = np.sqrt((steps**2).sum(axis=0)).astype(np.float32)
    # In the slice a lesion continues through corners too, between thick slices only straight.
    joined = ndimage.generate_binary_structure(3, 1)
    joined[:, :, 1] = True
    labels, number = ndimage.label(seen, structure=joined)
    touching = np.zeros(number + 1, dtype=bool)
    touching[np.unique(labels[seen & (distance < TOUCHES)])] = True
    attached = seen & touching[labels]
    thickness, share = lining(attached, distance, nearest)
    deep = seen & ((distance > PERIVENTRICULAR_MM) | ~attached)
    return {
        "lining_mm": thickness,
        "lined_share": share,
        "deep_mm": largest_focus(deep, float(edges[0] * edges[1])),
    }


def scores(lining_mm: float, lined_share: float, deep_mm: float) -> Rating:
    """Turn the measures of `measure` into scores, linear between the limits of the grades.

    Periventricular: thickness of the lining that a fifteenth of the ventricles' border reaches or
    exceeds (about half of the border adjoins grey matter and is never lined). It is pencil-thin up
    to 5 mm, a halo up to 10 mm and reaches into the deep white matter beyond, as in Scheltens 1993
    (J Neurol Sci 114: 7–12; up to 5 mm, up to 10 mm) and the CREDOS scale (Noh 2014, J Stroke
    Cerebrovasc Dis 23: 636–642). Caps alone make grade 1.

    Deep: disc as large as the largest focus on a slice, among what is not connected to the
    ventricles or more than 10 mm from them. Under 3 mm is not counted; to 12 mm foci are punctate
    (Wen and Sachdev 2004 call more than 12 mm large); areas of 20 mm and more are confluent
    (modified Fazekas scale of LADIS, Pantoni 2005).

    Limits in mm come from there; the fifteenth was chosen, and 12 mm preferred to LADIS' 10 mm,
    so that mean volumes by grade come near the published 3.7, 10.8 and 35.2 mL.
    """
    return Rating(
        periventricular=float(
            max(np.interp(lining_mm, *LINING_MM), np.interp(lined_share, *CAPS_SHARE))
        ),
        deep=float(np.interp(deep_mm, *DEEP_MM)),
    )


def draw_rating(rng: np.random.Generator, pattern: Rating) -> Rating:
    """Draw how one rater rates a pattern.

    Normal noise is added to both scores, so that raters disagree about borderline patterns and
    agree about clear ones; where next to nothing is seen, next to nothing is added. `RATER_SD`
    gives two raters of a cohort a quadratically weighted kappa of 0.83 over grades 0–3 and 0.81
    over the groups 0–1, 2, 3. Published are 0.59 to 0.78 (Kapeller 2003, Stroke 34: 441–445), 0.72
    and 0.89 (Wardlaw 2004, J Neurol 251: 584–590) and 0.80 to 0.97 between two radiologists
    (Neurodegener Dis 2015; 16: 279–283).

    Parameters
    ----------
    rng
        The rater's source of randomness.
    pattern
        True scores.

    Returns
    -------
    Rating
    """
    noise = rng.normal(0, RATER_SD, 2)
    true = np.array([pattern.periventricular, pattern.deep])
    seen = true + noise * np.minimum(1, 2 * true)
    return Rating(periventricular=float(seen[0]), deep=float(seen[1]))
