"""Slices that hold nothing: lost ones within the scan, and padding at its ends.

A converter or an archive that misses a slice leaves one value in its place. What it showed is not
known. For finding the brain, its frame and lesions such slices are filled in from their neighbours:
a hole would cut the brain in two, and networks have seen none. Then they are taken out of the brain
mask and of the lesions, so that nothing is measured there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctwml_bids.preprocessing.blocks import every_nth
from ctwml_bids.preprocessing.grids import Grid

# Values of one slice that differ by less than this share of the image's range are one value.
FLAT = 1e-4
# Beside one value in the corners, where a scanner saw nothing, another fills this much of a slice.
FIELD_SHARE = 0.5
# Head lies above the first share of the way from the darkest to the brightest values (their
# percentiles), air with its noise below the second. Below air at -1000 HU there is only padding.
HEAD_LEVEL, AIR_LEVEL, ENDS_PERCENT, AIR_HU = 0.3, 0.1, (1.0, 95.0), -1000.0
# A slice is lost where one value, or air, fills so much of what both neighbours show as
# head, and lost in part from the second share. No real slice at hand is.
LOST_SHARE, PARTLY_SHARE = 0.95, 0.25
# Neighbours tell nothing where fewer voxels of a slice are head in both, and a value that they hold
# there themselves (bone that a window clipped) is no loss.
LEAST_HEAD = 0.02
# Towards the end of an extracted brain its background fills the slices, as it fills the empty ones
# beyond; a slice that is cut off shows more than this share of the fullest one.
DWINDLED_SHARE = 0.4
# The neighbour above is the next slice that lacks less than the first share, else the second (as
# the head narrows), at most so many further on.
MOST_LOST, LIKE_SHARES = 12, (0.25, 0.4)
_SAMPLE, _PLANE = 1_000_000, 70_000
_ORDINAL = ("first", "second", "third")


@dataclass(frozen=True)
class EmptySlices:
    """Which slices of an image are empty.

    Attributes
    ----------
    axis
        Array axis of the slices.
    count
        Number of all slices.
    inner
        Indices of the empty slices that have others on both sides.
    seen
        Indices of the first and the last slice that is not padding. Empty slices that go on with
        the background of an extracted brain are none.
    partly
        Indices of slices between others of which a part is lost.
    """

    axis: int
    count: int
    inner: tuple[int, ...]
    seen: tuple[int, int]
    partly: tuple[int, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether no slice is empty."""
        return not self.inner and self.seen == (0, self.count - 1)


def find_empty(data: np.ndarray, axis: int) -> EmptySlices:
    """Find the slices that hold one value, or nothing of what their neighbours show.

    Parameters
    ----------
    data
        Shape (x, y, z), not one value everywhere.
    axis
        Array axis of the slices.
    """
    flat = FLAT * (float(data.max()) - float(data.min()))
    slices = np.moveaxis(data, axis, 0)
    full = np.array([not _is_flat(plane, flat) for plane in slices])
    found = np.flatnonzero(full)
    if not found.size:
        return EmptySlices(axis, len(full), (), (0, len(full) - 1))
    first, last = int(found[0]), int(found[-1])
    lost, partly = _lost(slices, [int(k) for k in found], flat)
    inner = tuple(k for k in range(first, last + 1) if not full[k] or k in lost)
    seen = _seen(slices, first, last, flat)
    return EmptySlices(axis, len(full), inner, seen, partly)


def _lost(
    slices: np.ndarray, candidates: list[int], flat: float
) -> tuple[frozenset[int], tuple[int, ...]]:
    """Find slices that show nothing, or in part nothing, where both of their neighbours show head.

    ``candidates`` are the slices that are not one value; the first and the last are none to lose.
    """
    step = max(1, int(np.sqrt(slices[0].size / _PLANE)))
    planes = slices[:, ::step, ::step]
    level, air = _levels(planes[candidates])
    lost: list[int] = []
    partly: list[int] = []
    for place, k in enumerate(candidates[1:-1], start=1):
        below = planes[next(j for j in reversed(candidates[:place]) if j not in {*lost, *partly})]
        head = below > level
        if np.count_nonzero(head) < LEAST_HEAD * head.size:
            continue
        # The next slice that shows most of it; none does where the head ends.
        others = planes[candidates[place + 1 : place + 1 + MOST_LOST]]
        lacks = [_blank_share(one, below, head, air, flat) for one in others[:1]]
        if lacks[0] >= PARTLY_SHARE:
            lacks += [_blank_share(one, below, head, air, flat) for one in others[1:]]
        like = [n for limit in LIKE_SHARES for n, x in enumerate(lacks) if x < limit]
        above = others[like[0]] if like else None
        if above is None:
            continue
        both = head & (above > level)
        if np.count_nonzero(both) < LEAST_HEAD * both.size:
            continue
        share = _blank_share(planes[k], below, both, air, flat)
        if share >= LOST_SHARE:
            lost.append(k)
        elif share >= PARTLY_SHARE:
            partly.append(k)
    return frozenset(lost), tuple(partly)


