"""Gates of a scan as it came: which way up the head lies, slices without content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctwml_bids.statistics.gates.gate import Gate, said


def scan_gates(found: Mapping[str, Any], *, image: str) -> list[Gate]:
    """Judge an image, ``CT`` or ``FLAIR``, by what the search for its brain mask found.

    Parameters
    ----------
    found
        Facts of the image's own brain mask: ``brain_ml``, and where they were looked for
        ``way_up`` and ``empty_slices``.
    """
    gates = []
    if "way_up" in found:
        gates.append(way_up(**found["way_up"], image=image))
    empty = found.get("empty_slices") or {}
    if count := len(empty.get("numbers", ())):
        seen_ml = found["brain_ml"]
        gates.append(empty_slices(count, empty["slices"], empty["unseen_ml"], seen_ml, image=image))
    return gates


# How much better (mean surface distance) the template's brain fits the brain as it lies than
# turned over: 1.7 to 3.4 on real heads, 0.2 to 0.7 on the same heads turned over. Warn, fail.
UPRIGHT_RATIO = (1.25, 0.90)
# A head that was turned over fits when it is turned back: 1.2 to 2.2 mm on real heads, 3.1 mm on
# one whose slices are not spaced as its header says. Where neither fits, as on part of a nodding
# head (3.6 to 5 mm), the shape tells nothing.
TURNED_MM = 3.5


def way_up(upright_mm: float, turned_mm: float, turned: str, *, image: str) -> Gate:
    """Judge whether the head lies as the header says.

    Parameters
    ----------
    upright_mm, turned_mm
        Mean distance between the surfaces of brain and template as the header has the head, and
        with it turned over as fits best.
    turned
        How the head lies if the latter is right.
    image
        ``CT`` or ``FLAIR``.
    """
    ratio = turned_mm / max(upright_mm, 0.01)
    status = "warn" if ratio < UPRIGHT_RATIO[0] else "pass"
    if ratio < UPRIGHT_RATIO[1] and turned_mm <= TURNED_MM:
        status = "fail"
    found = (
        f"The template's brain fits the brain on {image} to {upright_mm:.1f} mm as the header has "
        f"it, and to {turned_mm:.1f} mm if it lies {turned}"
    )
    message = {
        "pass": f"{found}: up and front are where the header says.",
        "warn": f"{found}: the shape does not tell for certain which way up the head lies; look "
        "at it, and whether the brain mask holds the brain.",
        "fail": f"{found}: the header has the head {turned}. Left and right may be exchanged as "
        "well. Convert the image again from its DICOM files, or correct its orientation.",
    }
    return Gate(
        f"{image} way up",
        ratio,
        "misfit turned over / misfit",
        status,
        f"warn below {UPRIGHT_RATIO[0]:.2f}; fail below {UPRIGHT_RATIO[1]:.2f} where the head fits "
        f"to {TURNED_MM:g} mm turned over",
        said(ratio, status, message),
    )


# Share of the brain that lies in empty slices; more fails, as in `pair.MISSED_SHARE`.
UNSEEN_SHARE = 0.30


def empty_slices(empty: int, slices: int, unseen_ml: float, seen_ml: float, *, image: str) -> Gate:
    """Judge the slices within a scan that hold nothing.

    Parameters
    ----------
    empty, slices
        Number of empty slices between others, and of all slices.
    unseen_ml, seen_ml
        Brain in the empty slices, judged by their neighbours, and in all others.
    image
        ``CT`` or ``FLAIR``.
    """
    share = unseen_ml / max(unseen_ml + seen_ml, 0.1)
    status = "pass" if unseen_ml <= 0 else "fail" if share > UNSEEN_SHARE else "warn"
    are = "is" if empty == 1 else "are"
    found = f"{empty} of {slices} slices of {image} {are} empty"
    missing = f"{found}: about {unseen_ml:.0f} mL of the brain not seen"
    message = {
        "pass": f"{found} within the scan." if empty == 0 else f"{found}, none within the brain.",
        "warn": f"{missing}, and missing from all volumes. Export or convert the scan again.",
        "fail": f"{missing}: volumes cover part of the brain only. Export or convert the scan "
        "again.",
    }
    return Gate(
        f"{image} empty slices",
        unseen_ml,
        "mL not seen",
        status,
        f"warn above 0 mL; fail above {100 * UNSEEN_SHARE:g} % of the brain",
        said(unseen_ml, status, message),
    )
