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

from ctwml_bids.preprocessing.blocks import every_nth
from ctwml_bids.preprocessing.quantisation import hu_step

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
# Display windows end up to here: what reaches an image's maximum is bone.
WINDOW_TOP_HU = 400.0
# An upper limit, wherever it was set, cuts through the values of bone: within a tenth of its height
# above soft tissue below it lie at least 4% as many voxels as at it (sub-ge01, sub-dv01 at 300 to
# 2000 HU). Below a value that was written into an image lies next to nothing.
SOFT_HU, JUST_BELOW, CLIPPED_SHARE = 40.0, 0.1, 0.01
# A side of the image: padding as bright as clipped bone fills more than two corners.
SIDE_CORNERS = 4
# Soft tissue (HU) of such steps or more, or with fewer values than this, is stored in coarse steps,
# with little noise left: then muscle and skin hold one value, too, also where it was interpolated
# afterwards, and only what fills a corner is padding.
COARSE_HU, TISSUE_HU, LEAST_VALUES = 2.0, (0.0, 80.0), 40
_SAMPLE = 500_000
_PIECE = 500_000

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
    if not data.flags.c_contiguous and data.flags.f_contiguous:
        blank, found = blank_regions(data.T, voxel_ml)
        return blank.T, found
    blank = np.zeros(data.shape, dtype=bool)
    least = LEAST_ML / voxel_ml
    low, high = float(data.min()), float(data.max())
    voxels: dict[float, int] = {}
    coarse, clipped_at_top = None, None
    for box, core in _large_cores(data, least):
        for value in _values_in(data[box][core], least):
            if value <= low + SAME_HU:
                continue
            box_of_part, part = _region(data, box, core, value)
            clipped = False
            if value > high - SAME_HU:
                clipped_at_top = _clipped(data) if clipped_at_top is None else clipped_at_top
                clipped = clipped_at_top
            taken = _corners(part, box_of_part, data.shape) >= (SIDE_CORNERS if clipped else 1)
            if not (taken or clipped):
                coarse = _in_coarse_steps(data) if coarse is None else coarse
                taken = not coarse and _lies_open(data, part, box_of_part)
            if taken:
                # Two cores may lie in one region.
                fresh = part & ~blank[box_of_part]
                blank[box_of_part] |= part
                voxels[value] = voxels.get(value, 0) + int(np.count_nonzero(fresh))
    if voxels:
        _take_edge(data, blank, max(voxels))
    blanks = (Blank(value, round(float(n * voxel_ml), 1)) for value, n in sorted(voxels.items()))
    return blank, tuple(sorted(blanks, key=lambda entry: -entry.ml))


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
    # In pieces that stay in the processor's memory; a voxel's neighbour may lie in the next.
    rows = max(1, _PIECE * data.shape[0] // data.size)
    for start in range(0, data.shape[0], rows):
        piece = slice(start, start + rows + 1)
        for axis in range(3):
            first, last = _neighbours(axis)
            step = np.diff(data[piece], axis=axis)
            same = np.abs(step, out=step) <= SAME_HU
            flat[piece][first] &= same
            flat[piece][last] &= same
    return flat


def _neighbours(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """All voxels but the last along an axis, and all but the first: each one's next."""
    first, last = [slice(None)] * 3, [slice(None)] * 3
    first[axis], last[axis] = slice(None, -1), slice(1, None)
    return tuple(first), tuple(last)


def _widened(mask: np.ndarray, *, all_round: bool = False) -> np.ndarray:
    """Add the neighbours in x, y and z, or all 26; a dilation, but many times as quick."""
    wide = mask.copy()
    for axis in range(3):
        first, last = _neighbours(axis)
        source = wide.copy() if all_round else mask
        wide[first] |= source[last]
        wide[last] |= source[first]
    return wide


def _in_coarse_steps(data: np.ndarray) -> bool:
    """Whether soft tissue takes few values, or few of them are far more frequent than others."""
    step = hu_step(data)
    if step is not None and step >= COARSE_HU:
        return True
    sample = every_nth(data, max(1, data.size // _SAMPLE))
    soft = sample[(sample > TISSUE_HU[0]) & (sample < TISSUE_HU[1])]
    return np.unique(np.round(soft)).size < LEAST_VALUES


def _large_cores(data: np.ndarray, least: float) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
    """Yield the flat insides of regions that may be blank: the box of each, and its voxels.

    They hold ``least`` voxels and come near the image's border or air, as all do that lie open
    (between them and it is the region's own surface).
    """
    flat = _flat(data)
    if np.count_nonzero(flat) < least:
        return
    labels, count = ndimage.label(flat)
    sizes = np.bincount(labels[flat], minlength=count + 1)
    large = sizes >= least
    if not large.any():
        return
    near = _widened(_widened(data < OPEN_HU))
    for axis in range(3):
        for end in (slice(None, 2), slice(-2, None)):
            near[(slice(None),) * axis + (end,)] = True
    large &= np.bincount(labels[near & flat], minlength=count + 1) > 0
    boxes = ndimage.find_objects(labels)
    for label in np.flatnonzero(large):
        yield boxes[label - 1], labels[boxes[label - 1]] == label


def _values_in(core: np.ndarray, least: float) -> list[float]:
    """Return the whole values that ``least`` voxels of a core have; most cores have only one."""
    if core.min() == core.max():
        return [float(np.round(core[0]))]
    values, counts = np.unique(np.round(core), return_counts=True)
    return [float(value) for value in values[counts >= least]]


def _region(
    data: np.ndarray, box: tuple[slice, ...], core: np.ndarray, value: float
) -> tuple[tuple[slice, ...], np.ndarray]:
    """Return the whole region of one value around its flat inside, and the box that it lies in."""
    margin = 2
    while True:
        wide = tuple(
            slice(max(side.start - margin, 0), min(side.stop + margin, length))
            for side, length in zip(box, data.shape, strict=True)
        )
        labels, count = ndimage.label(np.abs(data[wide] - value) <= SAME_HU)
        within = tuple(
            slice(side.start - outer.start, side.stop - outer.start)
            for side, outer in zip(box, wide, strict=True)
        )
        kept = np.zeros(count + 1, dtype=bool)
        kept[labels[within][core]] = True
        kept[0] = False
        # One comparison is many times as quick as a look-up for each voxel.
        part = labels == kept.argmax() if kept.sum() == 1 else kept[labels]
        if not _reaches_further(part, wide, data.shape):
            return wide, part
        margin *= 4


def _reaches_further(part: np.ndarray, box: tuple[slice, ...], shape: tuple[int, ...]) -> bool:
    """Whether a region touches a side of its box that is none of the image's."""
    return any(
        (side.start > 0 and np.take(part, 0, axis).any())
        or (side.stop < shape[axis] and np.take(part, -1, axis).any())
        for axis, side in enumerate(box)
    )


def _corners(part: np.ndarray, box: tuple[slice, ...], shape: tuple[int, ...]) -> int:
    """Count the image's corners that a region holds."""
    ends = [
        [end for end, at in ((0, side.start == 0), (-1, side.stop == length)) if at]
        for side, length in zip(box, shape, strict=True)
    ]
    return int(np.count_nonzero(part[np.ix_(*ends)])) if all(ends) else 0


def _clipped(data: np.ndarray) -> bool:
    """Whether an image's maximum is where its bone was clipped."""
    high = float(data.max())
    if high <= WINDOW_TOP_HU:
        return True
    above = data >= high - JUST_BELOW * (high - SOFT_HU)
    at_it = np.count_nonzero(data > high - SAME_HU)
    return bool(np.count_nonzero(above) - at_it >= CLIPPED_SHARE * at_it)


def _lies_open(data: np.ndarray, part: np.ndarray, box: tuple[slice, ...]) -> bool:
    """Whether a region away from the image's corners borders on air or on the image's sides."""
    # A margin of one voxel, also beyond the image, where it counts as open.
    padded = np.pad(part, 1)
    around = _widened(padded) & ~padded
    inner = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in box)
    beyond = [
        (1 if s.start == 0 else 0, 1 if s.stop == n else 0)
        for s, n in zip(box, data.shape, strict=True)
    ]
    beside = np.pad(data[inner], beyond, constant_values=AIR_HU)[around]
    return bool(np.mean(beside < OPEN_HU) >= OPEN_SHARE)


def _take_edge(data: np.ndarray, blank: np.ndarray, brightest: float) -> None:
    """Add to regions, in place, the values that an interpolation left between them and air."""
    near_air = _widened(data <= AIR_HU, all_round=True)
    near_air &= data < brightest
    blank |= near_air & _widened(blank, all_round=True)
