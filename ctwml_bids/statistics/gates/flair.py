"""Gates of what only a FLAIR has: its contrast."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ctwml_bids.statistics.gates.gate import Gate, said


def flair_gates(facts: Mapping[str, Any]) -> list[Gate]:
    """Judge a FLAIR by its facts, of which ``contrast`` is what `flair_contrast` takes."""
    return [flair_contrast(**facts["contrast"])]


# Warn, fail. Grey over white matter, without lesions: real FLAIR 1.01 to 1.20, real T1w 0.82 to
# 0.91. The darker quarter of white matter must agree, at 1.11 and more on real FLAIR: it tells
# where lesions were missed.
GREY_TO_WHITE = (0.94, 0.93)
GREY_TO_DARKER_WHITE = 1.00
# What is marked as lesion over the other white matter: real FLAIR 1.29 and more, real T1w 1.13 at
# most. An image with such lesions is not taken for a T1w image.
LESIONS_TO_WHITE = 1.20
# Fluid over white matter: real FLAIR 0.19 to 0.91, real T2w 2.02 to 2.85; blood, protein, oxygen
# and gadolinium brighten fluid on FLAIR.
FLUID_TO_WHITE = (1.10, 1.80)


def flair_contrast(
    grey_to_white: float,
    grey_to_darker_white: float,
    fluid_to_white: float,
    lesions_to_white: float = math.nan,
    white_left_out: float = 0.0,
) -> Gate:
    """Judge whether an image has a FLAIR's contrast: numbers of `preprocessing.flair_contrast`."""
    values = (grey_to_white, grey_to_darker_white, fluid_to_white)
    like_t1w = grey_to_white < GREY_TO_WHITE[1] and grey_to_darker_white < GREY_TO_DARKER_WHITE
    like_t1w &= not lesions_to_white >= LESIONS_TO_WHITE
    like_t2w = fluid_to_white > FLUID_TO_WHITE[1]
    # So written that what could not be measured (NaN) is doubtful.
    doubtful = not (grey_to_white >= GREY_TO_WHITE[0] and fluid_to_white <= FLUID_TO_WHITE[0])
    status = "fail" if like_t1w or like_t2w else "warn" if doubtful else "pass"
    found = (
        f"Grey matter is {grey_to_white:.2f} and fluid {fluid_to_white:.2f} times as bright as "
        "white matter"
    )
    if white_left_out > 0:
        percent = f"{100 * white_left_out:.0f}% of the white matter"
        found += f" (measured without the lesions found and 6 mm around them, {percent})"
    other = (
        "a T2w image (or there is blood or contrast medium in the fluid)"
        if like_t2w
        else "a T1w image (or much of the white matter is diseased and not marked as lesion)"
    )
    message = {
        "pass": f"{found}, as on a FLAIR.",
        "warn": f"{found}, unusual for a FLAIR: look whether it is another contrast, whether "
        "lesions take most of the white matter, or whether the fluid holds blood.",
        "fail": f"{found}, as on {other}: if it is no FLAIR, name it as what it is; lesions were "
        "sought in the wrong contrast.",
    }
    unknown = math.nan if any(math.isnan(value) for value in values) else grey_to_white
    return Gate(
        "FLAIR contrast",
        grey_to_white,
        "grey / white matter",
        status,
        f"warn below {GREY_TO_WHITE[0]:.2f}, fail below {GREY_TO_WHITE[1]:.2f} where the darker "
        "quarter of white matter is brighter than grey matter, too, and no lesion found is "
        f"{LESIONS_TO_WHITE:.2f} times as bright as the rest; fluid / white matter: warn "
        f"above {FLUID_TO_WHITE[0]:.2f}, fail above {FLUID_TO_WHITE[1]:.2f}",
        said(unknown, status, message),
    )
