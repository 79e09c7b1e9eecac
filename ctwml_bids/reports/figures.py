"""Figures of one subject's report: arrays in, PNG bytes out, axial brain slices only.

The patient's right is on the left of the picture.

Outlines differ in colour and in line style, so that they read in grey and to the colour-blind
(colours after Okabe and Ito).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from skimage.feature import canny

from ctwml_bids.reports.canvas import SCREEN_DPI, Canvas, encode
from ctwml_bids.reports.slices import View, backdrop, cut, plan_view

CT_WINDOW = (-5.0, 75.0)  # brain window: level 35 HU, width 80 HU
LESION_COLOUR = "#F5C710"
BRAIN_COLOUR = "#56B4E9"
THIRD_COLOUR = "#CC79A7"
INFARCT_COLOUR = "#D55E00"
WHOLE_HEAD_ML = 2600.0  # a mask beyond this is no brain and could uncover the face


def image_window(array: np.ndarray, brain: np.ndarray) -> tuple[float, float]:
    """Return a display window for an image without units, from its values in the brain.

    From the 1st percentile to the 99.7th, and wide enough that the median is a middle grey:
    without lesions there would be nothing to tell tissue from bright.
    """
    values = np.asarray(array)[np.asarray(brain) > 0]
    if not values.size:
        return 0.0, 1.0
    low, middle, high = np.percentile(values, [1.0, 50.0, 99.7])
    return float(low), float(max(high, low + 1.8 * (middle - low), low + 1e-6))


def mosaic(
    array: np.ndarray,
    affine: np.ndarray,
    *,
    brain: np.ndarray,
    lesions: np.ndarray,
    infarcts: np.ndarray | None = None,
    window: tuple[float, float] = CT_WINDOW,
    count: int = 12,
) -> bytes:
    """Show axial slices twice, plain and with the outlines of brain, lesions and infarcts.

    Parameters
    ----------
    array
        Image, shape (x, y, z): CT in HU, or FLAIR.
    affine
        4×4, voxel indices → RAS mm.
    brain, lesions, infarcts
        Masks on the same grid; infarcts are None where a model does not tell them apart.
    window
        Values shown black and white.
    count
        Number of slices.

    Returns
    -------
    bytes
        A PNG; a notice in place of slices when the brain mask is empty or so large that it may
        take in the face.
    """
    if reason := withheld(brain, affine):
        return _notice(reason)
    view = plan_view(brain, affine, count=count)
    grey = backdrop(array, view, window)
    columns = 6 if len(view.indices) > 2 else 2 * len(view.indices)
    pairs = np.repeat(grey, 2, axis=0)
    # Outlines on every second panel only.
    drawn = [
        ("lesions", lesions, LESION_COLOUR, "solid"),
        ("brain mask", brain, BRAIN_COLOUR, "dashed"),
    ]
    if infarcts is not None:
        drawn.insert(1, ("infarcts", infarcts, INFARCT_COLOUR, "dashdot"))
    canvas = Canvas(pairs, columns)
    for _, mask, colour, style in reversed(drawn):
        canvas.outline(_every_second(cut(np.asarray(mask) > 0, view)), colour, style)
    canvas.label_slices(np.repeat(view.heights_mm, 2))
    canvas.legend([(name, colour, style) for name, _, colour, style in drawn])
    return canvas.png()


def maps(
    array: np.ndarray,
    affine: np.ndarray,
    *,
    brain: np.ndarray,
    probability: np.ndarray,
    disagreement: np.ndarray,
    window: tuple[float, float] = CT_WINDOW,
    count: int = 9,
) -> bytes:
    """Show, slice by slice, the lesion probability beside the disagreement of the ensemble.

    Parameters
    ----------
    array, affine, brain, window, count
        As in `mosaic`.
    probability, disagreement
        Maps on the same grid: mean (0–1) and standard deviation over the ensemble's members.

    Returns
    -------
    bytes
        A PNG.
    """
    if reason := withheld(brain, affine):
        return _notice(reason)
    view = plan_view(brain, affine, count=count)
    grey = 0.65 * backdrop(array, view, window)
    shades = np.empty((2 * len(grey), *view.shape, 4), dtype=np.float32)
    for offset, values, top in ((0, probability, 1.0), (1, disagreement, 0.5)):
        level = np.clip(cut(values, view) / top, 0.0, 1.0) * view.near_brain
        shades[offset::2] = colormaps["inferno"](level)
        shades[offset::2, ..., 3] = np.clip(level / 0.15, 0.0, 1.0)
    columns = 6 if len(view.indices) > 2 else 2 * len(view.indices)
    canvas = Canvas(np.repeat(grey, 2, axis=0), columns)
    canvas.shade(shades)
    canvas.label_slices(np.repeat(view.heights_mm, 2))
    canvas.colour_scale("left of each pair: probability 0–1; right: disagreement (SD) 0–0.5")
    return canvas.png()


def registration(
    ct: np.ndarray,
    flair: np.ndarray,
    affine: np.ndarray,
    *,
    brain: np.ndarray,
    count: int = 6,
) -> bytes:
    """Show how CT and FLAIR line up: FLAIR, CT, a checkerboard of both, FLAIR edges on CT.

    Parameters
    ----------
    ct, flair
        CT in HU resampled onto the FLAIR, and the FLAIR, shape (x, y, z).
    affine
        4×4 of the FLAIR, voxel indices → RAS mm.
    brain
        FLAIR brain mask; outlined on the CT too.
    count
        As in `mosaic`.

    Returns
    -------
    bytes
        A PNG with one row each for FLAIR, CT, checkerboard and edges.
    """
    if reason := withheld(brain, affine):
        return _notice(reason)
    view = plan_view(brain, affine, count=count)
    of_flair = backdrop(flair, view, image_window(flair, brain))
    of_ct = backdrop(ct, view, CT_WINDOW)
    mixed = np.where(_checkers(view, 20.0), of_ct, of_flair)
    edges = np.stack([canny(plane, sigma=1.65 / view.pixel_mm) for plane in of_flair])
    edges &= view.near_brain
    panels = np.concatenate([of_flair, of_ct, mixed, of_ct])
    nothing = np.zeros_like(of_flair)
    canvas = Canvas(panels, len(view.indices))
    outline = cut(np.asarray(brain) > 0, view)
    canvas.outline(np.concatenate([nothing, outline, nothing, nothing]), BRAIN_COLOUR, "dashed")
    canvas.shade(_painted(np.concatenate([nothing, nothing, nothing, edges]), LESION_COLOUR))
    canvas.label_slices(np.tile(view.heights_mm, 4))
    canvas.label_rows(("FLAIR", "CT", "CT / FLAIR", "CT + edges"))
    canvas.legend(
        [
            ("FLAIR brain mask", BRAIN_COLOUR, "dashed"),
            ("FLAIR edges", LESION_COLOUR, "solid"),
        ]
    )
    return canvas.png()


def outlines(
    array: np.ndarray,
    affine: np.ndarray,
    *,
    brain: np.ndarray,
    masks: Sequence[tuple[str, np.ndarray]],
    window: tuple[float, float] = CT_WINDOW,
    count: int = 12,
) -> bytes:
    """Show axial slices with the outlines of up to three masks.

    Parameters
    ----------
    array, affine, window, count
        As in `mosaic`.
    brain
        Mask that chooses the slices and bounds what is shown.
    masks
        Names for the legend and masks on the same grid; the first is drawn solid, the second
        dashed, the third dotted.

    Returns
    -------
    bytes
        A PNG.
    """
    if reason := withheld(brain, affine):
        return _notice(reason)
    view = plan_view(brain, affine, count=count)
    canvas = Canvas(backdrop(array, view, window), min(4, len(view.indices)))
    styles = ((BRAIN_COLOUR, "solid"), (LESION_COLOUR, "dashed"), (THIRD_COLOUR, "dotted"))
    drawn = list(zip(masks, styles, strict=False))
    for (_, mask), (colour, style) in drawn:
        canvas.outline(cut(np.asarray(mask) > 0, view), colour, style)
    canvas.label_slices(view.heights_mm)
    canvas.legend([(name, colour, style) for (name, _), (colour, style) in drawn])
    return canvas.png()


def flicker_frames(
    ct: np.ndarray,
    flair: np.ndarray,
    affine: np.ndarray,
    *,
    brain: np.ndarray,
    count: int = 6,
) -> tuple[bytes, bytes]:
    """Return two PNGs of the same slices, FLAIR and CT, to be shown in turn.

    Parameters are those of `registration`.
    """
    if reason := withheld(brain, affine):
        return _notice(reason), _notice(reason)
    view = plan_view(brain, affine, count=count)
    frames = []
    for name, array, window in (
        ("FLAIR", flair, image_window(flair, brain)),
        ("CT on FLAIR", ct, CT_WINDOW),
    ):
        canvas = Canvas(backdrop(array, view, window), min(3, len(view.indices)))
        canvas.label_slices(view.heights_mm)
        canvas.write(name)
        frames.append(canvas.png())
    return frames[0], frames[1]


def _every_second(panels: np.ndarray) -> np.ndarray:
    doubled = np.repeat(panels, 2, axis=0)
    doubled[::2] = 0.0
    return doubled


def _checkers(view: View, square_mm: float) -> np.ndarray:
    """Return bool (x, y): squares of the checkerboard."""
    i, j = np.ogrid[: view.shape[0], : view.shape[1]]
    side = square_mm / view.pixel_mm
    return ((i // side).astype(int) + (j // side).astype(int)) % 2 == 0


def _painted(panels: np.ndarray, colour: str) -> np.ndarray:
    """Return RGBA panels (n, x, y, 4) of one colour where panels are above 0."""
    rgb = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    shades = np.zeros((*panels.shape, 4), dtype=np.float32)
    shades[panels > 0] = [*rgb, 1.0]
    return shades


def withheld(brain: np.ndarray, affine: np.ndarray) -> str:
    """Return why no slice may be shown, or an empty string."""
    volume = np.count_nonzero(brain) * abs(np.linalg.det(np.asarray(affine)[:3, :3])) / 1000.0
    if volume == 0:
        return "The brain mask is empty: no slice is shown."
    if volume > WHOLE_HEAD_ML:
        return f"The brain mask holds {volume:.0f} mL, no brain does: no slice is shown."
    return ""


def _notice(text: str) -> bytes:
    figure = Figure(figsize=(7.0, 0.8), dpi=SCREEN_DPI, facecolor="black")
    figure.text(0.5, 0.5, text, color="white", ha="center", va="center", fontsize=11)
    return encode(figure)
