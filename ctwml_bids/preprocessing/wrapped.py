"""Undo a wrong sign in an MR image: bright values that read as negative.

Where unsigned integers of n bits are read as signed ones, what is above 2ⁿ⁻¹ − 1 reads 2ⁿ too low:
the brightest tissue becomes the darkest. Tissue changes smoothly, so such an image has tears in
it, between neighbours that differ by more than half of 2ⁿ, and none once 2ⁿ is added. An image
whose negative values are true tears where they would be changed.
"""

from __future__ import annotations

import numpy as np

# Stored integers of so many bits; scanners also send 12.
BITS = (8, 12, 16)
# At least so many pairs of neighbours make a tear: one voxel has six neighbours.
LEAST_PAIRS = 6
# Share of the tears that may be left where adding 2ⁿ is right. Sharp edges leave some.
LEFT = 0.5
# Bright values reach the end of the range before they wrap round; single bad pixels do not.
REACHED = 0.5
# Padding of one value holds at least this share of the voxels of the border.
BACKGROUND_SHARE = 0.2
# Numbers that are so near to multiples of a step are scaled integers.
_STEP_TOLERANCE = 0.05
_SAMPLE = 200_000


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
    background = low_background(data)
    lowest, highest = zero - float(data.min()), float(data.max()) - zero
    if lowest <= 0 or highest <= 0:
        return None
    period = _period(lowest, highest, step)
    if period is None or highest < REACHED * period / 2:
        return None
    before = _tears(data, period / 2, background)
    if before < LEAST_PAIRS:
        return None
    mended = unwrapped(data, period, zero, background)
    after = _tears(mended, period / 2, background)
    if after > before:
        return None
    return period, step is not None and after <= LEFT * before


def unwrapped(
    data: np.ndarray, period: float, zero: float, background: float | None = None
) -> np.ndarray:
    """Add ``period`` to what is below ``zero``, but not to the one value of a background."""
    low = data < zero
    if background is not None:
        low &= data != background
    return np.where(low, data + np.float32(period), data)


def unit_of(data: np.ndarray) -> float | None:
    """Return the step of which all values are multiples, None where there is none.

    It is 1 for integers, whatever type they are saved as, and for integers that were scaled the
    smallest difference between values.
    """
    values = np.unique(data.ravel()[:: max(1, data.size // _SAMPLE)])
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


def _tears(data: np.ndarray, most: float, background: float | None) -> int:
    """Count neighbours that differ by more than ``most``, leaving a background's edge out."""
    count = 0
    for axis in range(3):
        torn = np.abs(np.diff(data, axis=axis)) > most
        if background is not None:
            inside = data != background
            torn &= np.take(inside, range(1, data.shape[axis]), axis)
            torn &= np.take(inside, range(data.shape[axis] - 1), axis)
        count += int(np.count_nonzero(torn))
    return count
