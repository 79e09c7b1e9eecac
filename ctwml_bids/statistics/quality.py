"""Quality gates: reasons to look at a unit before its numbers are used.

Each gate compares one number with limits and says, in a sentence for a human, what was found and
what to look at. A gate is a flag, not a diagnosis. The limits are the project's own choice from
what is anatomically plausible; they were not tuned on data that results are reported for.
"""

from __future__ import annotations

from collections.abc import Mapping

from ctwml_bids.statistics.gates import Gate, above, between, limit_text, overall, range_text, said

__all__ = [
    "Gate",
    "brain_volume",
    "bright",
    "carried_mask",
    "coverage",
    "hypodensity",
    "lesion_volume",
    "lesions_near_skull",
    "overall",
    "registration",
    "slice_spacing",
    "tissue_hu",
]

BRAIN_ML = (1000.0, 1800.0)  # adults; parenchyma with ventricles and sulci
BRAIN_ML_IMPOSSIBLE = (700.0, 2200.0)
TISSUE_HU = (22.0, 42.0)  # median over the brain mask: CSF 0–15, white 25–32, grey 32–42 HU
TISSUE_HU_IMPOSSIBLE = (10.0, 60.0)
NEAR_SKULL_SHARE = (0.25, 0.60)
CUT_SHARE = (0.05, 0.50)  # of the largest section; the medulla alone takes some 2%
# Of the brain found on the CT itself. Two masks of one brain differ by a few percent; real FLAIR
# images that end within the cerebellum left out 18%.
MISSED_SHARE = (0.10, 0.30)
FEW_LESIONS_ML = 5.0  # where lesions are few, a handful of voxels makes a large share
BRIGHT_ML = (2.0, 30.0)
HYPODENSE_ML = (5.0, 100.0)
LESIONS_ML = (120.0, 250.0)
SPACING_RATIO = (1.05, 2.00)


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


def registration(
    verdict: str,
    reason: str,
    *,
    mirror_ratio: float,
    nmi_gain: float,
    mask_dice: float,
    limits: str,
) -> Gate:
    """Judge CT→FLAIR registration; the verdict and its reason come with the registration.

    Parameters
    ----------
    verdict, reason
        ``pass``, ``warn`` or ``fail`` and why.
    mirror_ratio
        How much better the CT fits than its mirror image; this is the gate's value.
    nmi_gain
        Rise of Studholme's normalised mutual information from before to after.
    mask_dice
        Dice of both brain masks after registration.
    limits
        The limits behind the verdict, in words.
    """
    what = {
        "pass": "CT and FLAIR line up.",
        "warn": "Check in the checkerboard that CT and FLAIR line up.",
        "fail": "CT and FLAIR cannot be compared.",
    }[verdict]
    numbers = f"Dice of both brain masks {mask_dice:.3f}, gain of mutual information {nmi_gain:.3f}"
    because = f" {reason[:1].upper()}{reason[1:].rstrip('.')}." if reason else ""
    return Gate(
        "CT to FLAIR registration",
        mirror_ratio,
        "fit / fit of the mirror image",
        verdict,
        limits,
        f"{what}{because} ({numbers}.)",
    )


def lesions_near_skull(share: float, *, image: str, lesion_ml: float) -> Gate:
    """Judge the share (0–1) of lesion probability within 3 mm of the brain mask's border."""
    status = above(share, NEAR_SKULL_SHARE)
    status = "warn" if status == "fail" and lesion_ml < FEW_LESIONS_ML else status
    found = (
        f"{100 * share:.0f}% of the lesion probability on {image} lies within 3 mm of the border"
    )
    message = {
        "pass": f"{found} of the brain mask; few white matter lesions lie there.",
        "warn": f"{found} of the brain mask: look for bone, skull base or sulci among the lesions.",
        "fail": f"{found} of the brain mask, where white matter is rare: most of it is probably "
        "not a white matter lesion.",
    }
    return Gate(
        f"{image} lesions near the skull",
        100 * share,
        "%",
        status,
        limit_text(tuple(100 * limit for limit in NEAR_SKULL_SHARE), "%"),
        said(share, status, message),
    )


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


def carried_mask(missed: float) -> Gate:
    """Judge whether the FLAIR's brain mask, carried to the CT, holds the brain that the CT shows.

    Parameters
    ----------
    missed
        Share (0–1) of the brain mask found on the CT itself that the carried one leaves out.
    """
    status = above(missed, MISSED_SHARE)
    found = (
        f"The FLAIR's brain mask, in which the CT was measured, leaves out {100 * missed:.0f}% of "
        "the brain found on the CT"
    )
    message = {
        "pass": f"{found}, no more than two masks of one brain differ.",
        "warn": f"{found}: lesions there are not counted; look whether the FLAIR covers less of "
        "the brain than the CT, and where both masks lie.",
        "fail": f"{found}: the CT's volumes cover part of the brain only.",
    }
    return Gate(
        "CT brain left out",
        100 * missed,
        "% of the CT's brain",
        status,
        limit_text(tuple(100 * limit for limit in MISSED_SHARE), "%"),
        said(missed, status, message),
    )


def bright(ml: float) -> Gate:
    """Judge the volume inside the CT brain mask that is as bright as blood or contrast, in mL."""
    found = f"{ml:.1f} mL inside the brain are as bright as blood or contrast medium"
    message = {
        "pass": f"{found}.",
        "warn": f"{found}: look whether there is a haemorrhage, contrast or calcification.",
        "fail": f"{found}: with that much, lesions next to it cannot be told apart.",
    }
    return _volume("CT bright voxels", ml, BRIGHT_ML, message)


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
    return _volume("CT large hypodensity", ml, HYPODENSE_ML, message)


def lesion_volume(ml: float, *, image: str) -> Gate:
    """Judge the total lesion volume of one image, in mL."""
    found = f"{ml:.1f} mL of white matter lesions on {image}"
    message = {
        "pass": f"{found}, a volume that white matter lesions have.",
        "warn": f"{found}, more than severe white matter disease usually shows: check the outlines "
        "for oedema, infarcts or a wrong threshold.",
        "fail": f"{found}, more than white matter lesions plausibly take: check the outlines.",
    }
    return _volume(f"{image} lesion volume", ml, LESIONS_ML, message)


def slice_spacing(ratio: float, *, image: str) -> Gate:
    """Judge uneven slices: the largest over the smallest slice spacing of one image."""
    status = above(ratio, SPACING_RATIO)
    message = {
        "pass": f"The slices of {image} are evenly spaced.",
        "warn": f"The slices of {image} are unevenly spaced (by a factor of {ratio:.2f}): volumes "
        "are off by up to that much.",
        "fail": f"The slices of {image} are so unevenly spaced (by a factor of {ratio:.2f}) that "
        "volumes cannot be trusted.",
    }
    return Gate(
        f"{image} slice spacing",
        ratio,
        "largest / smallest",
        status,
        limit_text(SPACING_RATIO, "", digits=2),
        said(ratio, status, message),
    )


def _volume(name: str, ml: float, limits: tuple[float, float], message: dict[str, str]) -> Gate:
    status = above(ml, limits)
    return Gate(name, ml, "mL", status, limit_text(limits, "mL"), said(ml, status, message))
