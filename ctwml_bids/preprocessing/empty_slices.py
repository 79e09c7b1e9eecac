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

from ctwml_bids.preprocessing.grids import Grid

# Values of one slice that differ by less than this share of the image's range are one value.
FLAT = 1e-4
# Beside one value in the corners, where a scanner saw nothing, another fills this much of a slice.
FIELD_SHARE = 0.5
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
        Indices of the first and the last slice that is not empty.
    """

    axis: int
    count: int
    inner: tuple[int, ...]
    seen: tuple[int, int]

    @property
    def is_whole(self) -> bool:
        """Whether no slice is empty."""
        return not self.inner and self.seen == (0, self.count - 1)


def find_empty(data: np.ndarray, axis: int) -> EmptySlices:
    """Find the slices that hold one value, or one within a frame of another.

    Parameters
    ----------
    data
        Shape (x, y, z), not one value everywhere.
    axis
        Array axis of the slices.
    """
    flat = FLAT * (float(data.max()) - float(data.min()))
    full = np.array([not _is_flat(plane, flat) for plane in np.moveaxis(data, axis, 0)])
    found = np.flatnonzero(full)
    if not found.size:
        return EmptySlices(axis, len(full), (), (0, len(full) - 1))
    first, last = int(found[0]), int(found[-1])
    inner = tuple(int(k) for k in range(first, last + 1) if not full[k])
    return EmptySlices(axis, len(full), inner, (first, last))


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
    kept = [k for k in range(first, last + 1) if k not in set(empty.inner)]
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
    if not empty.inner:
        return []
    return [
        f"{len(empty.inner)} of {empty.count} slices are empty (number {runs(empty.inner)} of the "
        f"file's {_ORDINAL[empty.axis]} axis, counted from 0): nothing is measured there"
    ]


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
