"""Undo a wrong sign in an MR image: bright values that read as negative.

Where unsigned integers of n bits are read as signed ones, what is above 2ⁿ⁻¹ − 1 reads 2ⁿ too low:
the brightest tissue becomes the darkest. Tissue changes smoothly, so such an image has tears in
it, between neighbours that differ by more than half of 2ⁿ, and none once 2ⁿ is added. An image
whose negative values are true tears where they would be changed.

Values of either sign say nothing by themselves: a program that saves decimal numbers as scaled
integers lays the stored 0 half-way between the lowest value and the highest.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nibabel.arrayproxy import ArrayProxy

from ctwml_bids.errors import BadDataError
from ctwml_bids.image_files import load_nifti
from ctwml_bids.preprocessing.blocks import every_nth

# Stored integers of so many bits; scanners also send 12.
BITS = (8, 12, 16)
# Tissue fills the range up to its end before it wraps round, and goes on from the other end. So
# many voxels lie beyond half-way to either; bad pixels are fewer.
REACHED = 0.5
REACHED_VOXELS, REACHED_SHARE = 100, 2e-5
# Around tissue that wrapped round there are hundreds of torn pairs of neighbours, and most
# pairs of which one is to be changed are torn; a bad pixel makes six.
LEAST_PAIRS, TORN_SHARE = 300, 0.5
# The brightest tissue wrapped round: less than half of the voxels and, as air lies there, less than
# half of the border.
MINORITY = 0.5
# Share of the tears that may be left where adding 2ⁿ is right. Sharp edges leave some.
LEFT = 0.5
# Padding of one value holds at least this share of the voxels of the border.
BACKGROUND_SHARE = 0.2
# Numbers that are so near to multiples of a step are scaled integers.
_STEP_TOLERANCE = 0.05
_SAMPLE = 200_000


def with_right_sign(path: str | Path, data: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Put right what reads as negative of an MR image.

    Parameters
    ----------
    path
        The image's file, which says how its values are stored.
    data
        Its intensities, shape (x, y, z).

    Returns
    -------
    data : numpy.ndarray
        The intensities; the same array where they are as they should be.
    warnings : tuple of str
        Sentences for the user; empty where nothing was changed.

    Raises
    ------
    BadDataError
        The values were changed since they wrapped round, so that it cannot be undone.
    """
    stored = load_nifti(path)
    step, zero = unit_of(data), 0.0
    scaled = stored.dataobj
    if isinstance(scaled, ArrayProxy) and np.issubdtype(stored.get_data_dtype(), np.integer):
        step, zero = abs(float(scaled.slope)), float(scaled.inter)
    wrong = wrong_sign(data, step, zero)
    if wrong is None:
        return data, ()
    period, mends = wrong
    found = (
        f"{path}: its brightest values read as negative (down to {data.min():g}), as unsigned "
        "integers do that are taken for signed ones"
    )
    if not mends:
        raise BadDataError(
            f"{found}, and it was changed since, so that this cannot be undone. Convert the image "
            "again from its DICOM files."
        )
    mended = unwrapped(data, period, zero, low_background(data))
    return mended, (f"{found}; {period:g} was added to them. Convert the image again to be sure.",)


def wrong_sign(data: np.ndarray, step: float | None, zero: float) -> tuple[float, bool] | None:
    """Find how much bright values read too low.

    Parameters
    ----------
    data
        MR intensities, shape (x, y, z).
    step, zero
        Value of one stored unit, and of a stored 0; ``step`` None where it is not known.

    Returns
    -------
    float
        What is to be added to values below ``zero``.
    bool
        Whether that mends the image; otherwise something was done to it after it wrapped round.
    None
        Instead of both, where the image is as it should be.
    """
    least, most = float(data.min()), float(data.max())
    if least >= min(zero, 0.0) or most <= zero:
        return None
    period = _period(zero - least, most - zero, step)
    # MR intensities begin near 0, so that what wrapped round is negative, whatever was added.
    if period is None or least > -REACHED * period / 2:
        return None
    background = low_background(data)
    low = _below(data, zero, background)
    if not _fills_both_ends(data, low, zero, REACHED * period / 2):
        return None
    ends = [np.take(low, end, axis) for axis in range(3) for end in (0, -1)]
    border = sum(np.count_nonzero(end) for end in ends) / sum(end.size for end in ends)
    inside = data.size if background is None else np.count_nonzero(data != background)
    if border >= MINORITY or np.count_nonzero(low) >= MINORITY * inside:
        return None
    edge, before, after = _tears(data, low, period, background)
    if before < max(LEAST_PAIRS, TORN_SHARE * edge) or after > before:
        return None
    return period, step is not None and after <= LEFT * before


