"""Gates of CT and FLAIR of one head: the registration, and the mask carried by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctwml_bids.statistics.gates.gate import Gate, above, limit_text, said


def pair_gates(facts: Mapping[str, Any], missed: float | None) -> list[Gate]:
    """Judge what CT and FLAIR have in common.

    Parameters
    ----------
    facts
        Of the registration, and of the mask that was carried by it.
    missed
        As `carried_mask` has it; None where the CT was measured in its own mask.
    """
    gates = [
        registration(
            facts["verdict"],
            facts["reason"],
            mirror_ratio=facts["mirror_ratio"],
            nmi_gain=facts["nmi_after"] - facts["nmi_before"],
            mask_dice=facts["mask_dice"],
            limits=facts["limits"],
        )
    ]
    if missed is not None:
        # A carried mask of nothing has nothing taken out; other gates tell of it.
        share = facts["removed_ml"] / max(facts["carried_ml"], 0.1)
        gates += [carried_mask(missed), bone_in_mask(share)]
    return gates


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


# Of the brain found on the CT itself. Two masks of one brain differ by a few percent; real FLAIR
# images that end within the cerebellum left out 18%.
MISSED_SHARE = (0.10, 0.30)


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


# Share of the carried FLAIR's mask that bone and what lies beyond it are: 0.2% on simulated pairs;
# 6% on the one real pair, which lines up well (slices of 6 mm, marrow bright after gadolinium).
BONE_SHARE = 0.10


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
