"""Example segmentations, Fig. 5 of Pitkänen et al. 2020.

A unit leaves one small picture: the axial slice with most lesions, brain only. The group level,
which has no images, lays some of them below each other.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from scipy import ndimage

from ctwml_bids.reports.figures import withheld
from ctwml_bids.reports.plots import DPI, Drawing, drawing
from ctwml_bids.reports.slices import backdrop, cut, plan_view

PIXEL_MM = 0.5
PANEL = (440, 360)  # rows and columns: 220 by 180 mm, more than a brain takes
OUTLINE = (245, 199, 16)  # yellow, as in the subject's report
RIM = (0, 0, 0)  # around it: in grey, yellow cannot be told from a bright lesion


@dataclass(frozen=True)
class Shown:
    """One image of an example: its name, array (x, y, z), lesions on the same grid, window."""

    name: str
    array: np.ndarray
    lesions: np.ndarray
    window: tuple[float, float]


def example(images: Sequence[Shown], affine: np.ndarray, *, brain: np.ndarray) -> bytes | None:
    """Show the slice with most lesions: each image plain, and beside it with its lesions.

    Parameters
    ----------
    images
        On one grid; the lesions of the last one choose the slice.
    affine
        4×4, voxel indices → RAS mm.
    brain
        Mask on the same grid; nothing far from it is shown.

    Returns
    -------
    bytes or None
        PNG, the patient's right on the left. None where the mask is empty or so large that it may
        take in the face.
    """
    if withheld(brain, affine):
        return None
    chosen = next((i.lesions for i in reversed(images) if np.any(i.lesions)), images[-1].lesions)
    view = plan_view(brain, affine, pixel_mm=PIXEL_MM, most_of=chosen)
    panels = []
    for image in images:
        grey = backdrop(image.array, view, image.window)[0]
        plain = np.repeat((255 * grey).astype(np.uint8)[..., None], 3, axis=2)
        inside = cut(np.asarray(image.lesions) > 0, view)[0] > 0.5
        outlined = plain.copy()
        outlined[ndimage.binary_dilation(inside, iterations=2) & ~inside] = RIM
        outlined[inside & ~ndimage.binary_erosion(inside, iterations=2)] = OUTLINE
        panels += [_panel(plain), _panel(outlined)]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(panels, axis=1)).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def examples(rows: Sequence[tuple[str, bytes]]) -> Drawing:
    """Lay examples below each other.

    Parameters
    ----------
    rows
        Label and picture (`example`) of each; of pairs, so that each has four panels, CT first.
    """
    pictures = [np.asarray(Image.open(io.BytesIO(png)).convert("RGB")) for _, png in rows]
    height = PANEL[0] / DPI  # inches: every pixel is shown
    figure = Figure(
        figsize=(4 * height * PANEL[1] / PANEL[0] + 0.5, height * len(rows) + 0.35),
        dpi=DPI,
        facecolor="white",
        layout="constrained",
    )
    grid = figure.subplots(len(rows), 4, squeeze=False)
    headings = ("CT", "CT, segmented", "FLAIR", "FLAIR, segmented")
    for at, ((label, _), picture) in enumerate(zip(rows, pictures, strict=True)):
        for axes, panel, heading in zip(
            grid[at], np.split(picture, 4, axis=1), headings, strict=True
        ):
            axes.imshow(panel, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if at == 0:
                axes.set_title(heading, fontsize=9)
        grid[at, 0].set_ylabel(label, fontsize=9)
    return drawing(figure)


def _panel(picture: np.ndarray) -> np.ndarray:
    """Turn (x, y, 3) upright, right on the left, and centre it in a panel of fixed size."""
    upright = np.swapaxes(picture, 0, 1)[::-1, ::-1]
    panel = np.zeros((*PANEL, 3), dtype=np.uint8)
    size = [min(have, want) for have, want in zip(upright.shape, PANEL, strict=False)]
    take, put = (
        tuple(
            slice((whole - part) // 2, (whole - part) // 2 + part)
            for whole, part in zip(shape, size, strict=False)
        )
        for shape in (upright.shape, PANEL)
    )
    panel[put] = upright[take]
    return panel
