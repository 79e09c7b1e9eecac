"""Units to look at first: numbers that stand apart from the rest of the cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ctwml_bids.modality import IMAGES
from ctwml_bids.statistics.agreement import Agreement
from ctwml_bids.statistics.fazekas import GROUPS
from ctwml_bids.statistics.tables import MISSING, number_in

LESIONS_ML = 1.0  # on both images; with less, no overlap is nothing strange


@dataclass(frozen=True)
class Outlier:
    """A unit and why it stands apart; `size` orders those of one kind, largest first."""

    unit: str
    reason: str
    size: float


def outliers(rows: Sequence[Mapping[str, object]], found: Agreement) -> list[Outlier]:
    """List the units that stand apart, each with all of its reasons, the most deviant first.

    Parameters
    ----------
    rows
        Units that are used, with volumes, Dice, rated and estimated Fazekas groups.
    found
        Agreement of CT with FLAIR over them.
    """
    listed = []
    for row in rows:
        reasons = [*_apart(row, found), *_no_overlap(row), *_two_groups_off(row)]
        if reasons:
            text = "; ".join(reason for reason, _ in reasons)
            listed.append(Outlier(str(row["unit"]), text, max(size for _, size in reasons)))
    return sorted(listed, key=lambda outlier: (-outlier.size, outlier.unit))


def _apart(row: Mapping[str, object], found: Agreement) -> list[tuple[str, float]]:
    """Tell a difference outside the limits of agreement; its size is in standard deviations."""
    if row["in_agreement"] != "yes" or not found.difference_sd > 0:
        return []
    difference = number_in(row["ct_in_flair_ml"]) - number_in(row["flair_wml_ml"])
    if found.lower_limit.value <= difference <= found.upper_limit.value:
        return []
    size = abs(difference - found.bias.value) / found.difference_sd
    word = "more" if difference > 0 else "less"
    text = (
        f"CT measures {abs(difference):.1f} mL {word} than FLAIR, outside the limits of agreement"
    )
    return [(text, size)]


def _no_overlap(row: Mapping[str, object]) -> list[tuple[str, float]]:
    volumes = [number_in(row[name]) for name in ("ct_in_flair_ml", "flair_wml_ml")]
    if row["in_agreement"] != "yes" or number_in(row["dice"]) > 0 or min(volumes) < LESIONS_ML:
        return []
    return [("no lesion of the CT lies on one of the FLAIR", 3.0)]


def _two_groups_off(row: Mapping[str, object]) -> list[tuple[str, float]]:
    rated, found = row["fazekas_group"], []
    for image in IMAGES:
        estimated = row.get(f"fazekas_from_{image}", MISSING)
        if MISSING in (rated, estimated):
            continue
        if abs(GROUPS.index(rated) - GROUPS.index(estimated)) == 2:
            text = f"rated Fazekas {rated}, but {estimated} by its volume on {image.upper()}"
            found.append((text.replace("0-1", "0–1"), 4.0))
    return found
