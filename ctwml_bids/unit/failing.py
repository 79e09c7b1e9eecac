"""From a unit that failed to its page: its images are looked at as far as they can be read."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform

from ctwml_bids.bids import names
from ctwml_bids.bids.units import Unit
from ctwml_bids.image_files import load_nifti
from ctwml_bids.reports.failed import SLICES, FailedReport, as_read, render_failed
from ctwml_bids.reports.subject import Figure

# An image with more bytes of values is described, not shown: a run must not lose its memory to it.
MOST_BYTES = 512 * 1024**2
PIXEL_STEP_MM = 1.5


@dataclass(frozen=True)
class Failed:
    """How a unit failed: step, message, class of the error, exit code, and when (ISO)."""

    step: str
    reason: str
    error: str
    exit_code: int
    when: str


def report_failed(
    unit: Unit,
    failed: Failed,
    *,
    bids_dir: Path,
    output_dir: Path,
    version: str,
    has_results: bool = False,
) -> str:
    """Make the page of a unit that failed.

    Parameters
    ----------
    unit
        The unit.
    failed
        How it failed.
    bids_dir, output_dir
        Where its images are, and where the page is going to be.
    version
        Of ctwml_bids.
    has_results
        Whether results of an earlier run are still there.

    Returns
    -------
    str
        Self-contained HTML.
    """
    looked = {name: look_at(name, path, bids_dir) for name, path in unit.images.items()}
    logs = output_dir / names.logs(unit.subject, unit.session)
    crashes = {path.name: path for path in sorted(logs.glob("crash-*.txt"))}
    files = {what: path.relative_to(output_dir).as_posix() for what, path in crashes.items()}
    return render_failed(
        FailedReport(
            unit=unit.label,
            version=version,
            created=failed.when,
            step=failed.step,
            reason=failed.reason,
            error=failed.error,
            exit_code=failed.exit_code,
            images=tuple(described for described, _ in looked.values()),
            figures=tuple(figure for _, figure in looked.values() if figure is not None),
            notes=unit.notes,
            files={"Crash files": files} if files else None,
            has_results=has_results,
        )
    )


def look_at(name: str, path: Path, bids_dir: Path) -> tuple[Mapping[str, str], Figure | None]:
    """Describe an image and show it, as far as it can be read.

    Parameters
    ----------
    name
        ``ct`` or ``flair``.
    path
        The image.
    bids_dir
        The data set's folder.

    Returns
    -------
    described : mapping
        As the report of a unit has it; with what could not be read, and why.
    figure : Figure or None
        None where there is nothing to show.
    """
    unknown = dict.fromkeys(("Voxels", "Voxel size (mm)", "Orientation", "Size (MB)"), "–")
    about = {"Image": name.upper(), "File": os.path.relpath(path, bids_dir)} | unknown
    # It is looked at because something is wrong with it: whatever that raises is told.
    try:
        about["Size (MB)"] = f"{path.stat().st_size / 1e6:.1f}"
        image = load_nifti(path)
        about["Voxels"] = " × ".join(map(str, image.shape))
        spacing = nib.affines.voxel_sizes(image.affine)
        about["Voxel size (mm)"] = " × ".join(f"{edge:.2f}" for edge in spacing)
        about["Orientation"] = "".join(code or "?" for code in nib.aff2axcodes(image.affine))
    except Exception as error:
        return about | {"Could be read": f"no: {_said(error, bids_dir)}"}, None
    size = math.prod(image.shape) * image.get_data_dtype().itemsize
    if len(image.shape) != 3 or not 0 < size <= MOST_BYTES:
        return about | {"Could be read": "the header; not shown"}, None
    try:
        return about | {"Could be read": "yes"}, _shown(name, image)
    except Exception as error:
        return about | {"Could be read": f"the header alone: {_said(error, bids_dir)}"}, None


def _shown(name: str, image: nib.Nifti1Image) -> Figure:
    """Show every so many voxels of an image."""
    spacing = nib.affines.voxel_sizes(image.affine)
    turn = ornt_transform(io_orientation(image.affine), axcodes2ornt("RAS"))
    steps = [max(1, round(PIXEL_STEP_MM / edge)) if edge > 0 else 1 for edge in spacing]
    through = int(np.flatnonzero(turn[:, 0] == 2)[0])
    steps[through] = max(1, image.shape[through] // SLICES)
    cut = np.asanyarray(image.dataobj[tuple(slice(None, None, step) for step in steps)])
    edges = np.empty(3)
    edges[turn[:, 0].astype(int)] = spacing * steps
    x, y, z = map(float, edges)
    return as_read(name.upper(), apply_orientation(cut, turn), (x, y, z))


def _said(error: Exception, bids_dir: Path) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.replace(f"{bids_dir}/", "")
