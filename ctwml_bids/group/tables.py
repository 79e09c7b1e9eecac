"""The tables of the group level, each with a JSON file that describes its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ctwml_bids.bids.files import write_json, write_tsv
from ctwml_bids.group.units import Row
from ctwml_bids.modality import IMAGES
from ctwml_bids.statistics.agreement import Estimate
from ctwml_bids.statistics.cohort import Cohort, Part
from ctwml_bids.statistics.columns import COLUMNS, OVERLAP, unit_columns
from ctwml_bids.statistics.fazekas import GROUPS
from ctwml_bids.statistics.resampling import SEED
from ctwml_bids.statistics.strata import ALL, STRATA, demographics, measure_rows, strata

# Name of a column → what its JSON file says of it.
Columns = Mapping[str, Mapping[str, object]]
_PART: Columns = {
    "by": {
        "Description": "What the cohort is parted by",
        "Levels": {ALL: "not at all", **{by: text for by, (_, _, text) in STRATA.items()}},
    },
    "stratum": {"Description": "Which part; all is the whole cohort"},
}
AGREEMENT_COLUMNS: Columns = {
    **_PART,
    "measure": {"Description": "What is estimated"},
    "value": {"Description": "The estimate"},
    "ci_low": {"Description": "Lower end of its 95% confidence interval by formula"},
    "ci_high": {"Description": "Upper end of that interval"},
    "bootstrap_low": {
        "Description": "Lower end of its 95% percentile interval over resampled subjects"
    },
    "bootstrap_high": {"Description": "Upper end of that interval"},
    "unit_of_value": {"Description": "Unit of the estimate; n/a where it has none"},
}
MEASURE_COLUMNS: Columns = {
    **_PART,
    "measure": {
        "Description": "Column of units.tsv; dice, lesion_recall and lesion_f1 are over units with "
        "a lesion on either image, and both_empty counts those without"
    },
    "count": {"Description": "Number of units with a value"},
    "mean": {"Description": "Mean"},
    "sd": {"Description": "Standard deviation (n - 1)"},
    "median": {"Description": "Median"},
    "q1": {"Description": "First quartile"},
    "q3": {"Description": "Third quartile"},
    "minimum": {"Description": "Smallest"},
    "maximum": {"Description": "Largest"},
}
DEMOGRAPHICS_COLUMNS: Columns = {
    **_PART,
    "units": {"Description": "Number of units"},
    "subjects": {"Description": "Number of subjects"},
    "age_known": {"Description": "Number of subjects whose age is known"},
    "age_mean": {"Description": "Mean age", "Units": "year"},
    "age_sd": {"Description": "Standard deviation (n - 1) of the age", "Units": "year"},
    "sex_known": {"Description": "Number of subjects whose sex is known"},
    "female_percent": {"Description": "Share of females among them", "Units": "%"},
}
CONFUSION_COLUMNS: Columns = {
    **_PART,
    "image": {"Description": "Image whose lesion volume the group is estimated from"},
    "rated": {"Description": "Visually rated Fazekas group"},
    **{
        f"estimated_{group}": {
            "Description": f"Number of units estimated as Fazekas {group}, out of fold"
        }
        for group in GROUPS
    },
}
EXCLUDED_COLUMNS: Columns = {
    "unit": {"Description": "Subject, or subject and session"},
    "why": {
        "Description": "What left it out",
        "Levels": {
            "unfinished": "It has no results",
            "excluded": "--exclude names it",
            "quality": "A quality gate failed",
        },
    },
    "reason": {"Description": "In words"},
}
MEASURES = (
    "ct_wml_ml",
    "flair_wml_ml",
    "ct_infarct_ml",
    "flair_infarct_ml",
    "ct_in_flair_ml",
    "ct_wml_percent",
    "flair_wml_percent",
    "ct_lesion_count",
    "flair_lesion_count",
    "dice",
    *OVERLAP,
)
_ESTIMATES = (
    ("pearson_r", "pearson", None),
    ("slope", "slope", None),
    ("intercept", "intercept", "mL"),
    ("deming_slope", "deming_slope", None),
    ("deming_intercept", "deming_intercept", "mL"),
    ("bias", "bias", "mL"),
    ("limit_of_agreement_lower", "lower_limit", "mL"),
    ("limit_of_agreement_upper", "upper_limit", "mL"),
    ("ccc", "ccc", None),
    ("icc_2_1", "icc", None),
)


def write_tables(
    folder: Path,
    cohort: Cohort,
    excluded: Sequence[Mapping[str, str]],
    about: Mapping[str, object],
) -> None:
    """Write all tables.

    Parameters
    ----------
    folder
        ``group/``, or that of a model label in it.
    cohort
        The results.
    excluded
        Rows of excluded.tsv.
    about
        Of the agreement, for its JSON file.
    """
    _write(folder, "units", cohort.units, unit_descriptions())
    agreement = [row for part in cohort.parts for row in _agreement_rows(part)]
    bootstrap = {
        "Draws": cohort.draws,
        "Seed": SEED,
        "Resampled": "subjects, with all of their units",
    }
    _write(folder, "agreement", agreement, AGREEMENT_COLUMNS, Agreement=about, Bootstrap=bootstrap)
    taking = cohort.rows()
    parts = strata(taking)
    _write(folder, "measures", measure_rows(taking, parts, MEASURES), MEASURE_COLUMNS)
    _write(folder, "demographics", demographics(taking, parts), DEMOGRAPHICS_COLUMNS)
    confusion = [row for part in cohort.parts for row in _confusion_rows(part)]
    _write(folder, "confusion", confusion, CONFUSION_COLUMNS)
    _write(folder, "excluded", excluded, EXCLUDED_COLUMNS)


def table_1(cohort: Cohort) -> Sequence[Row]:
    """Return the cohort's Table 1: all, then each Fazekas group."""
    taking = cohort.rows()
    return demographics(taking, [part for part in strata(taking) if part[0] in (ALL, "fazekas")])


