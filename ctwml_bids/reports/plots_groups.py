"""Figures by Fazekas group: Fig. 2a, 2b, 4a and 4b of Pitkänen et al. 2020. Arrays in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ctwml_bids.reports.plots import DPI, FIT, GROUP_STYLE, Drawing, bare, drawing, frame, points

JITTER = 0.16  # of the distance between groups, so that equal volumes can be told apart
# Series of Fig. 2b: marker, colour, label; from dark to light.
AGREED = (
    ("o", "#10233F", "on both CT and FLAIR"),
    ("^", "#C8590A", "on CT only"),
    ("s", "#8CC4EA", "on FLAIR only"),
)


def dice_by_volume(
    flair_ml: Sequence[float], dice: Sequence[float], groups: Sequence[int]
) -> Drawing:
    """Fig. 2a: Dice over the FLAIR volume, and above it how volumes lie in each Fazekas group.

    Parameters
    ----------
    flair_ml
        Volumes in mL.
    dice
        Of CT with FLAIR, 0–1.
    groups
        Index of the Fazekas group; −1 for unrated units.
    """
    x, y, group = np.asarray(flair_ml, float), np.asarray(dice, float), np.asarray(groups, int)
    present = [g for g in (0, 1, 2) if (group == g).any()]
    figure = Figure(figsize=(5.6, 5.2), dpi=DPI, facecolor="white", layout="constrained")
    if present:
        upper, lower = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": (0.35 * len(present) + 0.15, 3.2)}
        )
        _boxes(upper, [x[group == g] for g in present], present, horizontal=True)
        upper.tick_params(labelbottom=False)
        bare(upper)
    else:
        lower = figure.add_subplot()
    bare(lower)
    for g in (*present, -1):
        if (group == g).any():
            marker, colour, label = GROUP_STYLE[g]
            points(lower, x[group == g], y[group == g], marker, colour, label=label)
    lower.set(xlim=(0, 1.05 * max(1.0, x.max(initial=0))), ylim=(-0.02, 1.02))
    lower.set_xlabel("WML volume on FLAIR (mL)")
    lower.set_ylabel("Dice of CT with FLAIR")
    lower.legend(frameon=False, fontsize=8.5, loc="lower right")
    return drawing(figure)


def correct_and_incorrect(
    flair_ml: Sequence[float],
    both_ml: Sequence[float],
    ct_only_ml: Sequence[float],
    flair_only_ml: Sequence[float],
) -> Drawing:
    """Fig. 2b: volumes segmented on both images and on one alone, over the FLAIR volume, in mL."""
    x = np.asarray(flair_ml, float)
    figure, axes = frame((5.6, 4.6))
    series = [np.asarray(values, float) for values in (both_ml, ct_only_ml, flair_only_ml)]
    for values, (marker, colour, label) in zip(series, AGREED, strict=True):
        points(axes, x, values, marker, colour, label=label)
    top = max(1.0, max(values.max(initial=0) for values in series))
    axes.set(xlim=(0, 1.05 * max(1.0, x.max(initial=0))), ylim=(-0.02 * top, 1.05 * top))
    axes.set_xlabel("WML volume on FLAIR (mL)")
    axes.set_ylabel("volume in FLAIR space (mL)")
    axes.legend(frameon=False, fontsize=8.5, loc="upper left")
    return drawing(figure)


def volume_by_group(
    volumes_ml: Sequence[float],
    groups: Sequence[int],
    *,
    image: str,
    top_ml: float,
    thresholds: tuple[float, float] | None = None,
) -> Drawing:
    """Fig. 4a (CT) and 4b (FLAIR): how volumes lie in each Fazekas group.

    Parameters
    ----------
    volumes_ml, groups
        Volumes in mL and indices of the Fazekas groups; unrated units are not drawn.
    image
        ``CT`` or ``FLAIR``.
    top_ml
        End of the axis, so that both figures have one.
    thresholds
        Volumes in mL from which on a unit is in group 2 and in group 3; dashed lines.
    """
    volumes, group = np.asarray(volumes_ml, float), np.asarray(groups, int)
    present = [g for g in (0, 1, 2) if (group == g).any()]
    figure, axes = frame((4.6, 4.6))
    parts = [volumes[group == g] for g in present]
    _boxes(axes, parts, present, horizontal=False)
    rng = np.random.default_rng(0)
    for at, (g, part) in enumerate(zip(present, parts, strict=True), start=1):
        marker, colour, _ = GROUP_STYLE[g]
        points(axes, at + rng.uniform(-JITTER, JITTER, part.size), part, marker, colour, size=16)
    axes.set(xlim=(0.4, len(present) + 0.6), ylim=(-0.02 * top_ml, top_ml))
    if thresholds is not None:
        # Their numbers stand on the far sides, so that near ones can be read.
        for value, style, side in zip(thresholds, ("--", "-."), ("top", "bottom"), strict=True):
            if 0 < value < top_ml:
                axes.axhline(value, color=FIT, lw=1.2, ls=style, zorder=1)
                axes.annotate(
                    f"{value:.1f}",
                    (1.01, value),
                    xycoords=("axes fraction", "data"),
                    fontsize=8.5,
                    va=side,
                )
    axes.set_xlabel("visual rating")
    axes.set_ylabel(f"WML volume on {image} (mL)")
    return drawing(figure)


def _boxes(
    axes: Axes, parts: Sequence[np.ndarray], groups: Sequence[int], *, horizontal: bool
) -> None:
    """Draw medians, quartiles and whiskers to 1.5 interquartile ranges."""
    labels = [
        f"{GROUP_STYLE[g][2]}\n(n = {part.size})" for g, part in zip(groups, parts, strict=True)
    ]
    line = {"color": "0.2", "linewidth": 1.0}
    axes.boxplot(
        parts,
        orientation="horizontal" if horizontal else "vertical",
        widths=0.5,
        tick_labels=labels,
        patch_artist=True,
        # Where single units are drawn besides, the box draws none of them twice.
        showfliers=horizontal,
        boxprops={"facecolor": "0.93", "edgecolor": "0.2"},
        medianprops={"color": "black", "linewidth": 1.8},
        whiskerprops=line,
        capprops=line,
        flierprops={"marker": ".", "markersize": 3, "markeredgecolor": "0.4"},
        zorder=2,
    )
    axes.tick_params(labelsize=8.5)
