"""Agreement of lesion volumes from CT with those from FLAIR over a group of heads.

Pearson correlation and the fitted line are those of Fig. 3a of Pitkänen et al. 2020 (FLAIR along
x, CT along y), bias and limits of agreement those of its Fig. 3b (CT − FLAIR). Others ask for the
Deming line, the concordance correlation (CCC) and the intraclass correlation ICC(2,1) besides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from ctwml_bids.statistics import concordance
from ctwml_bids.statistics.concordance import NORMAL_95, Moments

MINIMUM_PAIRS = 3  # a line through two points always fits; nothing can be said from it


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% confidence intervals; NaN where they are not defined.

    `low` and `high` follow from a formula, `boot_low` and `boot_high` from a bootstrap over
    subjects, which assumes no distribution.
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    boot_low: float = math.nan
    boot_high: float = math.nan


UNDEFINED = Estimate()


@dataclass(frozen=True)
class Agreement:
    """Agreement of volumes from CT (y) with volumes from FLAIR (x).

    Attributes
    ----------
    pairs
        Number of heads with both volumes.
    pearson, slope, intercept
        Correlation and least-squares line, y = slope · x + intercept (intercept in mL).
    deming_slope, deming_intercept
        Line for two images that both err alike (variance ratio 1); intercept in mL.
    bias, lower_limit, upper_limit
        Bland–Altman mean difference CT − FLAIR and its 95% limits, in mL.
    ccc, icc
        Concordance correlation coefficient, and ICC(2,1).
    difference_sd
        Standard deviation (n − 1) of the differences, in mL.
    note
        Why numbers are missing, in a sentence; empty when none is.
    """

    pairs: int
    pearson: Estimate = UNDEFINED
    slope: Estimate = UNDEFINED
    intercept: Estimate = UNDEFINED
    bias: Estimate = UNDEFINED
    lower_limit: Estimate = UNDEFINED
    upper_limit: Estimate = UNDEFINED
    deming_slope: Estimate = UNDEFINED
    deming_intercept: Estimate = UNDEFINED
    ccc: Estimate = UNDEFINED
    icc: Estimate = UNDEFINED
    difference_sd: float = math.nan
    note: str = ""


def agreement(ct_ml: ArrayLike, flair_ml: ArrayLike) -> Agreement:
    """Compare volumes from CT with volumes from FLAIR, head by head, with intervals by formula.

    Parameters
    ----------
    ct_ml, flair_ml
        Volumes in mL in the same order; a head with a NaN in either is left out.

    Returns
    -------
    Agreement
        Everything NaN, with a note, for fewer than three pairs.

    Raises
    ------
    ValueError
        The two sequences differ in length.
    """
    ct, flair = np.asarray(ct_ml, dtype=float), np.asarray(flair_ml, dtype=float)
    if ct.shape != flair.shape or ct.ndim != 1:
        raise ValueError(f"{ct.size} volumes from CT but {flair.size} from FLAIR")
    complete = np.isfinite(ct) & np.isfinite(flair)
    ct, flair = ct[complete], flair[complete]
    if ct.size < MINIMUM_PAIRS:
        return Agreement(
            pairs=int(ct.size),
            note=f"Agreement needs at least {MINIMUM_PAIRS} units with CT and FLAIR volumes; "
            f"there {'is' if ct.size == 1 else 'are'} {ct.size}.",
        )
    slope, intercept = _line(flair, ct)
    bias, lower, upper, spread = _bland_altman(ct - flair)
    values = estimates(concordance.moments(np.ones((1, ct.size)), flair, ct))[0].tolist()
    plain = {name: Estimate(value) for name, value in zip(NAMES, values, strict=True)}
    return Agreement(
        pairs=int(ct.size),
        pearson=_pearson(flair, ct),
        slope=slope,
        intercept=intercept,
        bias=bias,
        lower_limit=lower,
        upper_limit=upper,
        deming_slope=plain["deming_slope"],
        deming_intercept=plain["deming_intercept"],
        ccc=plain["ccc"],
        icc=plain["icc"],
        difference_sd=spread,
        note=_why_missing(ct, flair),
    )


# In the order of `estimates`.
NAMES = (
    "pearson",
    "slope",
    "intercept",
    "bias",
    "lower_limit",
    "upper_limit",
    "deming_slope",
    "deming_intercept",
    "ccc",
    "icc",
)


def estimates(of: Moments) -> np.ndarray:
    """Return all estimates of m cohorts from their moments, (m, len(NAMES))."""
    columns = [
        concordance.pearson(of),
        *concordance.least_squares(of),
        *concordance.differences(of)[:3],
        *concordance.deming(of),
        concordance.concordance(of),
        concordance.icc(of),
    ]
    return np.stack(columns, axis=1)


def with_ends(found: Agreement, ends: np.ndarray) -> Agreement:
    """Add bootstrap intervals to the estimates; one that is undefined gets none."""
    ended = {
        name: replace(estimate, boot_low=float(low), boot_high=float(high))
        for name, (low, high) in zip(NAMES, ends.T, strict=True)
        if not math.isnan((estimate := getattr(found, name)).value)
    }
    return replace(found, **ended)


def _pearson(x: np.ndarray, y: np.ndarray) -> Estimate:
    """Correlation with Fisher's z interval, which needs four pairs."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return Estimate()
    r = float(np.clip(np.corrcoef(x, y)[0, 1], -1.0, 1.0))
    if x.size < 4 or abs(r) == 1.0:
        return Estimate(r, r if abs(r) == 1.0 else math.nan, r if abs(r) == 1.0 else math.nan)
    half = NORMAL_95 / math.sqrt(x.size - 3)
    return Estimate(r, math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half))


def _line(x: np.ndarray, y: np.ndarray) -> tuple[Estimate, Estimate]:
    """Least-squares slope and intercept with Student t intervals on n − 2 degrees of freedom."""
    if np.ptp(x) == 0:
        return Estimate(), Estimate()
    from scipy import stats  # here, since it would delay every start of the program by a second

    fit = stats.linregress(x, y)
    quantile = float(stats.t.ppf(0.975, x.size - 2))
    return (
        _around(float(fit.slope), quantile * float(fit.stderr)),
        _around(float(fit.intercept), quantile * float(fit.intercept_stderr)),
    )


def _bland_altman(difference: np.ndarray) -> tuple[Estimate, Estimate, Estimate, float]:
    """Bias and 95% limits with intervals after Bland & Altman 1999 (Stat Methods Med Res 8:135).

    The standard error of a limit is SD · sqrt(1/n + 1.96² / (2(n − 1))).
    """
    from scipy import stats

    count = difference.size
    bias, spread = float(difference.mean()), float(difference.std(ddof=1))
    quantile = float(stats.t.ppf(0.975, count - 1))
    of_bias = quantile * spread / math.sqrt(count)
    of_limit = quantile * spread * math.sqrt(1 / count + NORMAL_95**2 / (2 * (count - 1)))
    return (
        _around(bias, of_bias),
        _around(bias - NORMAL_95 * spread, of_limit),
        _around(bias + NORMAL_95 * spread, of_limit),
        spread,
    )


def _around(value: float, half_width: float) -> Estimate:
    return Estimate(value, value - half_width, value + half_width)


def _why_missing(ct: np.ndarray, flair: np.ndarray) -> str:
    if np.ptp(flair) == 0:
        return "All volumes from FLAIR are equal: neither correlation nor a line is defined."
    if np.ptp(ct) == 0:
        return "All volumes from CT are equal: no correlation is defined."
    if ct.size < 4:
        return "The confidence interval of the correlation needs at least four units."
    return ""
