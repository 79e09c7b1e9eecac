"""Measures of agreement of two methods as functions of weighted sums, for many cohorts at once.

x is the reference (FLAIR), y the method under test (CT). Every function takes `Moments` and
returns one value a cohort; where a measure is not defined the value is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NORMAL_95 = 1.959963984540054  # two-sided 95% quantile of the normal distribution


@dataclass(frozen=True)
class Moments:
    """Sums over the units of m cohorts, each (m,).

    Attributes
    ----------
    count
        Number of units.
    mean_x, mean_y
        Means, in mL.
    xx, yy, xy
        Sums of squares and products about the means, in mL².
    """

    count: np.ndarray
    mean_x: np.ndarray
    mean_y: np.ndarray
    xx: np.ndarray
    yy: np.ndarray
    xy: np.ndarray


@dataclass(frozen=True)
class Terms:
    """What is summed over the units of a cohort for its `Moments`.

    Attributes
    ----------
    columns
        (n, 6), of each unit.
    about
        Of x and y, in mL: what the columns are about.
    """

    columns: np.ndarray
    about: tuple[float, float]

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> Terms:
        """Make the columns; a unit with a NaN in either value does not count."""
        known = np.isfinite(x) & np.isfinite(y)
        # About the means of all, so that no large numbers cancel.
        x0, y0 = (float(np.mean(v[known])) if known.any() else 0.0 for v in (x, y))
        a, b = np.where(known, x - x0, 0.0), np.where(known, y - y0, 0.0)
        return cls(np.stack([known.astype(float), a, b, a * a, b * b, a * b], axis=1), (x0, y0))


def moments(weights: np.ndarray, x: np.ndarray, y: np.ndarray) -> Moments:
    """Sum up the units of each cohort.

    Parameters
    ----------
    weights
        How often each unit is in each cohort, (m, n).
    x, y
        Values of the n units; one with a NaN in either does not count.
    """
    terms = Terms.of(x, y)
    return moments_of(weights @ terms.columns, terms.about)


def moments_of(sums: np.ndarray, about: tuple[float, float]) -> Moments:
    """Return the moments of cohorts from the sums of their units' `Terms`, (m, 6)."""
    count, sum_a, sum_b, aa, bb, ab = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_a, mean_b = sum_a / count, sum_b / count
    return Moments(
        count,
        about[0] + mean_a,
        about[1] + mean_b,
        np.maximum(aa - count * mean_a**2, 0.0),
        np.maximum(bb - count * mean_b**2, 0.0),
        ab - count * mean_a * mean_b,
    )


def pearson(of: Moments) -> np.ndarray:
    """Return Pearson's correlation."""
    return np.clip(_ratio(of.xy, np.sqrt(of.xx * of.yy), of), -1.0, 1.0)


def least_squares(of: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Return slope and intercept of y on x."""
    slope = _ratio(of.xy, of.xx, of)
    return slope, of.mean_y - slope * of.mean_x


def deming(of: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Return slope and intercept of the Deming line with a variance ratio of 1.

    The line with the least squared distances at right angles, for two methods that err alike:
    slope = (Syy − Sxx + √((Syy − Sxx)² + 4 Sxy²)) / (2 Sxy) (Linnet 1993, Clin Chem 39:424).
    """
    apart = of.yy - of.xx
    slope = _ratio(apart + np.sqrt(apart**2 + 4 * of.xy**2), 2 * of.xy, of)
    return slope, of.mean_y - slope * of.mean_x


def differences(of: Moments) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, lower and upper 95% limits, and SD (n − 1) of the differences y − x."""
    bias = of.mean_y - of.mean_x
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(np.maximum(of.xx + of.yy - 2 * of.xy, 0.0) / (of.count - 1))
    spread = np.where(of.count > 1, spread, np.nan)
    return bias, bias - NORMAL_95 * spread, bias + NORMAL_95 * spread, spread


def concordance(of: Moments) -> np.ndarray:
    """Return the concordance correlation coefficient (Lin 1989, Biometrics 45:255).

    2 s_xy / (s_x² + s_y² + (mean_x − mean_y)²) with variances over n, as Lin defines them.
    """
    shift = of.count * (of.mean_x - of.mean_y) ** 2
    return _ratio(2 * of.xy, of.xx + of.yy + shift, of)


def icc(of: Moments) -> np.ndarray:
    """Return ICC(2,1): two-way random effects, absolute agreement, single measurement.

    (MSR − MSE) / (MSR + (k − 1) MSE + k (MSC − MSE) / n) with k = 2 methods (Shrout & Fleiss
    1979, Psychol Bull 86:420).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (of.xx + of.yy + 2 * of.xy) / 2 / (of.count - 1)
        error = (of.xx + of.yy - 2 * of.xy) / 2 / (of.count - 1)
    methods = of.count * (of.mean_y - of.mean_x) ** 2 / 2
    below = between + error + 2 * (methods - error) / np.maximum(of.count, 1)
    return _ratio(between - error, below, of)


def _ratio(above: np.ndarray, below: np.ndarray, of: Moments) -> np.ndarray:
    """Divide; NaN where the divisor is zero but for rounding, or there is one unit."""
    scale = np.maximum(np.maximum(of.xx, of.yy), 1e-300)
    safe = (np.abs(below) > 1e-12 * scale) & (of.count > 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(safe, above / below, np.nan)
