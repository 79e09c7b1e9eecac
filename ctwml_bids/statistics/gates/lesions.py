"""Gates of the lesions of an image: how much is marked, and where."""

from __future__ import annotations

from ctwml_bids.statistics.gates.gate import Gate, above, limit_text, said, volume
from ctwml_bids.statistics.regions import NEAR_BORDER_MM, LesionMeasures


def lesion_gates(measures: LesionMeasures, left_out_ml: float, *, image: str) -> list[Gate]:
    """Judge the lesions of an image, ``CT`` or ``FLAIR``, by how much is marked, and where.

    Parameters
    ----------
    measures
        Of the lesions.
    left_out_ml
        Volume that the network marked in fluid of the ventricles, of all its classes, which is no
        part of them.
    """
    ml = measures.wml_ml
    return [
        lesions_near_skull(measures.near_border, image=image, lesion_ml=ml),
        lesion_volume(ml, image=image),
        lesions_in_ventricles(measures.in_ventricles_ml, left_out_ml, image=image),
    ]


NEAR_SKULL_SHARE = (0.25, 0.60)
FEW_LESIONS_ML = 5.0  # where lesions are few, a handful of voxels makes a large share


def lesions_near_skull(share: float, *, image: str, lesion_ml: float) -> Gate:
    """Judge the share (0–1) of lesion probability near the brain mask's border."""
    status = above(share, NEAR_SKULL_SHARE)
    status = "warn" if status == "fail" and lesion_ml < FEW_LESIONS_ML else status
    found = (
        f"{100 * share:.0f}% of the lesion probability on {image} lies within "
        f"{NEAR_BORDER_MM:g} mm of the border"
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


LESIONS_ML = (120.0, 250.0)


def lesion_volume(ml: float, *, image: str) -> Gate:
    """Judge the total lesion volume of one image, in mL."""
    found = f"{ml:.1f} mL of white matter lesions on {image}"
    message = {
        "pass": f"{found}, a volume that white matter lesions have.",
        "warn": f"{found}, more than severe white matter disease usually shows: check the outlines "
        "for oedema, infarcts or a wrong threshold.",
        "fail": f"{found}, more than white matter lesions plausibly take: check the outlines.",
    }
    return volume(f"{image} lesion volume", ml, LESIONS_ML, message)


# Marked in the ventricles, mL: warn above the first, whether left out or not; 1 on real heads (dark
# infarcts beside them). Fail above the second of what was left out: 35 and 61 in simulated
# hydrocephalus. A mask that took in dark leukoaraiosis is no reason to fail.
IN_VENTRICLES_ML = (2.0, 30.0)


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
