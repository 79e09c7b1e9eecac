"""Which subjects are left out together: stratified folds, dealt anew for every repeat.

Splits are of subjects, never of sessions or images: two scans of one brain look alike.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ctwml_bids.errors import BadDataError, UsageError

Split = dict[str, int]


def strata_of_volumes(volumes_ml: Mapping[str, float], folds: int) -> dict[str, int]:
    """Group subjects of like lesion volume, as many in each group as there are folds.

    The largest come first: where two have lesions, they are never left out together.

    Parameters
    ----------
    volumes_ml
        Subject to its lesion volume in mL (the mean over its sessions).
    folds
        Number of folds.
    """
    ordered = sorted(volumes_ml, key=lambda subject: (-volumes_ml[subject], subject))
    return {subject: rank // folds for rank, subject in enumerate(ordered)}


def stratified_splits(
    strata: Mapping[str, int], folds: int, repeats: int, seed: int
) -> tuple[Split, ...]:
    """Deal subjects to folds, each stratum evenly, once for every repeat.

    Parameters
    ----------
    strata
        Subject to its stratum: a Fazekas group, or one of `strata_of_volumes`.
    folds, repeats
        How many of each.
    seed
        Of the splits; repeat r draws from (seed, r), so that more repeats leave the first as
        they are.

    Returns
    -------
    tuple of dict
        For every repeat, subject to its fold, counted from 0. Sizes of folds differ by at most 1.

    Raises
    ------
    UsageError
        If there are fewer subjects than folds, or fewer than two folds.
    """
    subjects = sorted(strata)
    if folds < 2:
        raise UsageError(f"--folds {folds}: cross-validation needs at least two folds.")
    if len(subjects) < folds:
        raise UsageError(
            f"{len(subjects)} subjects can be trained on, which cannot be split into {folds} "
            f"folds: give --folds {max(len(subjects), 2)} or fewer, or more subjects."
        )
    groups = np.array([strata[subject] for subject in subjects])
    splits = []
    for repeat in range(repeats):
        rng = np.random.default_rng([seed, repeat])
        shuffled = rng.permutation(len(subjects))
        dealt = shuffled[np.argsort(groups[shuffled], kind="stable")]
        # Else the first folds would always be those with a subject more.
        numbers = rng.permutation(folds)
        fold = {subjects[i]: int(numbers[at % folds]) for at, i in enumerate(dealt)}
        splits.append({subject: fold[subject] for subject in subjects})
    return tuple(splits)


def check_lesions(splits: Sequence[Split], with_lesions: Collection[str]) -> None:
    """Make sure that every network has lesions to learn from.

    Raises
    ------
    BadDataError
        If no subject has lesions, or all that have any are left out together in some fold.
    """
    if not with_lesions:
        raise BadDataError(
            "None of the subjects to train on has a lesion, so there is nothing to learn: look at "
            "the masks (--labels), or add subjects with lesions."
        )
    for repeat, split in enumerate(splits):
        if len(folds := {split[subject] for subject in with_lesions}) == 1:
            raise BadDataError(
                f"All {len(with_lesions)} subjects with lesions are left out together in repeat "
                f"{repeat + 1}, fold {folds.pop() + 1}, so that its network would see none: add "
                "subjects with lesions, or try another --random-seed."
            )