def _levels(planes: np.ndarray) -> tuple[float, float]:
    """Values above which there is head (on MR, tissue that is not dark), and up to which is air."""
    sample = every_nth(planes, max(1, planes.size // _SAMPLE))
    # Without bright padding.
    low, high = np.percentile(sample[sample < sample.max()], ENDS_PERCENT)
    low = max(float(low), AIR_HU)
    span = max(float(high) - low, 0.0)
    return low + HEAD_LEVEL * span, low + AIR_LEVEL * span


def _blank_share(
    plane: np.ndarray, below: np.ndarray, head: np.ndarray, air: float, flat: float
) -> float:
    """Share of the head seen below that shows air, or one value that it has not there."""
    values = plane[head]
    if not values.size:
        return 1.0
    found, counts = np.unique(values, return_counts=True)
    commonest = found[counts.argmax()]
    as_below = np.mean(np.abs(below[head] - commonest) <= flat)
    return max(float(np.mean(values <= air)), float(counts.max() / values.size - as_below))


def _seen(slices: np.ndarray, first: int, last: int, flat: float) -> tuple[int, int]:
    """Return the first and the last slice that is not padding."""
    ends = [first, last]
    for place, (end, beyond, image_end) in enumerate(
        ((first, first - 1, 0), (last, last + 1, len(slices) - 1))
    ):
        if end == image_end:
            continue
        background = np.median(slices[beyond])
        shown = [
            np.count_nonzero(np.abs(plane - background) > flat)
            for plane in slices[first : last + 1]
        ]
        if shown[end - first] <= DWINDLED_SHARE * max(shown):
            ends[place] = image_end
    return ends[0], ends[1]


def _is_flat(plane: np.ndarray, flat: float) -> bool:
    corner = plane[0, 0]
    if np.ptp(plane) <= flat:
        return True
    # Quick for nearly all slices: a line through the middle holds more values than two.
    if len(np.unique(plane[plane.shape[0] // 2])) > 2:
        return False
    rest = plane[np.abs(plane - corner) > flat]
    return bool(rest.size >= FIELD_SHARE * plane.size and np.ptp(rest) <= flat)


def filled(data: np.ndarray, empty: EmptySlices) -> np.ndarray:
    """Fill inner empty slices from their neighbours; those at the ends are background.

    Parameters
    ----------
    data
        Shape (x, y, z).
    empty
        As found in it.

    Returns
    -------
    numpy.ndarray
        A copy where an inner slice is empty, else ``data``; linear between the nearest slices seen.
    """
    if not empty.inner:
        return data
    result = data.copy()
    slices = np.moveaxis(result, empty.axis, 0)
    first, last = empty.seen
    kept = [k for k in range(first, last + 1) if k not in {*empty.inner, *empty.partly}]
    for k in empty.inner:
        below = max(other for other in kept if other < k)
        above = min(other for other in kept if other > k)
        share = (k - below) / (above - below)
        slices[k] = (1 - share) * slices[below] + share * slices[above]
    return result


def empty_facts(empty: EmptySlices, native: Grid, working: Grid) -> dict[str, Any] | None:
    """Describe empty slices, and where they lie on the working grid.

    Parameters
    ----------
    empty
        As found on the file's own grid.
    native, working
        The file's grid and the one that the steps work on; slices are the same on both.

    Returns
    -------
    dict or None
        ``slices``, their number; ``numbers`` of the inner empty ones, from 0 in the file;
        ``axis``, ``planes`` and ``seen`` (first and last) on the working grid. None where no
        slice is empty.
    """
    if empty.is_whole:
        return None
    # How a native slice number changes along each working axis: by whole slices along one.
    *steps, start = (np.linalg.inv(native.affine) @ working.affine)[empty.axis]
    axis = int(np.argmax(np.abs(steps)))
    middle = (np.asarray(working.shape) - 1) / 2.0
    middle[axis] = 0
    start += float(np.dot(steps, middle))

    def plane(k: int) -> int:
        return int(np.clip(round((k - start) / steps[axis]), 0, working.shape[axis] - 1))

    return {
        "slices": empty.count,
        "numbers": list(empty.inner),
        "axis": axis,
        "planes": sorted(plane(k) for k in empty.inner),
        "seen": sorted(plane(k) for k in empty.seen),
    }


def empty_warnings(empty: EmptySlices) -> list[str]:
    """Name the empty slices within a scan, in a sentence; empty where there is none."""
    texts = []
    for numbers, found in (
        (empty.inner, "empty ({where}): nothing is measured there"),
        (
            empty.partly,
            "empty in part ({where}): nothing is there where the slices beside show "
            "head, and what is missing reads as none",
        ),
    ):
        if numbers:
            where = (
                f"number {runs(numbers)} of the file's {_ORDINAL[empty.axis]} axis, counted from 0"
            )
            are = "is" if len(numbers) == 1 and numbers is empty.partly else "are"
            texts.append(
                f"{len(numbers)} of {empty.count} slices {are} {found.format(where=where)}"
            )
    return texts


def runs(numbers: tuple[int, ...] | list[int]) -> str:
    """Write ascending numbers with their runs joined: ``4, 7–9``."""
    groups: list[list[int]] = []
    for number in numbers:
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return ", ".join(
        f"{group[0]}–{group[-1]}" if len(group) > 1 else str(group[0]) for group in groups
    )


def only_seen(mask: np.ndarray, facts: Mapping[str, Any] | None) -> np.ndarray:
    """Take what lies in empty slices out of a mask on the working grid.

    Parameters
    ----------
    mask
        Shape (x, y, z).
    facts
        As from `empty_facts`.

    Returns
    -------
    numpy.ndarray
        ``mask`` itself where nothing is empty, else a copy.
    """
    if facts is None:
        return mask
    result = mask.copy()
    slices = np.moveaxis(result, facts["axis"], 0)
    first, last = facts["seen"]
    slices[:first], slices[last + 1 :] = 0, 0
    slices[facts["planes"]] = 0
    return result


def seen_part(mask: np.ndarray, facts: Mapping[str, Any] | None) -> np.ndarray:
    """Return the part of a mask between the first and the last slice that is not empty."""
    if facts is None:
        return mask
    first, last = facts["seen"]
    return np.take(mask, range(first, last + 1), axis=facts["axis"])
