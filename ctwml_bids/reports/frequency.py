"""A figure of lesion frequency maps: axial slices of the template, a row for each map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from nibabel.affines import apply_affine

from ctwml_bids.geometry import bounding_box
from ctwml_bids.reports.html import decimal
from ctwml_bids.reports.plots import DPI, Drawing, drawing

HEIGHTS_MM = (-20.0, 0.0, 12.0, 24.0, 36.0, 48.0)
COLOURS = "inferno"  # lightness rises with the value
LEAST = 0.1  # end of the scale where lesions are rare


def frequency_figure(
    maps: Sequence[tuple[str, np.ndarray]], background: np.ndarray, affine: np.ndarray
) -> Drawing:
    """Show maps over the template, the patient's right on the left.

    Parameters
    ----------
    maps
        Label and share of units with a lesion (0–1, shape (x, y, z)) of each.
    background
        T1w image of the template on the same grid.
    affine
        4×4, voxel indices → RAS mm; axes to the right, front and top.
    """
    to_voxels = np.linalg.inv(affine)
    slices = [round(apply_affine(to_voxels, (0.0, 0.0, z))[2]) for z in HEIGHTS_MM]
    slices = [min(max(k, 0), background.shape[2] - 1) for k in slices]
    box = _box(background)
    grey = background / max(float(np.percentile(background, 99.5)), 1e-6)
    top = max(LEAST, max((float(share.max()) for _, share in maps), default=0.0))
    figure = Figure(
        figsize=(1.25 * len(slices) + 1.3, 1.45 * len(maps) + 0.4),
        dpi=DPI,
        facecolor="white",
        layout="constrained",
    )
    grid = figure.subplots(len(maps), len(slices), squeeze=False)
    for at, (label, share) in enumerate(maps):
        for axes, k, z in zip(grid[at], slices, HEIGHTS_MM, strict=True):
            axes.imshow(_shaded(grey[..., k], share[..., k], top)[box], interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if at == 0:
                axes.set_title(f"z {decimal(z, 0, sign=True)} mm", fontsize=8)
        grid[at, 0].set_ylabel(label, fontsize=8)
    scale = ScalarMappable(Normalize(0, 100 * top), colormaps[COLOURS])
    bar = figure.colorbar(scale, ax=grid.ravel().tolist(), fraction=0.03, pad=0.01)
    bar.set_label("units with a lesion (%)", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    return drawing(figure)


def _shaded(grey: np.ndarray, share: np.ndarray, top: float) -> np.ndarray:
    """Return one slice as RGB, upright, right on the left: the map over a dimmed background."""
    level = np.clip(share / top, 0, 1)
    colour = colormaps[COLOURS](level)[..., :3]
    opacity = np.clip(level / 0.08, 0, 1)[..., None]
    base = 0.6 * np.clip(grey, 0, 1)[..., None]
    picture = (1 - opacity) * base + opacity * colour
    return np.swapaxes(picture, 0, 1)[::-1, ::-1]


def _box(background: np.ndarray) -> tuple[slice, slice]:
    """Return rows and columns of an upright slice that the head takes."""
    inside = np.swapaxes(background.max(axis=2) > 0.02 * background.max(), 0, 1)[::-1, ::-1]
    if not inside.any():
        return slice(None), slice(None)
    rows, columns = bounding_box(inside)
    return rows, columns
