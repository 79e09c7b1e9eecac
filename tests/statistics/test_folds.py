"""Splits keep subjects together and spread strata evenly."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ctwml_bids.errors import BadDataError, UsageError
from ctwml_bids.statistics.folds import (
    check_lesions,
    strata_of_volumes,
    stratified_splits,
)

STRATA = {f"sub-{i:03d}": i % 3 for i in range(147)}


def test_folds_are_of_equal_size_and_hold_each_stratum_evenly():
    for split in stratified_splits(STRATA, 10, 10, seed=1):
        assert split.keys() == STRATA.keys()
        sizes = Counter(split.values())
        assert set(sizes) == set(range(10))
        assert max(sizes.values()) - min(sizes.values()) <= 1
        for stratum in range(3):
            held = Counter(fold for subject, fold in split.items() if STRATA[subject] == stratum)
            assert max(held.values()) - min(held[fold] for fold in range(10)) <= 1


def test_repeats_split_differently_and_a_seed_gives_the_same_again():
    splits = stratified_splits(STRATA, 10, 10, seed=1)
    assert len({tuple(split.values()) for split in splits}) == 10
    assert stratified_splits(STRATA, 10, 3, seed=1) == splits[:3]
    assert stratified_splits(STRATA, 10, 1, seed=2)[0] != splits[0]


def test_lesion_volumes_are_spread_over_the_folds():
    rng = np.random.default_rng(0)
    volumes = {f"sub-{i:02d}": float(volume) for i, volume in enumerate(rng.lognormal(2, 1, 60))}
    (split,) = stratified_splits(strata_of_volumes(volumes, 5), 5, 1, seed=3)
    ranked = sorted(volumes, key=volumes.get)
    for block in range(12):
        assert {split[subject] for subject in ranked[5 * block : 5 * block + 5]} == set(range(5))


def test_the_only_two_with_lesions_are_never_left_out_together():
    volumes = {f"sub-{i}": 0.0 for i in range(7)} | {"sub-8": 3.0, "sub-9": 5.0}
    for split in stratified_splits(strata_of_volumes(volumes, 4), 4, 20, seed=1):
        assert split["sub-8"] != split["sub-9"]


def test_fewer_subjects_than_folds_is_told_with_what_to_give():
    with pytest.raises(UsageError, match="--folds 7 or fewer"):
        stratified_splits({f"sub-{i}": 0 for i in range(7)}, 10, 1, seed=1)


def test_a_network_that_would_see_no_lesion_is_told():
    with pytest.raises(BadDataError, match="nothing to learn"):
        check_lesions([{"sub-1": 0, "sub-2": 1}], set())
    split = {"sub-1": 0, "sub-2": 1, "sub-3": 1}
    check_lesions([split], {"sub-1", "sub-2"})
    with pytest.raises(BadDataError, match="repeat 1, fold 2"):
        check_lesions([split], {"sub-2", "sub-3"})
