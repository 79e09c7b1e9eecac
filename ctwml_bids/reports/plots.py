"""Figures of a cohort: what all of them share, and Fig. 3 of Pitkänen et al. 2020.

Arrays in, drawings out. Groups and series differ in shape and lightness as well as in colour, so
that a print in grey can be read.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ctwml_bids.reports.canvas import encode
from ctwml_bids.reports.html import decimal

DPI = 150
# Fazekas group (index, −1 for unrated) → marker, colour, label; from light to dark.
GROUP_STYLE = {
    0: ("o", "#6FB7E9", "Fazekas 0–1"),
    1: ("s", "#C8590A", "Fazekas 2"),
    2: ("^", "#10233F", "Fazekas 3"),
    -1: ("x", "#8A8A8A", "not rated"),
}
FIT, DEMING, SOFT = "#A8400A", "#10233F", "0.45"
# `statistics.agreement.Agreement` as a dictionary.
Found = Mapping[str, Any]
MANY = 2000  # points; drawn as pixels inside the SVG from there on, which stays small that way


@dataclass(frozen=True)
class Drawing:
    """A figure as SVG and as PNG."""

    svg: bytes
    png: bytes


def drawing(figure: Figure) -> Drawing:
    """Render a figure in both formats; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    # Text stays text, which can be searched, edited and read aloud.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ctwml_bids"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return Drawing(buffer.getvalue(), encode(figure))


def scatter(flair_ml: Sequence[float], ct_ml: Sequence[float], found: Found) -> Drawing:
    """Fig. 3a: CT volumes (y) against FLAIR volumes (x), in mL.

    With the identity line, and the least-squares and the Deming line where they are defined.
    """
    x, y = np.asarray(flair_ml, dtype=float), np.asarray(ct_ml, dtype=float)
    figure, axes = frame((4.8, 4.6))
    top = 1.05 * max(1.0, float(np.max([x.max(initial=0), y.max(initial=0)])))
    axes.plot([0, top], [0, top], color=SOFT, lw=1.0, ls=":", label="identity")
    ends = np.array([0.0, top])
    for slope, intercept, colour, style, name in (
        ("slope", "intercept", FIT, "-", "least squares"),
        ("deming_slope", "deming_intercept", DEMING, "--", "Deming"),
    ):
        a, b = found[slope]["value"], found[intercept]["value"]
        if np.isfinite(a):
            text = f"{name}: {decimal(a, 2)} x {decimal(b, sign=True)} mL"
            axes.plot(ends, b + a * ends, color=colour, lw=1.4, ls=style, label=text)
    points(axes, x, y, "o", "#2F6FA8", size=20)
    axes.set(xlim=(0, top), ylim=(0, top))
    axes.set_aspect("equal")
    axes.set_xlabel("WML volume on FLAIR (mL)")
    axes.set_ylabel("WML volume on CT (mL)")
    if np.isfinite(found["pearson"]["value"]):
        text = f"r = {decimal(found['pearson']['value'], 2)}, n = {found['pairs']}"
        axes.text(0.98, 0.03, text, transform=axes.transAxes, ha="right", fontsize=9)
    axes.legend(frameon=False, fontsize=8.5, loc="upper left")
    return drawing(figure)


def bland_altman(flair_ml: Sequence[float], ct_ml: Sequence[float], found: Found) -> Drawing:
    """Fig. 3b: differences CT − FLAIR over the means of both, in mL.

    With bias, 95% limits, and the 95% intervals of the three as bands, where they are defined.
    """
    x, y = np.asarray(flair_ml, dtype=float), np.asarray(ct_ml, dtype=float)
    figure, axes = frame((5.8, 4.6))
    axes.axhline(0.0, color=SOFT, lw=1.0, ls=":")
    for key, name, style in (
        ("upper_limit", "upper limit", "--"),
        ("bias", "bias", "-"),
        ("lower_limit", "lower limit", "--"),
    ):
        _level(axes, found[key], name, style)
    points(axes, (x + y) / 2, y - x, "o", "#2F6FA8", size=20)
    axes.set_xlim(left=0)
    axes.set_xlabel("mean of CT and FLAIR (mL)")
    axes.set_ylabel("CT − FLAIR (mL)")
    return drawing(figure)


def _level(axes: Axes, estimate: Found, name: str, style: str) -> None:
    value = estimate["value"]
    if not np.isfinite(value):
        return
    axes.axhline(value, color=FIT, lw=1.4, ls=style)
    if np.isfinite(estimate["low"]):
        axes.axhspan(estimate["low"], estimate["high"], color=FIT, alpha=0.12, lw=0)
    axes.annotate(
        f"{name} {decimal(value, sign=True)}",
        (1.01, value),
        xycoords=("axes fraction", "data"),
        fontsize=8.5,
        va="center",
    )


def points(
    axes: Axes,
    x: np.ndarray,
    y: np.ndarray,
    marker: str,
    colour: str,
    *,
    size: float = 22,
    label: str | None = None,
) -> None:
    """Draw points that stay apart where they overlap."""
    line_marker = marker == "x"
    axes.scatter(
        x,
        y,
        marker=marker,
        s=size if x.size < MANY else size / 4,
        c=colour if line_marker else None,
        facecolors=None if line_marker else colour,
        edgecolors=None if line_marker else "white",
        linewidths=1.1 if line_marker else 0.5,
        alpha=0.9 if x.size < MANY else 0.5,
        rasterized=x.size >= MANY,
        label=label,
        zorder=3,
    )


def frame(size: tuple[float, float]) -> tuple[Figure, Axes]:
    """Return an empty figure with one set of axes, width and height in inches."""
    figure = Figure(figsize=size, dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    bare(axes)
    return figure, axes


def bare(axes: Axes) -> None:
    """Take away the lines that say nothing."""
    axes.spines[["top", "right"]].set_visible(False)
