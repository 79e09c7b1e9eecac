"""Patterns made by hand: a ventricle of 20 × 60 × 30 mm in white matter, lesions around it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from ctwml_bids.simulation.rating import Rating, draw_rating, measure, scores

ONE = np.ones(3)
SHAPE = (110, 120, 60)
GRID = np.indices(SHAPE)


@pytest.fixture(scope="module")
def distance():
    """Signed mm from the ventricle, negative inside."""
    inside = np.zeros(SHAPE, dtype=bool)
    inside[20:40, 30:90, 15:45] = True
    outside = ndimage.distance_transform_edt(~inside)
    return (outside - ndimage.distance_transform_edt(inside)).astype(np.float32)


def ball(centre, diameter):
    away = sum((g - c) ** 2 for g, c in zip(GRID, centre, strict=True))
    return (away <= (diameter / 2) ** 2).astype(np.float32)


def rim(distance, thickness):
    return ((distance > 0) & (distance <= thickness)).astype(np.float32)


def rated(lesion, distance):
    return scores(**measure(lesion, distance, ONE))


def kappa(one, two):
    """Quadratically weighted, written down independently of the statistics of the program."""
    observed = ((one - two) ** 2).mean()
    expected = ((one[:, None] - two[None]) ** 2).mean()
    return 1 - observed / expected


@pytest.mark.parametrize(
    ("thickness", "grade"), [(0, 0), (2, 1), (4, 1), (7, 2), (9, 2), (12, 3), (20, 3)]
)
def test_linings_are_graded_by_their_thickness(distance, thickness, grade):
    rating = rated(rim(distance, thickness), distance)
    assert rating.periventricular_grade == grade
    assert rating.grade == max(grade, rating.deep_grade)


def test_a_lining_is_not_a_deep_lesion(distance):
    assert rated(rim(distance, 7), distance).deep_grade == 0


def test_caps_alone_are_grade_1(distance):
    caps = rim(distance, 6) * ((GRID[1] > 85) | (GRID[1] < 34))
    assert rated(caps.astype(np.float32), distance).grade in (1, 2)
    small = rim(distance, 4) * (GRID[1] > 88)
    assert rated(small.astype(np.float32), distance).periventricular_grade == 1


@pytest.mark.parametrize(("diameter", "grade"), [(8, 1), (16, 2), (25, 3)])
def test_deep_foci_are_graded_by_their_size(distance, diameter, grade):
    rating = rated(ball((75, 60, 30), diameter), distance)
    assert (rating.periventricular_grade, rating.deep_grade) == (0, grade)


def test_many_punctate_foci_stay_grade_1_however_much_they_hold(distance):
    foci = sum(ball((x, y, 30), 8) for x in (60, 75, 90) for y in range(15, 110, 12))
    assert foci.sum() > 2 * ball((75, 60, 30), 16).sum()
    assert rated(foci, distance).grade == 1


def test_foci_that_flow_together_are_more_than_their_parts(distance):
    apart = ball((70, 50, 30), 11) + ball((70, 70, 30), 11)
    together = np.maximum(ball((70, 50, 30), 11), ball((70, 59, 30), 11))
    assert rated(apart, distance).deep_grade == 1
    assert rated(together, distance).deep_grade == 2


def test_millimetres_are_those_of_the_person(distance):
    focus = ball((75, 60, 30), 16)
    smaller = measure(focus, distance, 0.8 * ONE)["deep_mm"]
    assert smaller == pytest.approx(0.8 * measure(focus, distance, ONE)["deep_mm"], rel=0.08)


def test_nothing_is_grade_0_for_every_rater(distance):
    nothing = rated(np.zeros(SHAPE, dtype=np.float32), distance)
    assert nothing == Rating(0.0, 0.0)
    rng = np.random.default_rng(0)
    assert {draw_rating(rng, nothing).grade for _ in range(50)} == {0}


def test_raters_disagree_about_borderline_patterns_more_often():
    rng = np.random.default_rng(0)

    def disagreement(score):
        grades = [draw_rating(rng, Rating(score, 0.0)).grade for _ in range(600)]
        return np.mean(np.array(grades[::2]) != np.array(grades[1::2]))

    assert disagreement(2.5) > 0.4
    assert disagreement(2.0) < 0.4
    assert disagreement(3.4) < 0.1


def test_two_raters_agree_as_published():
    rng = np.random.default_rng(1)
    patterns = [Rating(*rng.uniform(0, 3.5, 2) ** (1, 1.3)) for _ in range(1500)]
    grades = np.array([[draw_rating(rng, p).grade for _ in range(2)] for p in patterns])
    assert 0.7 < kappa(grades[:, 0], grades[:, 1]) < 0.9
    assert np.abs(grades[:, 0] - grades[:, 1]).max() <= 2
