"""The page of a unit that failed: what was found, in which file, what to do, and its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ctwml_bids.errors import BadDataError, CannotCreateError, InputOutputError, TemporaryError
from ctwml_bids.reports.canvas import Canvas
from ctwml_bids.reports.html import render
from ctwml_bids.reports.subject import Figure

# What follows after the message's own advice, by exit code.
_REMEDIES = {
    BadDataError.exit_code: "Correct or replace the file that is named, or leave it out by a "
    "filter file, and run the participant level again: units that are done are not run again.",
    CannotCreateError.exit_code: "See to it that the output folder can be written, and run the "
    "participant level again.",
    InputOutputError.exit_code: "Make room on the disk, or see to the network disk, and run the "
    "participant level again: what is done is kept.",
    TemporaryError.exit_code: "Run the participant level again; where memory ran out, with more "
    "memory or fewer processes at a time.",
}
_UNFORESEEN = (
    "Run the participant level again. Where it fails in the same way, please report it, with the "
    "crash file below: look first whether it names anyone."
)
# Coarse enough that a few slices show that an image is there and how it lies, and no more.
PIXEL_MM = 3.0
SCALE = 2
SLICES = 8


@dataclass(frozen=True)
class FailedReport:
    """What the page of a unit that failed says.

    Attributes
    ----------
    unit, version, created
        As in `SubjectReport`.
    step
        Step that failed.
    reason, error, exit_code
        Message for the user, class of the error, and its exit code.
    images
        One dictionary for each image, as far as it could be read.
    figures
        Pictures of those whose voxels could be read.
    notes
        What was said of the unit before it ran.
    files
        As in `SubjectReport`.
    has_results
        Whether results of an earlier run are still there.
    """

    unit: str
    version: str
    created: str
    step: str
    reason: str
    error: str
    exit_code: int
    images: tuple[Mapping[str, object], ...] = ()
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    files: Mapping[str, Mapping[str, str]] | None = None
    has_results: bool = False


def render_failed(report: FailedReport) -> str:
    """Return the page as self-contained HTML; all text is escaped."""
    remedy = _REMEDIES.get(report.exit_code, _UNFORESEEN)
    return render("failed.html.j2", report=report, remedy=remedy)


def as_read(image: str, array: np.ndarray, spacing: tuple[float, float, float]) -> Figure:
    """Show axial slices of an image of which nothing is known but that it could be read.

    Parameters
    ----------
    image
        ``CT`` or ``FLAIR``.
    array
        Shape (x, y, z), closest to RAS.
    spacing
        Voxel edges in mm.
    """
    volume = np.nan_to_num(np.asarray(array, dtype=np.float32), posinf=0.0, neginf=0.0)
    planes = np.linspace(0, volume.shape[2] - 1, min(SLICES, volume.shape[2])).round().astype(int)
    # An axis that a wrong header makes too long or short is shown as many pixels, not as it says.
    factors = [
        min(max(size * edge / PIXEL_MM, 16.0), 100.0) / size
        for size, edge in zip(volume.shape[:2], spacing[:2], strict=True)
    ]
    panels = np.stack([ndimage.zoom(volume[:, :, k], factors, order=1) for k in planes])
    low, high = (-100.0, 300.0) if image == "CT" and panels.min() < -500 else _range(panels)
    grey = np.clip((panels - low) / max(high - low, 1e-6), 0.0, 1.0)
    grey = grey.repeat(SCALE, axis=1).repeat(SCALE, axis=2).astype(np.float32)
    canvas = Canvas(grey, min(4, len(planes)))
    canvas.write(f"{image} as its file has it")
    return Figure(
        f"{image} as it was read",
        f"Slices of the {image} from its lowest to its highest by its header, in pixels of "
        f"{PIXEL_MM:g} mm. Nothing is left out, so the outside of the head can be "
        "seen: look before you pass this page on. Radiological convention: the patient's right is "
        "on the left of the picture.",
        f"Coarse axial slices of the {image}",
        canvas.png(),
    )


def _range(panels: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(panels, [2.0, 99.5])
    return float(low), float(high)
