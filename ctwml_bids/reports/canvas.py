"""A picture of panels side by side, drawn on and written as PNG without any global state."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from PIL import Image

from ctwml_bids.reports.html import decimal

MAX_BYTES = 1_500_000
STRIP_PX = 34  # below the panels, for the legend
SCREEN_DPI = 100
GAP_PX = 4


class Canvas:
    """Panels laid side by side in one picture; everything drawn on it is laid out alike."""

    def __init__(self, panels: np.ndarray, columns: int) -> None:
        self.columns = columns
        self.panel = (panels.shape[2] + GAP_PX, panels.shape[1] + GAP_PX)  # rows, columns
        picture = self._tile(panels)
        self.height, self.width = picture.shape
        size = (self.width / SCREEN_DPI, (self.height + STRIP_PX) / SCREEN_DPI)
        self.figure = Figure(figsize=size, dpi=SCREEN_DPI, facecolor="black")
        share = STRIP_PX / (self.height + STRIP_PX)
        self.axes = self.figure.add_axes((0.0, share, 1.0, 1.0 - share))
        self.axes.set_axis_off()
        self.axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        self.strip = self.figure.add_axes((0.0, 0.0, 1.0, share))
        self.strip.set_axis_off()

    def _tile(self, panels: np.ndarray) -> np.ndarray:
        """Lay panels (n, x, y, ...) out in rows, anterior at the top, right on the left."""
        rows = -(-len(panels) // self.columns)
        picture = np.zeros(
            (rows * self.panel[0], self.columns * self.panel[1], *panels.shape[3:]), np.float32
        )
        for at, panel in enumerate(panels):
            upright = np.swapaxes(panel, 0, 1)[::-1, ::-1]
            top, left = self._corner(at)
            picture[top : top + upright.shape[0], left : left + upright.shape[1]] = upright
        return picture

    def _corner(self, at: int) -> tuple[int, int]:
        return (at // self.columns) * self.panel[0], (at % self.columns) * self.panel[1]

    def outline(self, panels: np.ndarray, colour: str, style: str) -> None:
        """Draw the 0.5 contour of panels (n, x, y), rimmed in black to show on bright tissue."""
        picture = self._tile(panels)
        if picture.max() > 0.5:
            lines = self.axes.contour(
                picture, [0.5], colors=[colour], linestyles=[style], linewidths=1.1
            )
            lines.set_path_effects([withStroke(linewidth=2.3, foreground="black")])

    def shade(self, panels: np.ndarray) -> None:
        """Lay RGBA panels (n, x, y, 4) over the picture."""
        self.axes.imshow(self._tile(panels), interpolation="nearest")

    def label_slices(self, heights_mm: Iterable[float]) -> None:
        """Write z and the patient's sides on each panel."""
        write = partial(self.axes.text, color="white", fontsize=7.5, va="top")
        for at, height in enumerate(heights_mm):
            top, left = self._corner(at)
            right = left + self.panel[1] - GAP_PX
            write(left + 3, top + 3, "R", ha="left")
            write(right - 3, top + 3, "L", ha="right")
            below = top + self.panel[0] - GAP_PX - 3
            write(left + 3, below, f"z {decimal(height, 0, sign=True)}", va="bottom")

    def label_rows(self, labels: Sequence[str]) -> None:
        """Write what a row shows at the top of its first panel."""
        for row, label in enumerate(labels):
            place = ((self.panel[1] - GAP_PX) / 2, row * self.panel[0] + 3)
            self.axes.text(*place, label, color="white", fontsize=8, ha="center", va="top")

    def legend(self, entries: Sequence[tuple[str, str, str]]) -> None:
        """Explain lines (text, colour, line style) below the picture."""
        lines = [Line2D([], [], color=colour, ls=style, lw=1.8) for _, colour, style in entries]
        self.strip.legend(
            lines,
            [text for text, _, _ in entries],
            loc="center",
            ncols=len(entries),
            frameon=False,
            labelcolor="white",
            fontsize=9,
        )

    def write(self, text: str) -> None:
        """Write a line below the picture."""
        place = self.strip.transAxes
        self.strip.text(
            0.5, 0.5, text, color="white", fontsize=10, ha="center", va="center", transform=place
        )

    def colour_scale(self, text: str) -> None:
        """Draw the colour scale with its explanation below the picture."""
        bar = self.strip.inset_axes((0.04, 0.36, 0.18, 0.32))
        bar.imshow(np.linspace(0, 1, 128)[None], cmap="inferno", aspect="auto")
        bar.set_axis_off()
        for place, word, side in ((0.03, "low", "right"), (0.23, "high", "left")):
            self.strip.text(place, 0.5, word, color="white", fontsize=8, ha=side, va="center")
        self.strip.text(0.3, 0.5, text, color="white", fontsize=9, ha="left", va="center")

    def png(self) -> bytes:
        """Return the picture as PNG."""
        return encode(self.figure)


def encode(figure: Figure) -> bytes:
    """Render a figure as PNG of at most `MAX_BYTES`, with fewer colours where it takes that."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    encoded = _save(picture)
    for colours in (256, 64, 32):
        if len(encoded) <= MAX_BYTES:
            break
        encoded = _save(picture.quantize(colours, Image.Quantize.FASTOCTREE))
    while len(encoded) > MAX_BYTES:
        picture = picture.resize((picture.width * 3 // 4, picture.height * 3 // 4))
        encoded = _save(picture)
    return encoded


def _save(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()
