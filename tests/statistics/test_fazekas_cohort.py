from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score

from ctwml_bids.statistics import fazekas
from ctwml_bids.statistics.fazekas_cohort import classify

# Table 2 of Pitkänen et al. 2020: visual score by rows, automatic score by columns.
PAPER = {
    "CT": [[43, 7, 0], [12, 28, 8], [0, 5, 44]],
    "FLAIR": [[37, 13, 0], [7, 37, 4], [0, 9, 40]],
}


def cohort(seed=0, size=60):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 3, size)
    return rng.gamma(3.0, 2.0 + 5.0 * groups), groups


@pytest.mark.parametrize("image", ["CT", "FLAIR"])
def test_counts_of_the_papers_table_2_give_its_78_percent(image):
    counts = np.array(PAPER[image])
    assert counts.sum() == 147
    assert round(fazekas.share_right(counts), 2) == 0.78


@pytest.mark.parametrize("image", ["CT", "FLAIR"])
def test_kappa_of_the_papers_table_2_equals_scikit_learns(image):
    counts = np.array(PAPER[image])
    rated = np.repeat([0, 1, 2], counts.sum(axis=1))
    estimated = np.concatenate([np.repeat([0, 1, 2], row) for row in counts])
    theirs = cohen_kappa_score(rated, estimated, weights="quadratic")
    assert fazekas.weighted_kappa(counts) == pytest.approx(theirs)


def test_final_thresholds_are_those_of_all_subjects():
    volumes, groups = cohort()
    assert classify(volumes, groups, np.arange(60)).thresholds == fazekas.fit_thresholds(
        volumes, groups
    )


def test_estimates_are_out_of_fold():
    volumes, groups = cohort()
    found = classify(volumes, groups, np.arange(60), seed=4)
    assert found.estimated == tuple(fazekas.cross_validated(volumes, groups, folds=10, seed=4))
    assert found.folds == 10


def test_share_and_kappa_are_scikit_learns_of_one_table_and_of_many():
    tables, right, kappas = [], [], []
    for seed in range(5):
        rated, estimated = np.random.default_rng(seed).integers(0, 3, (2, 60))
        tables.append(fazekas.confusion(rated, estimated))
        right.append(accuracy_score(rated, estimated))
        kappas.append(cohen_kappa_score(rated, estimated, weights="quadratic"))
    assert fazekas.share_right(tables[0]) == pytest.approx(right[0])
    assert fazekas.weighted_kappa(tables[0]) == pytest.approx(kappas[0])
    assert fazekas.share_right(np.array(tables)) == pytest.approx(right)
    assert fazekas.weighted_kappa(np.array(tables)) == pytest.approx(kappas)
    empty = np.zeros((3, 3), dtype=int)
    assert np.isnan([fazekas.share_right(empty), fazekas.weighted_kappa(empty)]).all()


def test_chance_is_not_judged_as_skill():
    """Groups that have nothing to do with the volumes are right a third of the time out of fold."""
    rng = np.random.default_rng(1)
    volumes, groups = rng.gamma(2, 8, 600), rng.integers(0, 3, 600)
    counts = fazekas.confusion(groups, classify(volumes, groups, np.arange(600)).estimated)
    assert 0.25 < fazekas.share_right(counts) < 0.42
    assert abs(fazekas.weighted_kappa(counts)) < 0.12


def test_sessions_of_one_subject_are_in_one_fold():
    """A unit whose twin is in the training folds would be judged by its own likeness."""
    volumes, groups = cohort(size=12)
    doubled = classify(np.tile(volumes, 2), np.tile(groups, 2), np.tile(np.arange(12), 2))
    assert doubled.estimated[:12] == doubled.estimated[12:]
    assert doubled.estimated[:12] == tuple(fazekas.cross_validated(volumes, groups, 10, 2020))


def test_units_without_a_rating_are_estimated_by_the_final_thresholds():
    volumes, groups = cohort()
    found = classify([*volumes, 0.1, np.nan], [*groups, -1, -1], np.arange(62))
    assert found.rated == 60
    assert found.estimated[60:] == (0, -1)


def test_thresholds_of_another_cohort_are_judged_as_they_are():
    volumes, groups = np.array([1.0, 8.0, 20.0]), np.array([0, 1, 1])
    found = classify(volumes, groups, np.arange(3), thresholds=fazekas.Thresholds(7, 15))
    assert fazekas.confusion(groups, found.estimated).tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    assert found.folds == 0


@pytest.mark.parametrize(
    ("size", "groups", "said"),
    [
        (0, [], "No unit has both a volume and a Fazekas rating"),
        (9, [0, 1, 2] * 3, "9 subjects have a volume and a Fazekas rating"),
        (12, [1] * 12, "All 12 rated units are in Fazekas group 2"),
    ],
)
def test_where_no_thresholds_can_be_fitted_the_reason_is_said(size, groups, said):
    found = classify(np.arange(size, dtype=float), groups, np.arange(size))
    assert said in found.note
    assert found.thresholds is None
    assert set(found.estimated) <= {-1}


def test_a_group_that_nobody_is_in_is_named():
    found = classify(np.arange(20.0), [0] * 10 + [2] * 10, np.arange(20))
    assert "No unit is rated Fazekas 2" in found.note
    assert found.thresholds is not None
