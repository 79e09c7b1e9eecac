"""Lesions that a rater puts into a planned Fazekas group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ctwml_bids.simulation.anatomy import Head
from ctwml_bids.simulation.infarct_tissue import Infarcts
from ctwml_bids.simulation.lesions import (
    Lesions,
    complete,
    draw_lesion_ml,
    draw_outline,
    lesion_room,
)
from ctwml_bids.simulation.rating import Rating, draw_rating, measure, scores

TRIES = 40  # of drawing lesions; three or four are needed on average
# Volumes over all grades: log-normal up to the most that is published by grade, and a share that
# has next to nothing (35 of those 198 people have no lesion).
MEDIAN_ML, SPREAD, MOST_ML = 9.0, 1.1, 77.0
SPARED = 0.15
# Streams of a participant's seed; 0 to 7 and 99 are taken elsewhere.
LESION_STREAM, RATER_STREAM, SECOND_RATER_STREAM, OUTLINE_STREAM = 8, 9, 10, 11


@dataclass(frozen=True)
class RatedLesions:
    """Lesions and how they were rated.

    Attributes
    ----------
    lesions
        What lies in the white matter.
    measures
        mm and shares on which the grades rest, see ``rating.measure``.
    pattern, rated, second
        Scores of the pattern without error, of the rater who grouped the cohort, of a second one.
    tries
        How many times lesions were drawn.
    as_planned
        Whether the rated grade is a planned one; otherwise the nearest of all tries was kept.
    """

    lesions: Lesions
    measures: dict[str, float]
    pattern: Rating
    rated: Rating
    second: Rating
    tries: int
    as_planned: bool

    def facts(self) -> dict:
        """Return all ratings as plain numbers."""
        raters = {"pattern": self.pattern, "rater": self.rated, "second_rater": self.second}
        return {
            **{
                name: {
                    "fazekas": rating.grade,
                    "periventricular_grade": rating.periventricular_grade,
                    "deep_grade": rating.deep_grade,
                    "periventricular_score": rating.periventricular,
                    "deep_score": rating.deep,
                }
                for name, rating in raters.items()
            },
            "measures": self.measures,
            "tries": self.tries,
            "as_planned": self.as_planned,
        }


def draw_any_ml(rng: np.random.Generator) -> float:
    """Draw a lesion volume in mL from all grades: median 9, at most 77, 15% next to none."""
    if rng.random() < SPARED:
        return draw_lesion_ml(rng, 0)
    volume = np.inf
    while volume > MOST_ML:
        volume = MEDIAN_ML * np.exp(rng.normal(0, SPREAD))
    return float(volume)


def draw_rated_lesions(
    seed: int,
    head: Head,
    planned: Sequence[int],
    *,
    infarcts: Infarcts | bool = True,
    bent: np.ndarray | None = None,
) -> RatedLesions:
    """Draw lesions on a head until a rater gives a planned grade.

    Each try draws a volume, its pattern and the rater's error anew; the head stays. So the group
    follows from the pattern and the rater, and volumes of neighbouring groups overlap. Nobody has
    an infarct larger than a lacune unless it is given: the method's cohort left such patients out.

    Parameters
    ----------
    seed
        The participant's; its streams 8 and 9 are used here, 10 for the second rater.
    head
        Whose brain it is.
    planned
        Fazekas grades that are wanted, at least one.
    infarcts
        Infarcts that there are; False: not even lacunes.
    bent
        Distance from a real pattern's lesions, as for ``lesions.draw_outline``.

    Returns
    -------
    RatedLesions
    """
    room = lesion_room(head)
    given = infarcts if isinstance(infarcts, Infarcts) else False
    least = math.inf
    for number in range(1, TRIES + 1):
        rng = np.random.default_rng([seed, LESION_STREAM, number])
        lesion, infarct = draw_outline(
            rng, head, draw_any_ml(rng), room, infarcts=given, pattern=bent
        )
        measures = measure(lesion, head.ventricle_distance, head.scale)
        pattern = scores(**measures)
        rated = draw_rating(np.random.default_rng([seed, RATER_STREAM, number]), pattern)
        off = min(abs(rated.grade - grade) for grade in planned)
        if off < least:
            least, nearest = off, (rng, lesion, infarct, measures, pattern, rated)
        if off == 0:
            break
    rng, lesion, infarct, measures, pattern, rated = nearest
    return RatedLesions(
        lesions=complete(rng, head, lesion, infarct, room, infarcts),
        measures=measures,
        pattern=pattern,
        rated=rated,
        second=draw_rating(np.random.default_rng([seed, SECOND_RATER_STREAM]), pattern),
        tries=number,
        as_planned=least == 0,
    )
