"""Find what a CT shows but no scanner measured: padding outside the scan, a face that was removed.

Such a region holds one exact value. Measured tissue never does: its noise is several HU, so that
hardly a voxel equals all of its neighbours. One value also fills what a program clipped (air at
the lowest value, bone at the highest of a display window), and that stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

# Values closer than this to a whole number of HU are one value: what an interpolation makes of a
# constant. Scanners store whole HU.
SAME_HU = 0.5
# Up to here one value is air, or the padding that reads as air (-1000, -1024, -2000, -3024).
AIR_HU = -900.0
# A region of one value this large (mL), each voxel equal to its neighbours, is no chance.
LEAST_ML = 1.0
# A removed face or padding lies open: so much of its surface is the image's border or air (below
# half-way between air and tissue). Ventricles that a window clipped lie within tissue.
OPEN_SHARE, OPEN_HU = 0.02, -500.0
# Display windows end up to here; above, only metal and the densest bone reach an image's maximum.
WINDOW_TOP_HU = 400.0
# Beside clipped bone lies bone that is nearly as dense; beside a region that was overwritten lies
# anything. A typical step at its surface of over half of its own height above soft tissue tells.
SOFT_HU, STEP_SHARE = 40.0, 0.5
# A side of the image: padding as bright as a window's upper end fills more than two corners.
SIDE_CORNERS = 4
# Soft tissue (HU) that shows fewer values than this is stored in coarse steps, with little noise
# left: then muscle and skin hold one value, too, and only what fills a corner is padding.
TISSUE_HU, LEAST_VALUES = (0.0, 80.0), 40
_SAMPLE = 500_000

_ALL_ROUND = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True)
class Blank:
    """A region of one value that was not measured.

    Attributes
    ----------
    value
        The value in HU.
    ml
        The volume in mL.
    """

    value: float
    ml: float


def blank_regions(data: np.ndarray, voxel_ml: float) -> tuple[np.ndarray, tuple[Blank, ...]]:
    """Find padding and removed regions of one value that does not already read as air.

    Parameters
    ----------
    data
        CT in HU, shape (x, y, z), any axes.
    voxel_ml
        Volume of a voxel in mL.

    Returns
    -------
    blank : numpy.ndarray
        bool, same shape: these regions, and the rim that an interpolation left between them and
        air.
    found : tuple of Blank
        One entry a value, the largest first; empty where the image has none.
    """
    blank = np.zeros(data.shape, dtype=bool)
    flat = _flat(data)
    values, counts = np.unique(np.round(data[flat]), return_counts=True)
    values = values[counts * voxel_ml >= LEAST_ML]
    low, high = float(data.min()), float(data.max())
    values = [float(value) for value in values if value > low + SAME_HU]
    found = []
    coarse = bool(values) and _in_coarse_steps(data)
    for value in values:
        clipped = value > high - SAME_HU
        corners_needed = SIDE_CORNERS if clipped and value <= WINDOW_TOP_HU else 1
        voxels = 0
        for box, part in _large_parts(data, flat, value, LEAST_ML / voxel_ml):
            at_corner = _corners(part, box, data.shape) >= corners_needed
            if at_corner or (not coarse and _lies_open(data, part, box, value, clipped=clipped)):
                blank[box] |= part
                voxels += int(part.sum())
        if voxels:
            found.append(Blank(value, round(float(voxels * voxel_ml), 1)))
    if found:
        _take_edge(data, blank, max(entry.value for entry in found))
    return blank, tuple(sorted(found, key=lambda entry: -entry.ml))


def unmeasured_outside(data: np.ndarray) -> np.ndarray:
    """Voxels without a number (NaN) outside of the scan.

    Parameters
    ----------
    data
        Shape (x, y, z).

    Returns
    -------
    numpy.ndarray
        bool, same shape: the regions of NaN that hold a corner of the image.
    """
    labels, _ = ndimage.label(np.isnan(data), _ALL_ROUND)
    ends = np.unique(labels[np.ix_((0, -1), (0, -1), (0, -1))])
    return np.isin(labels, ends[ends > 0])


def _flat(data: np.ndarray) -> np.ndarray:
    """Voxels above air that equal all of their neighbours in x, y and z."""
    flat = data > AIR_HU
    for axis in range(3):
        step = np.diff(data, axis=axis)
        same = np.abs(step, out=step) <= SAME_HU
        first, last = [slice(None)] * 3, [slice(None)] * 3
        first[axis], last[axis] = slice(None, -1), slice(1, None)
        flat[tuple(first)] &= same
        flat[tuple(last)] &= same
    return flat


def _in_coarse_steps(data: np.ndarray) -> bool:
    """Whether soft tissue shows few values."""
    sample = data.ravel()[:: max(1, data.size // _SAMPLE)]
    soft = sample[(sample > TISSUE_HU[0]) & (sample < TISSUE_HU[1])]
    return np.unique(np.round(soft)).size < LEAST_VALUES


def _large_parts(
    data: np.ndarray, flat: np.ndarray, value: float, least: float
) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
    """Yield the boxes of connected regions of one value with ``least`` flat voxels, and each."""
    labels, count = ndimage.label(np.abs(data - value) <= SAME_HU)
    sizes = np.bincount(labels[flat], minlength=count + 1)
    boxes = ndimage.find_objects(labels)
    for label in np.flatnonzero(sizes >= least):
        if label > 0:
            yield boxes[label - 1], labels[boxes[label - 1]] == label


def _corners(part: np.ndarray, box: tuple[slice, ...], shape: tuple[int, ...]) -> int:
    """Count the image's corners that a region holds."""
    ends = [
        [end for end, at in ((0, side.start == 0), (-1, side.stop == length)) if at]
        for side, length in zip(box, shape, strict=True)
    ]
    return int(np.count_nonzero(part[np.ix_(*ends)])) if all(ends) else 0


def _lies_open(
    data: np.ndarray, part: np.ndarray, box: tuple[slice, ...], value: float, *, clipped: bool
) -> bool:
    """Whether a region away from the image's corners is bounded as overwritten regions are.

    ``clipped`` says that no voxel of the image is brighter.
    """
    if clipped and value <= WINDOW_TOP_HU:
        return False
    # A margin of one voxel, also beyond the image, where it counts as open.
    padded = np.pad(part, 1)
    around = ndimage.binary_dilation(padded) & ~padded
    inner = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in box)
    beyond = [
        (1 if s.start == 0 else 0, 1 if s.stop == n else 0)
        for s, n in zip(box, data.shape, strict=True)
    ]
    beside = np.pad(data[inner], beyond, constant_values=AIR_HU)[around]
    if np.mean(beside < OPEN_HU) < OPEN_SHARE:
        return False
    step = float(np.median(np.abs(value - beside)))
    return not clipped or step > STEP_SHARE * (value - SOFT_HU)


def _take_edge(data: np.ndarray, blank: np.ndarray, brightest: float) -> None:
    """Add to regions, in place, the values that an interpolation left between them and air."""
    near_air = ndimage.binary_dilation(data <= AIR_HU, _ALL_ROUND)
    near_air &= data < brightest
    blank |= near_air & ndimage.binary_dilation(blank, _ALL_ROUND)
