"""Gate of infarcts, where a model tells them from white matter lesions; else of dark areas."""

from __future__ import annotations

from collections.abc import Mapping

from ctwml_bids.statistics.gates.ct import HYPODENSE_ML, HYPODENSITY, hypodensity
from ctwml_bids.statistics.gates.gate import Gate, volume


def infarcts_or_dark_areas(
    marked_ml: float | None, quality: Mapping[str, float | None] | None, *, image: str
) -> list[Gate]:
    """Judge the infarcts of an image or, where its model has no such class, a CT's dark areas.

    Parameters
    ----------
    marked_ml
        Volume of the infarct mask; None where infarcts are no class of the model.
    quality
        Of a CT, from `ct_quality`; None of a FLAIR.
    image
        ``CT`` or ``FLAIR``.
    """
    if marked_ml is not None:
        unmarked_ml = (quality or {}).get("dark_unmarked_ml")
        return [infarcts(marked_ml, unmarked_ml or 0.0, image=image)]
    dark_ml = (quality or {}).get("dark_region_ml")
    return [] if dark_ml is None else [hypodensity(dark_ml)]


def names_of_both(image: str) -> set[str]:
    """Name the gates of which `infarcts_or_dark_areas` makes one for an image, or none."""
    return {_name(image), *([HYPODENSITY] if image == "CT" else [])}


def _name(image: str) -> str:
    return f"{image} infarcts"


def infarcts(marked_ml: float, unmarked_ml: float = 0.0, *, image: str) -> Gate:
    """Judge the volume of infarcts, marked and perhaps missed, in mL.

    Parameters
    ----------
    marked_ml
        Volume of the infarct mask.
    unmarked_ml
        Volume outside the infarct mask of large dark areas of a CT in place of tissue that it
        covers by less than half (`ct_quality`): a model may miss an infarct, and may then count it
        as white matter lesion.
    image
        ``CT`` or ``FLAIR``.
    """
    found = f"{marked_ml:.1f} mL of {image} are marked as infarcts"
    if unmarked_ml:
        found += f", and {unmarked_ml:.1f} mL lie in other large dark areas in place of tissue"
    missed = (
        " The latter may be infarcts that were missed, and be counted as white matter lesions."
        if unmarked_ml
        else ""
    )
    message = {
        "pass": f"{found}, little enough.",
        "warn": f"{found}: look whether the outlines are right. Infarcts are no part of the white "
        f"matter lesions.{missed}",
        "fail": f"{found}: where so much of the brain is lost, white matter lesions are measured "
        f"in what is left, and cannot be compared with those of others.{missed}",
    }
    return volume(_name(image), marked_ml + unmarked_ml, HYPODENSE_ML, message)
