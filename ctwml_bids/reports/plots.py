"""Figures of the group report: CT volumes against FLAIR volumes (Fig. 3 of Pitkänen et al. 2020).

Arrays in, PNG bytes out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ctwml_bids.reports.canvas import encode

POINT = {"s": 26, "facecolors": "none", "edgecolors": "#0072B2", "linewidths": 1.3}
LINE = "#D55E00"


def scatter(
    flair_ml: Sequence[float], ct_ml: Sequence[float], *, slope: float, intercept: float
) -> bytes:
    """Plot CT volumes (y) against FLAIR volumes (x), in mL, with the fit and the identity line.

    A slope of NaN leaves the fit out.
    """
    x, y = np.asarray(flair_ml, dtype=float), np.asarray(ct_ml, dtype=float)
    figure, axes = _frame((4.8, 4.6))
    top = 1.05 * max(1.0, float(np.max([x.max(initial=0), y.max(initial=0)])))
    axes.plot([0, top], [0, top], color="0.45", lw=1.0, ls=":", label="identity")
    if np.isfinite(slope):
        ends = np.array([0.0, top])
        text = f"fit: {slope:.2f} x {intercept:+.1f} mL"
        axes.plot(ends, intercept + slope * ends, color=LINE, lw=1.5, label=text)
    axes.scatter(x, y, zorder=3, **POINT)
    axes.set(xlim=(0, top), ylim=(min(0.0, 1.05 * float(y.min(initial=0))), top))
    axes.set_aspect("equal")
    axes.set_xlabel("WML on FLAIR (mL)")
    axes.set_ylabel("WML on CT (mL)")
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    return encode(figure)


def bland_altman(
    flair_ml: Sequence[float],
    ct_ml: Sequence[float],
    *,
    bias: float,
    lower: float,
    upper: float,
) -> bytes:
    """Plot differences CT − FLAIR over the means of both, in mL, with bias and 95% limits.

    NaN for the three leaves the lines out.
    """
    x, y = np.asarray(flair_ml, dtype=float), np.asarray(ct_ml, dtype=float)
    figure, axes = _frame((5.6, 4.6))
    axes.axhline(0.0, color="0.45", lw=1.0, ls=":")
    for value, name, style in (
        (upper, "upper limit", "--"),
        (bias, "bias", "-"),
        (lower, "lower limit", "--"),
    ):
        if np.isfinite(value):
            axes.axhline(value, color=LINE, lw=1.5, ls=style)
            axes.annotate(
                f"{name} {value:+.1f}".replace("-", "−"),
                (1.01, value),
                xycoords=("axes fraction", "data"),
                fontsize=8.5,
                va="center",
            )
    axes.scatter((x + y) / 2, y - x, zorder=3, **POINT)
    axes.set_xlabel("mean of CT and FLAIR (mL)")
    axes.set_ylabel("CT − FLAIR (mL)")
    return encode(figure)


def _frame(size: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, dpi=130, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
