"""Read a CT and make sure that its values are Hounsfield units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing.blocks import every_nth
from ctwml_bids.preprocessing.empty_slices import (
    empty_facts,
    empty_warnings,
    filled,
    find_empty,
)
from ctwml_bids.preprocessing.grids import grid_of, image_on
from ctwml_bids.preprocessing.images import LoadedImage, geometry_facts, header_warnings, load_nifti
from ctwml_bids.preprocessing.orthonormal import orthonormal
from ctwml_bids.preprocessing.padding import blank_regions
from ctwml_bids.preprocessing.quantisation import hu_step
from ctwml_bids.preprocessing.slice_spacing import spacing_facts
from ctwml_bids.slices import slice_axis

# Air, and what padding (-1024, -2000, -3024) outside the scan circle is set to.
AIR_HU = -1000.0
# Head tissue's most common value: brain 30 to 40; scanners differ by up to 10 HU (Oh 2019) and
# muscle (55) may prevail in a neck. Outside the wide range it is no CT, outside the narrow one
# its calibration is in doubt.
TISSUE_PEAK_HU = (-10.0, 90.0)
USUAL_PEAK_HU = (15.0, 65.0)
AIR_PEAK_HU = (-1100.0, -900.0)
# A window export: its ends hold at least these shares of all voxels (bone; air).
SATURATED_SHARE = 0.005
BOTTOM_SHARE = 0.05
# Ends of the brain windows in use: from -200 ... 20 (or air itself) up to 60 ... 400 HU.
WINDOW_LOW = (-200.0, 20.0)
WINDOW_HIGH = (55.0, 400.0)
# A brain without skull: median, and the range in which so much of it lies (HU). 70% lie as near to
# the median as `STRIPPED_NEAR_HU`, with CSF and the noise of thin slices.
STRIPPED_PEAK_HU = (20.0, 45.0)
STRIPPED_HU, STRIPPED_SHARE = (-60.0, 110.0), 0.8
STRIPPED_NEAR_HU = 25.0
# An image that goes no lower than this (HU) holds no air.
NO_AIR_HU = -500.0
# A signed image read as unsigned shows air and padding near 2**16.
WRAPPED = 60000.0
CONVERT = "Convert the scan again from its DICOM files (dcm2niix keeps Hounsfield units)."


@dataclass(frozen=True)
class Scale:
    """What an image's values look like.

    Attributes
    ----------
    kind
        "hu", "window" (clipped to a brain window), "stripped" (brain only) or "other".
    reason
        What was found, for the user.
    low, high
        Smallest and largest value.
    air_peak, tissue_peak
        Most common values of the darkest and of the soft tissue part of the histogram; None
        where there is no such peak.
    """

    kind: str
    reason: str
    low: float
    high: float
    air_peak: float | None
    tissue_peak: float | None


def read_ct(
    path: str | Path, sidecar: Mapping[str, object] | None = None, *, settled: bool = False
) -> LoadedImage:
    """Read a CT in Hounsfield units.

    Parameters
    ----------
    path
        NIfTI file; its scl_slope and scl_inter are applied.
    sidecar
        The BIDS sidecar's content, used for what it says on slices and conversion.
    settled
        As for `images.load_nifti`.

    Returns
    -------
    LoadedImage
        HU, float32, orthonormal, closest to RAS; padding and removed regions of one value, or NaN
        outside the scan, read -1000, or a display window's lower end.

    Raises
    ------
    NoInputError, BadDataError
        See `images.load_nifti`; and the values are not in HU.
    """
    image = load_nifti(path, sidecar, settled=settled, outside=AIR_HU)
    native = grid_of(image)
    data = np.asarray(image.dataobj)
    warnings = list(header_warnings(path, sidecar))
    if unmeasured := image.extra["unmeasured_voxels"]:
        ml = unmeasured * native.voxel_ml
        warnings.append(
            f"{path}: {ml:.1f} mL outside the scan hold no number (NaN), as padding; read as air"
        )
    if data.max() > WRAPPED and data.min() >= 0:
        data[data > 2**15] -= 2**16
        warnings.append(f"{path}: negative values were stored as unsigned integers; read as signed")
    axis = slice_axis(image, sidecar)
    step, empty = hu_step(data), find_empty(data, axis)
    data = filled(data, empty)
    warnings += [f"{path}: {text}" for text in empty_warnings(empty)]
    blank, blanks = blank_regions(data, native.voxel_ml)
    if blank.all():
        raise BadDataError(
            f"{path}: it consists of {len(blanks)} region(s) of one value each "
            f"({', '.join(f'{part.value:g}' for part in blanks[:3])}), as no scan does. {CONVERT}"
        )
    if blanks:
        # Until the scale is known they read as the lowest value, as background does.
        data[blank] = data[~blank].min()
    scale = classify(data)
    if scale.kind == "other":
        raise BadDataError(f"{path}: not a CT in Hounsfield units: {scale.reason} {CONVERT}")
    # Around a brain without skull it is the background.
    if scale.kind != "stripped":
        warnings += [
            f"{path}: {part.ml:g} mL hold the one value {part.value:g}, as no tissue does (padding "
            "or a removed face); read as air"
            for part in blanks
        ]
    if scale.kind != "hu":
        warnings.append(f"{path}: {scale.reason}")
    elif scale.tissue_peak is not None and not (
        USUAL_PEAK_HU[0] <= scale.tissue_peak <= USUAL_PEAK_HU[1]
    ):
        warnings.append(
            f"{path}: soft tissue peaks at {scale.tissue_peak:.0f} HU, expected 20 to 50; the "
            "scanner's calibration or the rescale intercept may be off"
        )
    padding = float(data.min()) if data.min() < AIR_HU - 20 else None
    if blanks and scale.kind != "window":
        data[blank] = AIR_HU
    np.maximum(data, AIR_HU, out=data)
    spacing, spacing_warnings = spacing_facts(data, native, sidecar or {}, axis)
    warnings += [f"{path}: {text}" for text in spacing_warnings]
    facts = {
        **geometry_facts(native),
        "scale": scale.kind,
        "range_hu": [scale.low, scale.high],
        "air_peak_hu": scale.air_peak,
        "tissue_peak_hu": scale.tissue_peak,
        "padding_value": padding,
        "hu_step": step,
        "blank_regions": [asdict(part) for part in blanks],
        **spacing,
    }
    low = float(data.min())
    fill = AIR_HU if low < NO_AIR_HU else low
    upright = orthonormal(nib.Nifti1Image(data, native.affine), fill=fill)
    facts["empty_slices"] = empty_facts(empty, native, grid_of(upright))
    return LoadedImage(
        image_on(upright.get_fdata(dtype=np.float32), grid_of(upright)),
        native,
        tuple(warnings),
        facts,
    )


def classify(data: np.ndarray) -> Scale:
    """Tell from the histogram whether values (x, y, z) are HU, a brain window, or neither."""
    sample = every_nth(np.asarray(data), max(1, data.size // 4_000_000))
    low, high = float(sample.min()), float(sample.max())
    # The background of a window or of a brain without skull is one value, often 0: no tissue.
    varied = sample[(sample != low) & (sample != high) & (sample != 0)]
    air = _peak(sample, *AIR_PEAK_HU)
    tissue = _peak(varied, *TISSUE_PEAK_HU) if varied.size else None
    found = f"values run from {low:g} to {high:g}"

    def scale(kind: str, reason: str) -> Scale:
        return Scale(kind, reason, low, high, air, tissue)

    # Between air and fat lie only borders, so a CT has more soft tissue than values there.
    borders, soft = (_share(sample, *ends) for ends in ((-600, -200), (0, 80)))
    if low < NO_AIR_HU and high > 200 and tissue is not None and soft > borders:
        return scale("hu", f"{found}, air at {air}, soft tissue at {tissue} HU")
    if _looks_windowed(sample, low, high, tissue):
        reason = (
            f"clipped to a brain window ({low:g} to {high:g}); bone and air are only where the "
            "values saturate, and tissue outside the window is lost"
        )
        return scale("window", reason)
    if _looks_stripped(sample):
        return scale("stripped", f"holds a brain without skull ({found})")
    return scale("other", _what_else(sample, low, high, found))


def _peak(sample: np.ndarray, low: float, high: float) -> float | None:
    """Most common value between two bounds, from a smoothed histogram; None if there is none.

    A peak is the bin highest in the range, with at least 2% of all voxels within ±15 of it, and
    not at the range's end.
    """
    bins = np.arange(low - 20, high + 22, 2.0)
    counts, _ = np.histogram(sample, bins)
    smooth = ndimage.gaussian_filter1d(counts.astype(float), 2.0, mode="nearest")
    best = int(smooth[10:-10].argmax()) + 10
    centre = float(bins[best] + 1.0)
    share = counts[max(best - 7, 0) : best + 8].sum() / sample.size
    if share < 0.02 or not low + 4 <= centre <= high - 4:
        return None
    return round(centre, 1)


def _share(sample: np.ndarray, low: float, high: float) -> float:
    return float(((sample > low) & (sample < high)).mean())


def _looks_windowed(sample: np.ndarray, low: float, high: float, tissue: float | None) -> bool:
    """Tell whether the ends saturate where brain windows end, with soft tissue between."""
    if tissue is None or not USUAL_PEAK_HU[0] <= tissue <= USUAL_PEAK_HU[1]:
        return False
    bone_saturates = (sample == high).mean() >= SATURATED_SHARE
    air_saturates = (sample == low).mean() >= BOTTOM_SHARE
    if not (bone_saturates and WINDOW_HIGH[0] <= high <= WINDOW_HIGH[1]):
        return False
    return low < NO_AIR_HU or bool(air_saturates and WINDOW_LOW[0] <= low <= WINDOW_LOW[1])


def _looks_stripped(sample: np.ndarray) -> bool:
    """Tell a brain on one background value: nearly all is soft tissue, narrowly spread.

    Some bone may be left at the skull base and at the edge. MR images of a like brightness are
    spread more widely.
    """
    values, counts = np.unique(sample[:: max(1, sample.size // 200_000)], return_counts=True)
    if counts.max() < BOTTOM_SHARE * counts.sum():
        return False
    background = values[counts.argmax()]
    # Where the background is air, an interpolated edge holds everything between it and brain.
    inside = sample[(sample != background) & ((sample > STRIPPED_HU[0]) | (background > -200))]
    if inside.size < 0.02 * sample.size:
        return False
    middle = float(np.median(inside))
    return bool(
        STRIPPED_PEAK_HU[0] <= middle <= STRIPPED_PEAK_HU[1]
        and _share(inside, *STRIPPED_HU) >= STRIPPED_SHARE
        and _share(inside, middle - STRIPPED_NEAR_HU, middle + STRIPPED_NEAR_HU) >= 0.7
        and np.ptp(np.percentile(inside, [2, 98])) >= 10
    )


def _what_else(sample: np.ndarray, low: float, high: float, found: str) -> str:
    """Say what an image that is not in HU looks like."""
    if high - low <= 20:
        return f"{found}; the image was scaled or z-scored."
    shifted = [
        offset
        for offset in (1000.0, 1024.0)
        if low >= -60
        and high > 1200
        and _peak(sample, offset + 15, offset + 70) is not None
        and (np.abs(sample - offset + 1000) < 60).mean() > 0.1
    ]
    if shifted:
        peak = _peak(sample, 1000.0, 1100.0)
        return (
            f"{found}, with air near 0 and soft tissue at {peak:g}: about {shifted[-1]:g} was "
            "added (a lost rescale intercept)."
        )
    if low >= -200 and high <= 260 and (sample == high).mean() >= SATURATED_SHARE:
        return f"{found} with saturated ends and no soft tissue at 20 to 50: grey levels, not HU."
    median = float(np.median(sample[sample > np.percentile(sample, 50)]))
    return (
        f"{found}, no air at -1000 and no soft tissue at 20 to 50 HU (the brighter half centres "
        f"on {median:g}); it looks like an MR image or arbitrary units."
    )
