"""Notice a CT whose HU come in coarse steps.

Scanners store steps of 1 HU. A converter that squeezes the range into 8 bits, or that divides and
rounds, leaves steps of 8, 10 or 16 HU: as much as separates a lesion from white matter.
"""

from __future__ import annotations

import numpy as np

# Where brain, fluid and fat lie, in HU.
RANGE_HU = (-50.0, 100.0)
# The commonest values that together hold this share of the voxels show the step; the others may be
# a few that were interpolated or overlaid.
COMMON_SHARE = 0.9
# Fewer values than this between the bounds of the commonest ones show no regular step.
LEAST_VALUES = 4
# Distances that rounding to whole HU leaves of one step, at most this share of it, are that step;
# a rare value makes one of two steps or more. So many of them are regular, or there is no step.
ROUNDING_HU, ROUNDING_SHARE = 1.01, 0.25
REGULAR_SHARE = 0.75
_SAMPLES = 2_000_000


def hu_step(data: np.ndarray) -> float | None:
    """Return the step in HU between the values that a CT takes.

    Parameters
    ----------
    data
        CT in HU as it is stored, before any interpolation, shape (x, y, z).

    Returns
    -------
    float or None
        Mean distance of neighbouring values between −50 and 100 HU; None where too few values
        are there or their distances are irregular, as those of continuous values are.
    """
    inside = data[(data >= RANGE_HU[0]) & (data <= RANGE_HU[1])]
    sample = inside[:: max(1, inside.size // _SAMPLES)]
    values, counts = np.unique(sample, return_counts=True)
    if len(values) < LEAST_VALUES:
        return None
    order = np.argsort(-counts, kind="stable")
    needed = int(np.searchsorted(np.cumsum(counts[order]), COMMON_SHARE * sample.size)) + 1
    gaps = np.diff(np.sort(values[order[: max(needed, LEAST_VALUES)]]))
    step = float(np.median(gaps))
    steps = np.round(gaps / step)
    regular = np.abs(gaps - steps * step) <= min(ROUNDING_HU, ROUNDING_SHARE * step)
    if (regular & (steps > 0)).mean() < REGULAR_SHARE:
        return None
    return round(float(gaps[regular & (steps == 1)].mean()), 3)
