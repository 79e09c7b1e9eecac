"""Gates of the brain mask of an image, and of its fit to the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ctwml_bids.statistics.gates.gate import Gate, above, between, limit_text, range_text, said
from ctwml_bids.statistics.regions import LesionMeasures


def brain_gates(
    measures: LesionMeasures, cut: Mapping[str, float], fit: Mapping[str, Any], *, image: str
) -> list[Gate]:
    """Judge the brain mask of an image, ``CT`` or ``FLAIR``.

    Parameters
    ----------
    measures
        Of the image.
    cut
        Where it ends inside the brain, as `coverage` has it.
    fit
        Of the normalisation: ``dice`` and ``scales``, as `template_fit` has them.
    """
    return [
        brain_volume(measures.brain_ml, image=image),
        coverage(cut, image=image),
        template_fit(fit["dice"], fit["scales"], image=image),
    ]


BRAIN_ML = (1000.0, 1800.0)  # adults; parenchyma with ventricles and sulci
BRAIN_ML_IMPOSSIBLE = (700.0, 2200.0)


def brain_volume(ml: float, *, image: str) -> Gate:
    """Judge the volume of a brain mask in mL; ``image`` is ``CT`` or ``FLAIR``."""
    status = between(ml, BRAIN_ML, BRAIN_ML_IMPOSSIBLE)
    found = f"The brain mask on {image} holds {ml:.0f} mL"
    message = {
        "pass": f"{found}, as an adult brain does.",
        "warn": f"{found}, unusual for an adult: check its outline; a small or large head, "
        "incomplete coverage or missed brain would explain it.",
        "fail": f"{found}, which no complete adult brain has: volumes and percentages of this "
        "image cannot be trusted.",
    }
    return Gate(
        f"{image} brain volume",
        ml,
        "mL",
        status,
        range_text(BRAIN_ML, BRAIN_ML_IMPOSSIBLE, "mL"),
        said(ml, status, message),
    )


CUT_SHARE = (0.05, 0.50)  # of the largest section; the medulla alone takes some 2%


def coverage(cut: Mapping[str, float], *, image: str) -> Gate:
    """Judge whether the scan covers the brain.

    Parameters
    ----------
    cut
        Face of the image (``top``, ``left``, ...) → area of the brain mask on it, as a share of
        the largest section in parallel; 0 where the brain ends inside the image.
    image
        ``CT`` or ``FLAIR``.
    """
    worst = max(cut.values())
    status = above(worst, CUT_SHARE)
    where = " and at the ".join(face for face, share in cut.items() if share > CUT_SHARE[0])
    message = {
        "pass": f"{image} covers the brain.",
        "warn": f"{image} ends inside the brain at the {where}: volumes miss what lies beyond.",
        "fail": f"{image} ends in the middle of the brain at the {where}: volumes cover part of "
        "the brain only.",
    }
    return Gate(
        f"{image} coverage",
        100 * worst,
        "% of largest section",
        status,
        limit_text(tuple(100 * limit for limit in CUT_SHARE), "%"),
        said(worst, status, message),
    )


# Dice of native and template brain mask: 0.94 to 0.97 on real heads.
FIT_DICE = (0.90, 0.75)
# Native over template, along each axis: 0.76 to 0.99 on real heads; and the largest of the three
# over the least: up to 1.20.
FIT_SCALES = (0.72, 1.15)
FIT_SCALE_RATIO = 1.30


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
