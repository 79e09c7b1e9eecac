"""Fazekas thresholds with their provenance: what `group` saves and `participant` states from.

A threshold is worth what the cohort it came from is worth: a statement of a group always names it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctwml_bids.errors import InvalidInputError, NoInputError
from ctwml_bids.modality import IMAGES
from ctwml_bids.reading import read_json
from ctwml_bids.statistics.fazekas import GROUPS, Thresholds
from ctwml_bids.statistics.tables import MISSING, number_in

LITERATURE = "literature"
# No volume in a head is as large (mL).
_MOST_ML = 1e6


@dataclass(frozen=True)
class ThresholdSet:
    """Thresholds of one cohort.

    Attributes
    ----------
    name
        What to call them.
    cohort
        Where they are from, in words that can follow "from".
    thresholds
        ``ct`` and/or ``flair`` → thresholds in mL.
    models
        ``ct`` and/or ``flair`` → model that the cohort's volumes were measured with, as far as
        it is known.
    """

    name: str
    cohort: str
    thresholds: Mapping[str, Thresholds]
    models: Mapping[str, str] = field(default_factory=dict)

    def state(self, image: str, volume_ml: float, model: str = "") -> dict[str, str | float] | None:
        """State the Fazekas group of one volume.

        Parameters
        ----------
        image
            ``ct`` or ``flair``.
        volume_ml
            Lesion volume in mL.
        model
            That measured it.

        Returns
        -------
        dict or None
            ``group``, thresholds, and a sentence that says where they are from; None where the
            set has none for this image.
        """
        cuts = self.thresholds.get(image)
        if cuts is None or not math.isfinite(volume_ml):
            return None
        group = GROUPS[int(cuts.group([volume_ml])[0])]
        sentence = (
            f"Fazekas group {group} by the lesion volume on {image.upper()} ({volume_ml:.1f} mL; "
            f"group 2 from {_ml(cuts.low)}, group 3 from {_ml(cuts.high)}). The thresholds are "
            f"from {self.cohort}."
        )
        before = self.models.get(image)
        if before and model and before != model:
            sentence += (
                f" They were fitted to volumes of the model {before}, this volume is of {model}: "
                "the two need not measure alike."
            )
        return {
            "group": group,
            "low_ml": cuts.low,
            "high_ml": cuts.high,
            "name": self.name,
            "cohort": self.cohort,
            "sentence": sentence,
        }

    def described(self) -> dict[str, Any]:
        """Return all of it as plain values, for JSON; `from_record` reads it."""
        return {
            "Name": self.name,
            "Cohort": {"Description": self.cohort},
            "Models": dict(self.models),
            "Thresholds": {
                image: {"Low": cuts.low, "High": _finite(cuts.high), "Units": "mL"}
                for image, cuts in self.thresholds.items()
            },
        }


def stated(
    rows: Sequence[Mapping[str, object]], thresholds: ThresholdSet
) -> tuple[list[dict[str, object]], dict[str, dict[str, str | float]]]:
    """State the group of each image of a unit.

    Parameters
    ----------
    rows
        Of the unit's statistics table (`tables.unit_rows`).
    thresholds
        What to state it from.

    Returns
    -------
    rows, statements
        The rows with ``fazekas_group``; image → `ThresholdSet.state`.
    """
    found, statements = [], {}
    for row in rows:
        image = str(row["image"])
        said = None
        if image in IMAGES:
            said = thresholds.state(image, number_in(row["wml_ml"]), str(row["model"]))
        if said is not None:
            statements[image] = said
        found.append({**row, "fazekas_group": said["group"] if said else MISSING})
    return found, statements


def literature() -> ThresholdSet:
    """Return the cold start: cuts to begin with where no cohort with ratings is at hand.

    About 7 and 15 mL on MRI part Fazekas 0–1, 2 and 3 in published cohorts; they are round
    numbers, were not fitted to volumes of this program, and CT is given the same.
    """
    cuts = Thresholds(7.0, 15.0)
    return ThresholdSet(
        LITERATURE,
        "the literature (a cold start: round numbers from MRI, not fitted to any cohort of this "
        "program)",
        {image: cuts for image in IMAGES},
    )


def from_record(content: object) -> ThresholdSet:
    """Read what `group` wrote to ``fazekas_thresholds.json``.

    Raises
    ------
    ValueError
        It is something else; the message says what is wrong.
    """
    if not isinstance(content, dict) or not isinstance(content.get("Thresholds"), dict):
        raise ValueError("it has no Thresholds")
    found = {}
    for image, cuts in content["Thresholds"].items():
        if image not in IMAGES:
            raise ValueError(f"it has thresholds for {image!r}; known are ct and flair")
        found[image] = _thresholds(image, cuts)
    if not found:
        raise ValueError("its Thresholds are empty")
    cohort = content.get("Cohort")
    described = cohort.get("Description") if isinstance(cohort, dict) else None
    if not isinstance(described, str) or not described:
        raise ValueError("it does not say which cohort it is from (Cohort, Description)")
    models = content.get("Models", {})
    if not isinstance(models, dict):
        raise ValueError("its Models are no object {...}")
    return ThresholdSet(str(content.get("Name", "")), described, found, models)


def _thresholds(image: str, cuts: object) -> Thresholds:
    stated = cuts if isinstance(cuts, dict) else {"Low": "", "High": ""}
    low = _volume(image, "Low", stated.get("Low"))
    # No group 3 is null: no volume is so large.
    is_open = "High" in stated and stated["High"] is None
    high = math.inf if is_open else _volume(image, "High", stated.get("High"))
    if low > high:
        raise ValueError(f"its thresholds for {image} are in the wrong order: {low} and {high}")
    return Thresholds(float(low), float(high))


def _volume(image: str, name: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MOST_ML:
        return value
    raise ValueError(f"its threshold {name} for {image} is {value!r:.80}, not a volume in mL")


def _ml(value: float) -> str:
    return f"{value:.1f} mL" if math.isfinite(value) else "no volume"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def read_thresholds(value: str) -> ThresholdSet:
    """Read thresholds from a file that `group` saved, or take the cold start by its name.

    Parameters
    ----------
    value
        A path, or ``literature``.

    Raises
    ------
    NoInputError
        The file is not there.
    InvalidInputError
        It is something else than saved thresholds.
    """
    if value == LITERATURE:
        return literature()
    path = Path(value)
    try:
        return from_record(read_json(path))
    except OSError as error:
        raise NoInputError(
            f"{path}: the Fazekas thresholds cannot be read ({error.strerror}); give the "
            f"fazekas_thresholds.json of a group, or {LITERATURE}."
        ) from error
    except ValueError as error:
        raise InvalidInputError(
            f"{path}: is no file of Fazekas thresholds: {error}. Give the fazekas_thresholds.json "
            f"that the group level saved, or {LITERATURE}."
        ) from error