def unwrapped(
    data: np.ndarray, period: float, zero: float, background: float | None = None
) -> np.ndarray:
    """Add ``period`` to what is below ``zero``, but not to the one value of a background."""
    return np.where(_below(data, zero, background), data + np.float32(period), data)


def unit_of(data: np.ndarray) -> float | None:
    """Return the step of which all values are multiples, None where there is none.

    It is 1 for integers, whatever type they are saved as, and for integers that were scaled the
    smallest difference between values.
    """
    values = np.unique(every_nth(data, max(1, data.size // _SAMPLE)))
    if values.size < 2:
        return None
    if np.array_equal(values, np.round(values)):
        return 1.0
    step = float(np.diff(values.astype(float)).min())
    multiples = values / step
    whole = np.abs(multiples - np.round(multiples)).max() < _STEP_TOLERANCE
    return step if whole else None


def _period(lowest: float, highest: float, step: float | None) -> float | None:
    """2ⁿ of the fewest bits that hold the values, in their unit; without a unit, their range."""
    if step is None:
        return 2.0 * max(lowest, highest)
    for bits in BITS:
        half = 2 ** (bits - 1)
        if round(lowest / step) <= half and round(highest / step) < half:
            return 2 * half * step
    return None


def low_background(data: np.ndarray) -> float | None:
    """Return the lowest value where it fills the image's border, as padding below 0 does."""
    low = data.min()
    ends = [np.take(data, end, axis) for axis in range(3) for end in (0, -1)]
    held = sum(np.count_nonzero(end == low) for end in ends) / sum(end.size for end in ends)
    return float(low) if held > BACKGROUND_SHARE else None


def _below(data: np.ndarray, zero: float, background: float | None) -> np.ndarray:
    """Voxels below ``zero`` that are not the background."""
    low = data < zero
    if background is not None:
        low &= data != background
    return low


def _fills_both_ends(data: np.ndarray, low: np.ndarray, zero: float, reach: float) -> bool:
    """Whether more than bad pixels lie ``reach`` above ``zero``, and ``reach`` below it."""
    least = max(REACHED_VOXELS, REACHED_SHARE * data.size)
    above = np.count_nonzero(data >= zero + reach)
    return bool(above >= least and np.count_nonzero(low & (data <= zero - reach)) >= least)


def _tears(
    data: np.ndarray, low: np.ndarray, period: float, background: float | None
) -> tuple[int, int, int]:
    """Count neighbours of which one is in ``low``: all, those torn, those torn once mended.

    Torn are pairs that differ by more than half a period. Pairs with background are left out.
    """
    inside = np.ones(data.shape, bool) if background is None else data != background
    edge = before = after = 0
    for axis in range(3):
        first, last = [slice(None)] * 3, [slice(None)] * 3
        first[axis], last[axis] = slice(None, -1), slice(1, None)
        one, other = tuple(first), tuple(last)
        pairs = (low[one] != low[other]) & inside[one] & inside[other]
        fall = np.abs(data[one][pairs] - data[other][pairs])
        edge += fall.size
        before += int(np.count_nonzero(fall > period / 2))
        # The one in ``low`` is below the other, and rises by a period.
        after += int(np.count_nonzero(np.abs(period - fall) > period / 2))
    return edge, before, after
