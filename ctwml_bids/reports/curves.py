"""Figures of a training: learning curves, and the cross-validated segmentation against the truth.

Numbers in, PNG bytes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ctwml_bids.reports.canvas import encode
from ctwml_bids.reports.plots import bare

THIN = {"color": "#0072B2", "lw": 0.7, "alpha": 0.35}
MEAN = {"color": "#D55E00", "lw": 2.0}


def learning_curves(rows: Sequence[Mapping[str, Any]], loss: str = "cross-entropy") -> bytes:
    """Plot loss and Dice of the training patches over the steps, a thin line for each network.

    Parameters
    ----------
    rows
        ``network``, ``step``, ``loss`` and ``dice`` (None where no patch had a lesion).
    loss
        What it is; "dice+cross-entropy" takes Dice off, and may fall below 0.
    """
    figure = Figure(figsize=(9.0, 3.8), dpi=130, facecolor="white", layout="constrained")
    networks: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        networks.setdefault(row["network"], []).append(row)
    for axes, name, label in zip(
        figure.subplots(1, 2),
        ("loss", "dice"),
        (f"loss ({loss})", "Dice of the training patches"),
        strict=True,
    ):
        by_step: dict[float, list[float]] = {}
        for curve in networks.values():
            values = [np.nan if row[name] is None else row[name] for row in curve]
            steps = [row["step"] for row in curve]
            axes.plot(steps, values, **THIN)
            for step, value in zip(steps, values, strict=True):
                by_step.setdefault(step, []).append(value)
        known = {s: [v for v in by_step[s] if np.isfinite(v)] for s in sorted(by_step)}
        steps = [step for step, values in known.items() if values]
        axes.plot(steps, [np.mean(known[step]) for step in steps], label="mean", **MEAN)
        axes.set_xlabel("step")
        axes.set_ylabel(label)
        axes.legend(frameon=False, fontsize=9)
        bare(axes)
    if all(row["loss"] > 0 for row in rows):
        figure.get_axes()[0].set_yscale("log")
    figure.get_axes()[1].set_ylim(0, 1)
    return encode(figure)


def volumes(truth_ml: Sequence[float], found_ml: Sequence[float]) -> bytes:
    """Plot volumes of the out-of-fold segmentation over those of the truth, in mL."""
    figure = Figure(figsize=(4.6, 4.4), dpi=130, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    top = 1.05 * max(1.0, *truth_ml, *found_ml)
    axes.plot([0, top], [0, top], color="0.45", lw=1.0, ls=":", label="identity")
    _points(axes, truth_ml, found_ml)
    axes.set(xlim=(0, top), ylim=(0, top), aspect="equal")
    axes.set_xlabel("true lesions (mL)")
    axes.set_ylabel("out-of-fold segmentation (mL)")
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    bare(axes)
    return encode(figure)


def overlap_by_volume(truth_ml: Sequence[float], dice: Sequence[float]) -> bytes:
    """Plot Dice over the volume of the true lesions (mL)."""
    figure = Figure(figsize=(4.6, 4.4), dpi=130, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    _points(axes, truth_ml, dice)
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1)
    axes.set_xlabel("true lesions (mL)")
    axes.set_ylabel("Dice")
    bare(axes)
    return encode(figure)


def _points(axes: Axes, x: Sequence[float], y: Sequence[float]) -> None:
    axes.scatter(x, y, s=26, zorder=3, facecolors="none", edgecolors="#0072B2", linewidths=1.3)
