"""Climb a similarity of two images from a transform that is nearly right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from nibabel.affines import apply_affine
from scipy import optimize

from ctwml_bids.preprocessing.nine_parameters import compose
from ctwml_bids.preprocessing.similarity import Similarity

# Rotations (rad), offsets (mm) and log scales that change the fit of two heads about equally.
_STEPS = np.array([0.0125] * 3 + [1.0] * 3 + [0.02] * 3)


def climbed(
    similarity: Similarity,
    start: np.ndarray,
    *,
    evaluations: int,
    scaled: bool = False,
    stride: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Climb with six parameters (rigid), or nine (scales along the fixed image's axes as well).

    Parameters
    ----------
    similarity
        Of a fixed and a moving image.
    start
        4×4, RAS mm, fixed points → moving points.
    evaluations
        Of the similarity, at most.
    scaled
        Free the scales.
    stride
        Length of the first steps; 1 suits a start that is right to a few mm.

    Returns
    -------
    matrix : numpy.ndarray
        4×4, RAS mm, fixed points → moving points.
    scales : numpy.ndarray
        Three; 1 where they are not free.
    """
    free = 9 if scaled else 6
    centre = similarity.points.mean(axis=0)
    target = apply_affine(start, centre)

    def moved(parameters: np.ndarray) -> np.ndarray:
        values = np.zeros(9)
        values[:free] = parameters
        turn = compose([1, 1, 1], [0, 0, 0], values[:3])
        matrix = turn @ start @ compose(np.exp(values[6:]), [0, 0, 0], [0, 0, 0])
        matrix[:3, 3] = target + values[3:6] - matrix[:3, :3] @ centre
        return matrix

    best = maximised(
        lambda parameters: similarity(moved(parameters)),
        np.zeros(free),
        _STEPS[:free] * stride,
        evaluations=evaluations,
    )[1]
    return moved(best), np.exp(best[6:]) if scaled else np.ones(3)


def maximised(
    value: Callable[[np.ndarray], float], start: np.ndarray, steps: np.ndarray, *, evaluations: int
) -> tuple[float, np.ndarray]:
    """Return the largest value found from a start, and where (Powell's method).

    Parameters
    ----------
    value
        Of the parameters, shape (n,).
    start
        Shape (n,).
    steps
        Lengths of steps that change the value about equally, shape (n,).
    evaluations
        Of the value, at most.
    """
    result = optimize.minimize(
        lambda scaled: -value(scaled * steps),
        start / steps,
        method="Powell",
        options={"maxfev": evaluations, "xtol": 0.02, "ftol": 1e-6},
    )
    return -float(result.fun), result.x * steps
