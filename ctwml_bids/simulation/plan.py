"""Who is in a cohort of simulated pairs: grades and FLAIR types shared out as in the method's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Shares of the Fazekas groups 0–1, 2 and 3 in the method's cohort of 147.
GROUP_SHARES = np.array([50, 48, 49]) / 147


@dataclass(frozen=True)
class Participant:
    """One row of a cohort before it is simulated."""

    label: str
    seed: int
    fazekas: int
    sagittal: bool


def plan_cohort(participants: int, seed: int) -> list[Participant]:
    """Share Fazekas grades and FLAIR types out over a cohort.

    Parameters
    ----------
    participants
        How many; grades 0–1, 2 and 3 appear in the proportions 50 : 48 : 49 and sagittal 3D
        FLAIRs in 13 of 147, rounded.
    seed
        Decides the order and every participant's own seed.

    Returns
    -------
    list of Participant
    """
    rng = np.random.default_rng([seed, 0])
    edges = np.round(np.cumsum(GROUP_SHARES) * participants).astype(int)
    groups = np.searchsorted(edges, np.arange(participants), side="right")
    grades = np.array(
        [index % 2 if group == 0 else group + 1 for index, group in enumerate(groups)]
    )
    sagittal = np.arange(participants) < round(participants * 13 / 147)
    rng.shuffle(grades)
    rng.shuffle(sagittal)
    width = max(2, len(str(participants)))
    return [
        Participant(
            label=f"{index + 1:0{width}d}",
            seed=int(np.random.SeedSequence([seed, index + 1]).generate_state(1)[0]),
            fazekas=int(grades[index]),
            sagittal=bool(sagittal[index]),
        )
        for index in range(participants)
    ]
