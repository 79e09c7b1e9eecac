"""Who is in a cohort of simulated pairs: groups, ages, sexes and FLAIR types as in the method's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

VERSION = "4"  # of cohorts; the same seed gives the same cohort within a version
AGES = (40.0, 95.0)  # years; drawn ages are clipped to this range
PEOPLE, SAGITTAL = 147, 13  # of the method's cohort; and how many of its FLAIRs are sagittal 3D


@dataclass(frozen=True)
class Group:
    """A Fazekas group of the method's cohort (Pitkänen et al. 2020, Table 1).

    Attributes
    ----------
    grades
        Fazekas grades in it.
    size
        How many of the 147.
    age
        Mean and SD in years.
    women
        Share.
    """

    grades: tuple[int, ...]
    size: int
    age: tuple[float, float]
    women: float


GROUPS = (
    Group((0, 1), 50, (65.7, 11.5), 0.58),
    Group((2,), 48, (73.4, 7.1), 0.56),
    Group((3,), 49, (74.7, 7.2), 0.51),
)


@dataclass(frozen=True)
class Participant:
    """One row of a cohort before it is simulated.

    Attributes
    ----------
    label, seed
        BIDS label; seed of everything that is drawn for this participant.
    grades
        Fazekas grades of which a rater shall give one.
    age, sex
        Whole years; "F" or "M".
    sagittal
        Whether the FLAIR is a sagittal 3D one.
    """

    label: str
    seed: int
    grades: tuple[int, ...]
    age: float
    sex: str
    sagittal: bool


def plan_cohort(participants: int, seed: int) -> list[Participant]:
    """Share groups, ages, sexes and FLAIR types out over a cohort.

    Parameters
    ----------
    participants
        How many; grades 0–1, 2 and 3 appear in the proportions 50 : 48 : 49, women in each group
        as in the method's, and sagittal 3D FLAIRs in 13 of 147, rounded. Ages are drawn from each
        group's normal distribution.
    seed
        Decides the order, the ages and every participant's own seed.

    Returns
    -------
    list of Participant
    """
    rng = np.random.default_rng([seed, 0])
    edges = np.round(np.cumsum([0, *(group.size for group in GROUPS)]) / PEOPLE * participants)
    people: list[tuple[tuple[int, ...], float, str]] = []
    for group, size in zip(GROUPS, np.diff(edges).astype(int), strict=True):
        ages = np.round(np.clip(rng.normal(*group.age, size), *AGES))
        female = rng.permutation(size) < round(group.women * size)
        people += [
            (group.grades, float(age), "F" if woman else "M")
            for age, woman in zip(ages, female, strict=True)
        ]
    order = rng.permutation(participants)
    sagittal = rng.permutation(participants) < round(participants * SAGITTAL / PEOPLE)
    width = max(2, len(str(participants)))
    return [
        Participant(
            f"{index + 1:0{width}d}",
            int(np.random.SeedSequence([seed, index + 1]).generate_state(1)[0]),
            *people[int(order[index])],
            bool(sagittal[index]),
        )
        for index in range(participants)
    ]
