"""Notice a CT whose HU come in coarse steps.

Scanners store steps of 1 HU. A converter that squeezes the range into 8 bits, or that divides and
rounds, leaves steps of 8, 10 or 16 HU: as much as separates a lesion from white matter. Where such
values were interpolated afterwards, or some slices were not squeezed, other values lie between the
steps, which then stand out of the histogram.
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
# A value stands out that so many times as many voxels hold as the median of the values this near to
# it (in units of 1 HU, or of the step that all values have), and that more than chance does, in SD
# of the count. Heavy smoothing leaves few values that stand out
# clearly; rounding of finer steps to whole HU makes twice as many, never so much.
STANDS_OUT, CLEARLY, BESIDE, CHANCE_SD = 1.3, 3.0, 4, 6.0
# Steps that can be seen so, in HU; finer ones do no harm. Of a step's values between the outermost
# that stand out this share stands out, three of them and two clearly; and they hold this share of
# the (root of the) surplus of all that stand out: twice the step would hold half of it.
SEEN_STEPS_HU = (4.0, 50.0)
TEETH_SHARE, LEAST_TEETH, LEAST_CLEAR, SURPLUS_SHARE = 0.75, 3, 2, 0.7
# Of all voxels between -50 and 100 HU; fewer say nothing of a step.
LEAST_SURPLUS = 0.05
# Values nearer to each other than the first were calculated, and their own step tells nothing, in
# HU; nearer than the second they have none.
UNIT_HU, LEAST_UNIT_HU = 0.5, 0.2
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
        are there or their distances are irregular, as those of continuous values are. Where most
        values come in steps of 4 HU or more and others were put between them, that step.
    """
    inside = data[(data >= RANGE_HU[0]) & (data <= RANGE_HU[1])]
    sample = inside[:: max(1, inside.size // _SAMPLES)]
    step = _only_step(sample)
    if step is not None and step >= SEEN_STEPS_HU[0]:
        return step
    # One value may fill the background, or the ends of a display window.
    varied = sample[(sample != 0) & (sample > data.min()) & (sample < data.max())]
    seen = _step_that_stands_out(varied, step)
    if seen is None and step is not None and step < UNIT_HU:
        seen = _step_that_stands_out(varied, None)
    return step if seen is None else seen


def _only_step(sample: np.ndarray) -> float | None:
    """Return the step of values that hold next to all voxels."""
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


def _step_that_stands_out(sample: np.ndarray, unit: float | None) -> float | None:
    """Return the coarsest step of which the values are more frequent than those between them.

    ``unit`` is the step that all values have, None or next to 0 where there is none.
    """
    if not sample.size:
        return None
    width, origin = 1.0, 0.0
    if unit is not None and unit >= LEAST_UNIT_HU:
        # As many values of the step in each bin.
        width, origin = unit * np.ceil(1 / unit - 0.01), float(sample[0])
    places = np.round((sample - origin) / width).astype(int)
    counts = np.bincount(places - places.min())
    beside = np.pad(counts, BESIDE, mode="reflect" if len(counts) > BESIDE else "edge")
    usual = np.median(np.lib.stride_tricks.sliding_window_view(beside, 2 * BESIDE + 1), axis=1)
    surplus = counts - usual
    likely = surplus > CHANCE_SD * np.sqrt(usual + 1)
    stands, clear = (likely & (counts >= times * usual) for times in (STANDS_OUT, CLEARLY))
    surplus = np.where(stands, surplus, 0)
    if surplus.sum() < LEAST_SURPLUS * counts.sum():
        return None
    weights, first = np.sqrt(surplus), int(surplus.argmax())
    found: list[float] = []
    most = 0.0
    for step in np.arange(SEEN_STEPS_HU[1], SEEN_STEPS_HU[0] - 0.01, -0.05) / width:
        if found and step < found[0] - 1:
            break
        teeth = np.arange(-(first // step), (len(counts) - 1 - first) // step + 1)
        teeth = np.round(first + teeth * step).astype(int)
        held = weights[teeth].sum() / weights.sum()
        outer = np.flatnonzero(stands[teeth])
        inner = teeth[outer[0] : outer[-1] + 1]
        if (
            held < max(most, SURPLUS_SHARE)
            or outer.size < LEAST_TEETH
            or stands[inner].mean() < TEETH_SHARE
            or np.count_nonzero(clear[inner]) < LEAST_CLEAR
        ):
            continue
        found = [*found, float(step)] if held == most else [float(step)]
        most = held
    return round(float(np.mean(found) * width), 2) if found else None
