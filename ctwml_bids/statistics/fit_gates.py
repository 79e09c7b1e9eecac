"""Gates of what was measured on the way: contrast, the carried mask's bone, the template's fit.

Their limits leave room around what real and simulated images reach (docs/validation.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ctwml_bids.statistics.gates import Gate, said

# Real FLAIR: 0.97 to 1.19 and 0.19 to 0.91. Beyond these the image is not refused (see
# `preprocessing.flair_contrast`) but may be a T1w, proton density or T2w image.
GREY_TO_WHITE_LEAST = 0.94
FLUID_TO_WHITE_MOST = 1.10
# Share of the FLAIR's mask that lies on bone of the CT: 0.2% at most on simulated pairs; 6% on the
# one real pair, whose FLAIR mask is a few mm too thick at the vertex: worth a look.
BONE_SHARE = 0.05
# Dice of native and template brain mask: 0.94 to 0.97 on real heads.
FIT_DICE = (0.90, 0.75)
# Native over template, along each axis: 0.76 to 0.99 on real heads; and the largest of the three
# over the least: up to 1.20.
FIT_SCALES = (0.72, 1.15)
FIT_SCALE_RATIO = 1.30


def flair_contrast(grey_to_white: float, fluid_to_white: float) -> Gate:
    """Judge whether an image has a FLAIR's contrast: two ratios of brightness."""
    values = (grey_to_white, fluid_to_white)
    grey_ok, fluid_ok = values[0] >= GREY_TO_WHITE_LEAST, values[1] <= FLUID_TO_WHITE_MOST
    status = "pass" if grey_ok and fluid_ok else "warn"
    found = (
        f"Grey matter is {grey_to_white:.2f} and fluid {fluid_to_white:.2f} times as bright as "
        "white matter"
    )
    message = {
        "pass": f"{found}, as on a FLAIR.",
        "warn": f"{found}, unusual for a FLAIR: look whether it is another contrast, or whether "
        "lesions take most of the white matter.",
    }
    unknown = math.nan if any(math.isnan(value) for value in values) else grey_to_white
    return Gate(
        "FLAIR contrast",
        grey_to_white,
        "grey / white matter",
        status,
        f"warn below {GREY_TO_WHITE_LEAST:.2f}, or where fluid / white matter is above "
        f"{FLUID_TO_WHITE_MOST:.2f}; T1w and T2w images are refused",
        said(unknown, status, message),
    )


def bone_in_mask(share: float) -> Gate:
    """Judge the share (0–1) of the FLAIR's brain mask, carried to the CT, that lies on bone."""
    status = "pass" if share <= BONE_SHARE else "warn"
    found = (
        f"{100 * share:.1f}% of the FLAIR's brain mask, carried to the CT, lay on bone and was "
        "taken out"
    )
    message = {
        "pass": f"{found}; a mask made on thick slices reaches so far.",
        "warn": f"{found}: look at both outlines on the CT, whether CT and FLAIR line up and "
        "whether the FLAIR's mask takes in marrow or scalp.",
    }
    return Gate(
        "CT bone in the FLAIR's mask",
        100 * share,
        "% of the carried mask",
        status,
        f"warn above {100 * BONE_SHARE:g} %",
        said(share, status, message),
    )


def template_fit(dice: float, scales: Sequence[float], *, image: str) -> Gate:
    """Judge the normalisation: Dice of native and template brain mask, and the three scales."""
    ratio = max(scales) / min(scales)
    odd_scale = not FIT_SCALES[0] <= min(scales) <= max(scales) <= FIT_SCALES[1]
    odd = odd_scale or ratio > FIT_SCALE_RATIO
    status = "fail" if dice < FIT_DICE[1] else "warn" if dice < FIT_DICE[0] or odd else "pass"
    sizes = " × ".join(f"{scale:.2f}" for scale in scales)
    found = (
        f"The template's brain, {sizes} as large on {image}, and the brain mask overlap with a "
        f"Dice of {dice:.2f}"
    )
    message = {
        "pass": f"{found}, as brains of one size do.",
        "warn": f"{found}: look in the picture of the normalisation whether the template's "
        "outline follows the brain.",
        "fail": f"{found}: the brain was not brought to the template, so the networks saw it in "
        "a place and size that they do not know.",
    }
    return Gate(
        f"{image} normalisation",
        dice,
        "Dice",
        status,
        f"warn below {FIT_DICE[0]:.2f}, or with a scale out of {FIT_SCALES[0]:.2f}–"
        f"{FIT_SCALES[1]:.2f} or more than {FIT_SCALE_RATIO:.2f} times another; "
        f"fail below {FIT_DICE[1]:.2f}",
        said(dice, status, message),
    )
