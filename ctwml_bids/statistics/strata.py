"""Parts of a cohort that its results are given for, and the summaries of a part.

By visual Fazekas group, and by what may change the images: scanner, slice thickness, days between
CT and FLAIR.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ctwml_bids.statistics.tables import MISSING, number_in

ALL = "all"
# What is 1 by definition where neither image has a lesion, and says nothing of such a unit.
ONE_IF_EMPTY = ("dice", "lesion_recall", "lesion_f1")


@dataclass(frozen=True)
class Summary:
    """Location and spread of the numbers that there are; NaN without any.

    `sd` is over n − 1; `q1` and `q3` are the quartiles.
    """

    count: int
    mean: float = math.nan
    sd: float = math.nan
    median: float = math.nan
    q1: float = math.nan
    q3: float = math.nan
    minimum: float = math.nan
    maximum: float = math.nan


def summarise(values: Iterable[float]) -> Summary:
    """Summarise numbers, leaving NaN out."""
    array = np.asarray(list(values), dtype=float)
    array = array[np.isfinite(array)]
    if not array.size:
        return Summary(0)
    q1, median, q3 = (float(q) for q in np.percentile(array, (25, 50, 75)))
    sd = float(array.std(ddof=1)) if array.size > 1 else math.nan
    return Summary(
        int(array.size),
        float(array.mean()),
        sd,
        median,
        q1,
        q3,
        float(array.min()),
        float(array.max()),
    )


def thickness_class(mm: object) -> str:
    """Return the class of a slice thickness in mm."""
    return _class(number_in(mm), (2.0, 4.0), ("up to 2 mm", "over 2 to 4 mm", "over 4 mm"))


def interval_class(days: object) -> str:
    """Return the class of the days between CT and FLAIR; six weeks are the paper's limit."""
    names = ("up to 1 day", "over 1 to 7 days", "over 7 to 42 days", "over 42 days")
    return _class(number_in(days), (1.0, 7.0, 42.0), names)


# What a cohort is parted by → column of units.tsv, what names the class of its value, heading.
STRATA: dict[str, tuple[str, Callable[[object], str], str]] = {
    "fazekas": ("fazekas_group", str, "Fazekas group"),
    "ct_scanner": ("ct_scanner", str, "CT scanner"),
    "flair_scanner": ("flair_scanner", str, "FLAIR scanner"),
    "ct_slice_thickness": ("ct_slice_thickness_mm", thickness_class, "CT slice thickness"),
    "flair_slice_thickness": ("flair_slice_thickness_mm", thickness_class, "FLAIR slice thickness"),
    "days": ("days_apart", interval_class, "days between CT and FLAIR"),
}


def strata(units: Sequence[Mapping[str, object]]) -> list[tuple[str, str, list[int]]]:
    """Part the units in every way in which they are known to differ.

    Parameters
    ----------
    units
        Rows of units.tsv.

    Returns
    -------
    list of (by, stratum, indices)
        First all units (``all``, ``all``), then each class of each of `STRATA`; a class that all
        units share, where every one of them is known, is given too. Units of which nothing is
        known are in no class of that kind.
    """
    found = [(ALL, ALL, list(range(len(units))))]
    for by, (column, classify, _) in STRATA.items():
        members: dict[str, list[int]] = {}
        for index, row in enumerate(units):
            value = row.get(column, MISSING)
            if value not in (MISSING, "", None):
                members.setdefault(classify(value), []).append(index)
        found += [(by, name, members[name]) for name in sorted(members, key=_order)]
    return found


def demographics(
    units: Sequence[Mapping[str, object]], parts: Sequence[tuple[str, str, Sequence[int]]]
) -> list[dict[str, object]]:
    """Return the cohort's Table 1: age and sex of the subjects, by part.

    Parameters
    ----------
    units
        Rows with ``participant_id``, ``age`` (years) and ``sex`` (``F``, ``M``, other or n/a).
        A subject with several sessions counts once in a part, with the age of the first.
    parts
        From `strata`.
    """
    rows = []
    for by, stratum, indices in parts:
        people: dict[object, Mapping[str, object]] = {}
        for index in indices:
            people.setdefault(units[index]["participant_id"], units[index])
        age = summarise(number_in(row["age"]) for row in people.values())
        sexes = [row["sex"] for row in people.values() if row["sex"] != MISSING]
        female = 100 * sexes.count("F") / len(sexes) if sexes else math.nan
        rows.append(
            {
                "by": by,
                "stratum": stratum,
                "units": len(indices),
                "subjects": len(people),
                "age_known": age.count,
                "age_mean": age.mean,
                "age_sd": age.sd,
                "sex_known": len(sexes),
                "female_percent": female,
            }
        )
    return rows


def measure_rows(
    units: Sequence[Mapping[str, object]],
    parts: Sequence[tuple[str, str, Sequence[int]]],
    measures: Sequence[str],
) -> list[dict[str, object]]:
    """Summarise measures in each part of a cohort.

    What is 1 by definition in units without a lesion on either image (`ONE_IF_EMPTY`) is summarised
    over the others; how many there are is the row ``both_empty``, whose count says it.
    """
    rows = []
    for by, stratum, indices in parts:
        members = [units[index] for index in indices]
        for measure in measures:
            summary = summarise_measure(members, measure)
            rows.append({"by": by, "stratum": stratum, "measure": measure, **asdict(summary)})
        empty = Summary(sum(_both_empty(row) for row in members))
        rows.append({"by": by, "stratum": stratum, "measure": "both_empty", **asdict(empty)})
    return rows


def summarise_measure(units: Sequence[Mapping[str, object]], measure: str) -> Summary:
    """Summarise a column of units.tsv, `ONE_IF_EMPTY` over units with a lesion on either image."""
    counted = [row for row in units if not (measure in ONE_IF_EMPTY and _both_empty(row))]
    return summarise(number_in(row.get(measure, MISSING)) for row in counted)


def _both_empty(row: Mapping[str, object]) -> bool:
    return row.get("both_empty") == "true"


def _class(value: float, edges: Sequence[float], names: Sequence[str]) -> str:
    return names[bisect_left(edges, value)]


def _order(name: str) -> tuple[int, str]:
    """Order classes by size, others by name."""
    known = [thickness_class(1.0), thickness_class(3.0), thickness_class(5.0)]
    known += [interval_class(days) for days in (0.0, 3.0, 20.0, 60.0)]
    return (known.index(name), "") if name in known else (len(known), name)
