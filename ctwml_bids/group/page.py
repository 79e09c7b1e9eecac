"""Tables on the page of a cohort, from its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from ctwml_bids.bids.labels import first_of
from ctwml_bids.group.figures import by_group, rated
from ctwml_bids.group.units import SHOWN, Row
from ctwml_bids.modality import IMAGES
from ctwml_bids.reports import sentences
from ctwml_bids.statistics.cohort import Cohort
from ctwml_bids.statistics.columns import group_labels, unit_column
from ctwml_bids.statistics.strata import ALL, summarise_measure
from ctwml_bids.statistics.tables import MISSING


def cohort_notes(cohort: Cohort) -> list[str]:
    """Say what a reader must know of the units that are used, in sentences."""
    rows, notes = cohort.rows(), []
    for image in IMAGES:
        count = sum(image in row["out_of_fold"].split() for row in rows)
        if count:
            notes.append(
                f"The {image.upper()} lesions of {count} of {len(rows)} units are out-of-fold: "
                "from networks that were not trained on the subject (column out_of_fold of "
                "units.tsv)."
            )
    notes += _without_infarcts(rows)
    subjects = len({row["participant_id"] for row in rows})
    if subjects < len(rows):
        notes.append(
            f"{len(rows)} units are of {subjects} subjects: intervals by bootstrap and the "
            "cross-validation keep those of one subject together, intervals by formula do not."
        )
    return notes


def _without_infarcts(rows: Sequence[Row]) -> list[str]:
    """Name the units whose models do not tell infarcts apart, where those of others do."""
    told, untold = (
        {
            image: [
                row["unit"]
                for row in rows
                if row[unit_column(image, "wml_ml")] != MISSING
                and (row[unit_column(image, "infarct_ml")] != MISSING) == is_told
            ]
            for image in IMAGES
        }
        for is_told in (True, False)
    )
    if not any(told.values()):
        return []
    return [
        f"On {image.upper()} infarcts are not told from white matter lesions in {len(units)} of "
        f"{len(units) + len(told[image])} units, as their model has no such class: they have no "
        "infarct volume, and infarcts may be part of their white matter lesions "
        f"({first_of(units, SHOWN)})."
        for image, units in untold.items()
        if units
    ]


def measure_table(
    cohort: Cohort,
) -> tuple[tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]]:
    """Return the page's table of measures: headings, then a label and one text for each."""
    parts = [(ALL, "All"), *((g, rated(g)) for g in by_group(cohort))]
    taking = cohort.rows()
    members = [[r for r in taking if part in (ALL, r["fazekas_group"])] for part, _ in parts]
    rows = []
    for name, (label, digits) in group_labels().items():
        summaries = [asdict(summarise_measure(of, name)) for of in members]
        if summaries[0]["count"]:
            rows.append((label, tuple(sentences.spread(found, digits) for found in summaries)))
    return tuple(heading for _, heading in parts), tuple(rows)


def unit_labels() -> dict[str, tuple[str, int]]:
    """Return the columns of units.tsv on the page, in order: label, digits."""
    labels = group_labels()
    volumes = ("ct_wml_ml", "flair_wml_ml", "ct_infarct_ml", "flair_infarct_ml")
    pair = ("dice", "true_positive_ml", "ct_only_ml", "flair_only_ml", "h95_mm", "lesion_f1")
    return {
        "age": ("Age", 0),
        "sex": ("Sex", 0),
        "fazekas_group": ("Fazekas, rated", 0),
        **{name: labels[name] for name in volumes},
        "fazekas_from_ct": ("Fazekas from CT", 0),
        "fazekas_from_flair": ("Fazekas from FLAIR", 0),
        **{name: labels[name] for name in pair},
        "days_apart": ("Days apart", 0),
    }


def confusion_tables(cohort: Cohort) -> tuple[tuple[str, list[list[int]], str], ...]:
    """Return the page's confusion matrices: image, counts with the rated group by rows, share."""
    whole = cohort.whole
    return tuple(
        (image.upper(), counts.tolist(), sentences.percent(asdict(whole.share_right[image])))
        for image, counts in whole.counts.items()
        if counts.sum()
    )


def strata_rows(cohort: Cohort, headings: Mapping[str, str]) -> list[dict[str, object]]:
    """Return the page's table of results by scanner and scan; `headings` names each kind."""
    rows = []
    for part in cohort.parts:
        if part.by not in headings or part.by in (ALL, "fazekas"):
            continue
        found = asdict(part.agreement)
        rows.append(
            {
                "part": f"{headings[part.by][0].upper()}{headings[part.by][1:]}: {part.stratum}",
                "units": part.units,
                "pairs": found["pairs"],
                "r": _short(found["pearson"]),
                "slope": _short(found["slope"]),
                "bias": _short(found["bias"], 1),
                "ccc": _short(found["ccc"]),
                "dice": _short(asdict(part.dice)),
                "right": _short(asdict(part.share_right["ct"])),
            }
        )
    return rows


def _short(estimate: Mapping[str, float], digits: int = 2) -> str:
    if not sentences.known(estimate):
        return "–"
    return sentences.with_interval(estimate, digits).replace("95% CI ", "")
