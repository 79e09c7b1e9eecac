"""Gates of what only HU can tell, and of how the slices of a CT are spaced."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ctwml_bids.statistics.gates.gate import (
    Gate,
    above,
    between,
    limit_text,
    range_text,
    said,
    volume,
)


def ct_gates(facts: Mapping[str, Any], spacing_ratio: float) -> list[Gate]:
    """Judge a CT by its values and its slices.

    Parameters
    ----------
    facts
        Of the CT: ``hu_step`` from its reader, and ``quality`` from its values in the brain mask.
    spacing_ratio
        By what factor its slices seem to lie unevenly; 1 where nothing says so.
    """
    found = facts["quality"]
    return [
        value_steps(facts["hu_step"]),
        tissue_hu(math.nan if found["tissue_hu"] is None else found["tissue_hu"]),
        bright(found["bright_ml"]),
        slice_spacing(spacing_ratio),
    ]


# A step s makes a mean error of s/4. From 4 HU it is 1 HU, an eighth of what separates grey from
# white matter, and no longer hidden by a CT's noise (3 to 5 HU); above 20 HU grey matter, white
# matter and lesions take one or two values.
STEP_HU = (4.0, 20.0)
# Values nearer to each other were calculated.
LEAST_STEP_HU = 0.01


def value_steps(step: float | None) -> Gate:
    """Judge the distance in HU between the values that a CT takes; None where there is no one.

    Values that were calculated from others, as by smoothing, do not tell in which steps those came.
    """
    if step is None or step < LEAST_STEP_HU:
        step = 0.0
    status = above(step, (STEP_HU[0] - 1e-6, STEP_HU[1]))
    found = f"HU come in steps of {step:.3g}"
    error = f"each is off by {step / 4:.2g} HU in the mean and up to {step / 2:.2g}"
    message = {
        "pass": f"{found}, fine enough."
        if step
        else "HU come in no regular steps that can be seen; whether they did before an "
        "interpolation or smoothing is not known.",
        "warn": f"{found}: {error}, where lesions differ from white matter by some 10. A converter "
        "may have squeezed the range; convert the scan again from its DICOM files.",
        "fail": f"{found}: {error}; grey matter, white matter and lesions share one or two values. "
        "Convert the scan again from its DICOM files.",
    }
    return Gate(
        "CT value steps", step, "HU", status, limit_text(STEP_HU, "HU"), said(step, status, message)
    )


TISSUE_HU = (22.0, 42.0)  # median over the brain mask: CSF 0–15, white 25–32, grey 32–42 HU
TISSUE_HU_IMPOSSIBLE = (10.0, 60.0)


def tissue_hu(median: float) -> Gate:
    """Judge the median HU inside the CT brain mask."""
    status = between(median, TISSUE_HU, TISSUE_HU_IMPOSSIBLE)
    found = f"The median inside the CT brain mask is {median:.0f} HU"
    message = {
        "pass": f"{found}, as brain tissue has.",
        "warn": f"{found}, outside what brain usually shows: check the calibration of the image, "
        "contrast medium, or a mask that takes in CSF or bone.",
        "fail": f"{found}, which is not brain tissue: the image may not be in Hounsfield units "
        "or the mask may lie elsewhere.",
    }
    return Gate(
        "CT brain tissue",
        median,
        "HU",
        status,
        range_text(TISSUE_HU, TISSUE_HU_IMPOSSIBLE, "HU"),
        said(median, status, message),
    )


BRIGHT_ML = (2.0, 30.0)


def bright(ml: float) -> Gate:
    """Judge the volume inside the CT brain mask that is as bright as blood or contrast, in mL."""
    found = f"{ml:.1f} mL inside the brain are as bright as blood or contrast medium"
    message = {
        "pass": f"{found}.",
        "warn": f"{found}: look whether there is a haemorrhage, contrast or calcification.",
        "fail": f"{found}: with that much, lesions next to it cannot be told apart.",
    }
    return volume("CT bright voxels", ml, BRIGHT_ML, message)


HYPODENSITY = "CT large hypodensity"
HYPODENSE_ML = (5.0, 100.0)


def hypodensity(ml: float) -> Gate:
    """Judge the volume of large dark areas in place of tissue, in mL.

    Measured without cisterns, fissures and what keeps to white matter; an infarct's own volume is
    some 1.5 to 2 times as large.
    """
    found = f"{ml:.1f} mL lie in large dark areas in place of brain tissue"
    message = {
        "pass": f"{found}, little enough.",
        "warn": f"{found}: look whether they are an infarct, a cyst or wide sulci on one side; "
        "they may be counted as white matter lesions.",
        "fail": f"{found}, as with large infarcts or cysts: white matter lesions cannot be "
        "measured apart from them.",
    }
    return volume(HYPODENSITY, ml, HYPODENSE_ML, message)


SPACING_RATIO = (1.05, 2.00)


def slice_spacing(ratio: float) -> Gate:
    """Judge uneven slices: the largest over the smallest slice spacing of a CT."""
    status = above(ratio, SPACING_RATIO)
    message = {
        "pass": "The slices of CT are evenly spaced.",
        "warn": f"The slices of CT are unevenly spaced (by a factor of {ratio:.2f}): volumes "
        "are off by up to that much.",
        "fail": f"The slices of CT are so unevenly spaced (by a factor of {ratio:.2f}) that "
        "volumes cannot be trusted.",
    }
    return Gate(
        "CT slice spacing",
        ratio,
        "largest / smallest",
        status,
        limit_text(SPACING_RATIO, "", digits=2),
        said(ratio, status, message),
    )
