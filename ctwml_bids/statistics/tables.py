"""The statistics table of one unit: its columns and its rows.

One row per image (``ct``, ``flair``) and, where both exist, one row ``pair`` with the agreement
of the two in FLAIR space. What a row does not have is ``n/a``, as BIDS asks of tables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ctwml_bids.statistics.overlap import Overlap
from ctwml_bids.statistics.regions import MINIMUM_LESION_ML, LesionMeasures

MISSING = "n/a"

_SIZE = f"of at least {MINIMUM_LESION_ML} mL (a ball of 3 mm across)"
_PAIR = "in FLAIR space, FLAIR as the reference"

# Column → description, unit and levels (value → meaning), as in the JSON sidecar of the table.
COLUMNS: dict[str, dict[str, str | dict[str, str]]] = {
    "image": {
        "Description": "Image that the row is about",
        "Levels": {
            "ct": "Measures of the CT in its own space",
            "flair": "Measures of the FLAIR in its own space",
            "pair": "Agreement of CT with FLAIR in FLAIR space",
        },
    },
    "wml_ml": {"Description": "White matter lesion volume in the image's space", "Units": "mL"},
    "brain_ml": {
        "Description": "Brain mask volume: parenchyma with ventricles and sulci, cerebellum and "
        "brainstem down to the foramen magnum",
        "Units": "mL",
    },
    "wml_percent": {"Description": "wml_ml as a percentage of brain_ml", "Units": "%"},
    "lesion_count": {"Description": f"Number of 26-connected lesions {_SIZE}"},
    "lesion_median_ml": {"Description": "Median volume of these lesions", "Units": "mL"},
    "lesion_largest_ml": {"Description": "Volume of the largest lesion", "Units": "mL"},
    "speck_ml": {
        "Description": "Part of wml_ml in foci that are too small to be counted as lesions",
        "Units": "mL",
    },
    "periventricular_ml": {
        "Description": "Lesion volume within 10 mm of the ventricles",
        "Units": "mL",
    },
    "deep_ml": {
        "Description": "Lesion volume more than 10 mm from the ventricles",
        "Units": "mL",
    },
    "left_ml": {"Description": "Lesion volume in the patient's left hemisphere", "Units": "mL"},
    "right_ml": {"Description": "Lesion volume in the patient's right hemisphere", "Units": "mL"},
    "ventricle_ml": {"Description": "Volume of the ventricle mask", "Units": "mL"},
    "threshold": {"Description": "Probability above which a voxel counts as a lesion"},
    "model": {"Description": "Model that segmented the image"},
    "fazekas_group": {
        "Description": "Fazekas group by wml_ml, with --fazekas-thresholds; no visual rating. The "
        "thresholds and the cohort they are from are in Facts",
        "Levels": {"0-1": "no or mild lesions", "2": "moderate lesions", "3": "severe lesions"},
    },
    "dice": {"Description": f"Dice overlap of CT and FLAIR lesions, {_PAIR}; 1 if both are empty"},
    "both_empty": {"Description": "Neither image has a lesion: the Dice of 1 says nothing"},
    "true_positive_ml": {"Description": f"Lesion volume on both images, {_PAIR}", "Units": "mL"},
    "ct_only_ml": {"Description": f"Lesion volume on CT but not on FLAIR, {_PAIR}", "Units": "mL"},
    "flair_only_ml": {
        "Description": f"Lesion volume on FLAIR but not on CT, {_PAIR}",
        "Units": "mL",
    },
    "h95_mm": {
        "Description": f"95th-percentile Hausdorff distance, {_PAIR} (WMH challenge definition)",
        "Units": "mm",
    },
    "avd_percent": {
        "Description": f"Absolute volume difference, {_PAIR} (WMH challenge definition)",
        "Units": "%",
    },
    "lesion_recall": {
        "Description": f"Share of FLAIR lesions of any size that CT touches, {_PAIR} (WMH "
        "challenge definition)",
    },
    "lesion_f1": {
        "Description": f"F1 over 26-connected lesions of any size, {_PAIR} (WMH challenge "
        "definition)",
    },
    "qc": {
        "Description": "Worst quality gate of the unit",
        "Levels": {
            "pass": "Every gate passed",
            "warn": "At least one gate asks for a look at the images; none failed",
            "fail": "At least one gate failed: its numbers cannot be trusted",
        },
    },
}

# Columns of whole numbers; all others that are numbers are measures.
COUNTS = ("lesion_count", "lesion")
# Columns of text.
NOT_NUMBERS = ("image", "model", "both_empty", "fazekas_group", "qc")
# Measures of a pair besides its Dice.
OVERLAP = tuple(name for name in Overlap.__dataclass_fields__ if name not in ("dice", "both_empty"))
LESION_COLUMNS: dict[str, dict[str, str]] = {
    "image": {"Description": "Image that the lesion was seen in"},
    "lesion": {"Description": f"Number of the lesion, largest first; lesions {_SIZE}"},
    "volume_ml": {"Description": "Volume", "Units": "mL"},
    "x_mm": {"Description": "Centre of mass in the image's RAS space, to the right", "Units": "mm"},
    "y_mm": {"Description": "Centre of mass, to the front", "Units": "mm"},
    "z_mm": {"Description": "Centre of mass, upwards", "Units": "mm"},
    "ventricle_distance_mm": {
        "Description": "From its nearest voxel to the ventricles",
        "Units": "mm",
    },
}


def unit_rows(
    measures: Mapping[str, LesionMeasures],
    *,
    qc: str,
    thresholds: Mapping[str, float],
    models: Mapping[str, str],
    pair: Overlap | None = None,
) -> list[dict[str, object]]:
    """Return the rows of one unit's statistics table.

    Parameters
    ----------
    measures
        ``ct`` and/or ``flair`` → measures of that image in its own space.
    qc
        Overall status of the unit's gates.
    thresholds, models
        By image, ``ct`` and/or ``flair``.
    pair
        Overlap of CT and FLAIR lesions in FLAIR space, or None.

    Returns
    -------
    list of dict
        Every row has all of `COLUMNS`, in order; volumes rounded to 0.1 µL.
    """
    rows = []
    for image in ("ct", "flair"):
        if image in measures:
            found = {"threshold": thresholds[image], "model": models[image]}
            rows.append(_row(image, qc, vars(measures[image]) | found))
    if pair is not None:
        rows.append(_row("pair", qc, vars(pair)))
    return rows


def lesion_rows(image: str, measures: LesionMeasures) -> list[dict[str, object]]:
    """Return one row per lesion, largest first: volume, centroid, distance to the ventricles."""
    return [
        {
            "image": image,
            "lesion": number,
            "volume_ml": cell(lesion.volume_ml),
            "x_mm": cell(lesion.centroid_mm[0], 1),
            "y_mm": cell(lesion.centroid_mm[1], 1),
            "z_mm": cell(lesion.centroid_mm[2], 1),
            "ventricle_distance_mm": cell(lesion.ventricle_distance_mm, 1),
        }
        for number, lesion in enumerate(measures.lesions, start=1)
    ]


def cell(value: object, digits: int = 4) -> object:
    """Return a value fit for a BIDS table: rounded, and ``n/a`` for None, NaN and infinity.

    A number has six significant digits at most, as the table is written with: whoever reads the
    table has the same number.
    """
    value = value.item() if hasattr(value, "item") else value
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return MISSING
    return float(f"{round(value, digits):.6g}") if isinstance(value, float) else value


def read_cell(column: str, text: str) -> object:
    """Return what `cell` had made of a value, from the table's text."""
    if column in COUNTS and text.isdigit():
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text


def number_in(value: object) -> float:
    """Return a cell's number; NaN for ``n/a``."""
    return math.nan if value == MISSING else float(value)


def unit_columns() -> dict[str, tuple[str, str]]:
    """Return the columns of a table with one row per unit: name → (image, column).

    Those of one image have its name in front, ``ct_wml_ml``; those of the pair keep theirs.
    """
    of_pair = tuple(Overlap.__dataclass_fields__)
    of_image = [name for name in COLUMNS if name not in (*of_pair, "image", "qc")]
    named = {f"{image}_{name}": (image, name) for image in ("ct", "flair") for name in of_image}
    return named | {name: ("pair", name) for name in COLUMNS if name in of_pair}


def _row(image: str, qc: str, found: Mapping[str, object]) -> dict[str, object]:
    values = {**found, "image": image, "qc": qc}
    return {name: cell(values.get(name)) for name in COLUMNS}
