"""The statistics table of one unit: its rows.

One row per image (``ct``, ``flair``) and, where both exist, one row ``pair`` with the agreement
of the two in FLAIR space. What a row does not have is ``n/a``, as BIDS asks of tables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import SupportsFloat

from ctwml_bids.modality import IMAGES
from ctwml_bids.statistics.columns import COLUMNS, COUNTS
from ctwml_bids.statistics.overlap import Overlap
from ctwml_bids.statistics.regions import LesionMeasures

MISSING = "n/a"


def unit_rows(
    measures: Mapping[str, LesionMeasures],
    *,
    qc: str,
    thresholds: Mapping[str, float],
    models: Mapping[str, str],
    infarcts_ml: Mapping[str, float | None],
    pair: Overlap | None,
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
    infarcts_ml
        Infarct volumes by image; None where a model does not tell them apart.
    pair
        Overlap of CT and FLAIR lesions in FLAIR space, or None.

    Returns
    -------
    list of dict
        Every row has all of `COLUMNS`, in order; volumes rounded to 0.1 µL.
    """
    rows = []
    for image in IMAGES:
        if image in measures:
            found = {
                "infarct_ml": infarcts_ml[image],
                "threshold": thresholds[image],
                "model": models[image],
            }
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
    if value == MISSING:
        return math.nan
    if not isinstance(value, str | float | SupportsFloat):
        raise TypeError(f"a cell is a string or a number, not {value!r}")
    return float(value)


def _row(image: str, qc: str, found: Mapping[str, object]) -> dict[str, object]:
    values = {**found, "image": image, "qc": qc}
    return {name: cell(values.get(name)) for name in COLUMNS}