def unit_descriptions() -> Columns:
    """Return the columns of units.tsv with their descriptions, in order."""
    described: dict[str, Mapping[str, object]] = {
        "unit": {"Description": "Subject, or subject and session"},
        "participant_id": {"Description": "Subject"},
        "session_id": {"Description": "Session; n/a where there is none"},
        "age": {"Description": "Age", "Units": "year"},
        "sex": {"Description": "Sex", "Levels": {"F": "female", "M": "male", "O": "other"}},
        "fazekas_grade": {"Description": "Visual Fazekas rating, 0 to 3; n/a for a group alone"},
        "fazekas_group": {"Description": "Group of the visual rating: 0-1, 2 or 3"},
        "fazekas_from_ct": {"Description": "Group by the volume on CT; of rated units out of fold"},
        "fazekas_from_flair": {"Description": "Group by the volume on FLAIR; likewise"},
        "qc": COLUMNS["qc"],
        "qc_reason": {"Description": "What the worst quality gates found"},
        "included": {"Description": "yes, or why the unit is left out of all analyses"},
        "in_agreement": {"Description": "yes, or why the unit is not compared"},
        "ct_scanner": {"Description": "Manufacturer and model of the CT scanner"},
        "flair_scanner": {"Description": "Manufacturer and model of the MRI scanner"},
        "ct_slice_thickness_mm": {"Description": "Slice thickness of the CT", "Units": "mm"},
        "flair_slice_thickness_mm": {"Description": "Slice thickness of the FLAIR", "Units": "mm"},
        "days_apart": {"Description": "Days between CT and FLAIR", "Units": "day"},
        "out_of_fold": {
            "Description": "Images (ct, flair) whose lesions are out-of-fold: from networks that "
            "were not trained on the subject; n/a where the model is the participant level's"
        },
        "ct_in_flair_ml": {
            "Description": "Lesion volume of CT in FLAIR space (true_positive_ml + ct_only_ml), "
            "which is compared with flair_wml_ml",
            "Units": "mL",
        },
    }
    for name, (image, column) in unit_columns().items():
        where = "" if image == "pair" else f" ({image.upper()})"
        about = COLUMNS[column]
        described[name] = {**about, "Description": f"{about['Description']}{where}"}
    return described


def _write(
    folder: Path,
    name: str,
    rows: Sequence[Mapping[str, object]],
    columns: Columns,
    **more: object,
) -> None:
    write_tsv(folder / f"{name}.tsv", rows, list(columns))
    write_json(folder / f"{name}.json", {**columns, **more})


def _agreement_rows(part: Part) -> list[dict[str, object]]:
    where = {"by": part.by, "stratum": part.stratum}
    found = part.agreement
    rows: list[dict[str, object]] = [{"measure": "pairs", "value": found.pairs}]
    rows += [_estimate(name, getattr(found, field), unit) for name, field, unit in _ESTIMATES]
    rows.append({"measure": "difference_sd", "value": found.difference_sd, "unit_of_value": "mL"})
    rows.append(_estimate("mean_dice", part.dice))
    rows.append({"measure": "both_empty", "value": part.both_empty})
    for image in IMAGES:
        rows.append(_estimate(f"spearman_fazekas_{image}", part.spearman[image]))
        rows.append(_estimate(f"fazekas_share_right_{image}", part.share_right[image]))
        rows.append(_estimate(f"fazekas_kappa_{image}", part.kappa[image]))
    return [{**where, **row} for row in rows]


def _estimate(name: str, found: Estimate, unit: str | None = None) -> dict[str, object]:
    return {
        "measure": name,
        "value": found.value,
        "ci_low": found.low,
        "ci_high": found.high,
        "bootstrap_low": found.boot_low,
        "bootstrap_high": found.boot_high,
        "unit_of_value": unit,
    }


def _confusion_rows(part: Part) -> list[dict[str, object]]:
    where = {"by": part.by, "stratum": part.stratum}
    rows = []
    for image in IMAGES:
        for rated, counts in zip(GROUPS, part.counts[image].tolist(), strict=True):
            found = {f"estimated_{group}": n for group, n in zip(GROUPS, counts, strict=True)}
            rows.append({**where, "image": image, "rated": rated, **found})
    return rows
