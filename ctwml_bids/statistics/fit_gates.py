"""Gates of what was measured on the way: contrast, carried bone, the template's fit, fluid.

Their limits leave room around what real and simulated images reach (docs/experiments.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ctwml_bids.statistics.gates import Gate, above, said

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
# Share of the carried FLAIR's mask that bone and what lies beyond it are: 0.2% on simulated pairs;
# 6% on the one real pair, which lines up well (slices of 6 mm, marrow bright after gadolinium).
BONE_SHARE = 0.10
# Dice of native and template brain mask: 0.94 to 0.97 on real heads.
FIT_DICE = (0.90, 0.75)
# Native over template, along each axis: 0.76 to 0.99 on real heads; and the largest of the three
# over the least: up to 1.20.
FIT_SCALES = (0.72, 1.15)
FIT_SCALE_RATIO = 1.30
# Marked in the ventricles, mL: warn above the first, whether left out or not; 1 on real heads (dark
# infarcts beside them). Fail above the second of what was left out: 35 and 61 in simulated
# hydrocephalus. A mask that took in dark leukoaraiosis is no reason to fail.
IN_VENTRICLES_ML = (2.0, 30.0)


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


def bone_in_mask(share: float) -> Gate:
    """Judge the share (0–1) of the FLAIR's brain mask, carried to the CT, that bone took out."""
    status = "pass" if share <= BONE_SHARE else "warn"
    found = (
        f"{100 * share:.1f}% of the FLAIR's brain mask, carried to the CT, lay on bone or beyond "
        "it and was taken out"
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


def lesions_in_ventricles(inside_ml: float, left_out_ml: float, *, image: str) -> Gate:
    """Judge what a network marked where the ventricles were found on the image.

    Parameters
    ----------
    inside_ml
        Volume of the lesion mask within the ventricle mask, in mL.
    left_out_ml
        Volume that the network marked in fluid of the ventricles, which is no part of the mask.
    image
        ``CT`` or ``FLAIR``.
    """
    ml = inside_ml + left_out_ml
    status = above(ml, IN_VENTRICLES_ML)
    if status == "fail" and left_out_ml <= IN_VENTRICLES_ML[1]:
        status = "warn"
    found = (
        f"{left_out_ml:.1f} mL that the network marked on {image} lie in fluid of the ventricles "
        f"and were left out; {inside_ml:.1f} mL of the lesions lie within the ventricle mask"
    )
    message = {
        "pass": f"{found}: next to nothing.",
        "warn": f"{found}: look whether fluid is outlined along the ventricles, or whether their "
        "mask takes in dark white matter.",
        "fail": f"{found}: the network takes fluid for lesions here, as with very wide ventricles, "
        "and what it marked beside them cannot be trusted either.",
    }
    return Gate(
        f"{image} lesions in the ventricles",
        ml,
        "mL",
        status,
        f"warn above {IN_VENTRICLES_ML[0]:g} mL; fail above {IN_VENTRICLES_ML[1]:g} mL left out",
        said(ml, status, message),
    )
