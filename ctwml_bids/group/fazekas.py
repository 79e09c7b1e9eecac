"""Fazekas thresholds of a cohort in a file: saved by `group`, read for `participant`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from ctwml_bids.bids.files import write_json
from ctwml_bids.statistics.cohort import Cohort
from ctwml_bids.statistics.fazekas import GROUPS
from ctwml_bids.statistics.thresholds import ThresholdSet


def write_thresholds(
    path: Path,
    cohort: Cohort,
    *,
    dataset: str,
    source: str,
    models: Mapping[str, str],
    version: str,
) -> ThresholdSet | None:
    """Save the thresholds that were fitted, with what `participant` says of them.

    Parameters
    ----------
    path
        ``fazekas_thresholds.json``; removed where nothing was fitted this time.
    cohort
        The results.
    dataset
        Name of the data set.
    source
        File and column of the ratings.
    models
        Image → model that measured the volumes.
    version
        Of ctwml_bids.

    Returns
    -------
    ThresholdSet or None
        None where nothing was fitted.
    """
    fitted = {
        image: found.thresholds
        for image, found in cohort.classification.items()
        if found.thresholds is not None and found.folds
    }
    if not fitted:
        path.unlink(missing_ok=True)
        return None
    sizes = _group_sizes(cohort)
    subjects = len(
        {row["participant_id"] for row in cohort.rows() if row["fazekas_group"] in GROUPS}
    )
    described = (
        f"{sum(sizes.values())} units of {subjects} subjects of {dataset} (rated Fazekas 0–1: "
        f"{sizes['0-1']}, 2: {sizes['2']}, 3: {sizes['3']}; {source})"
    )
    saved = ThresholdSet(
        dataset,
        described,
        fitted,
        {image: models[image] for image in fitted if image in models},
    )
    record = saved.described()
    record["Cohort"] |= {"Subjects": subjects, "UnitsByGroup": sizes, "Ratings": source}
    for image in fitted:
        found = cohort.classification[image]
        record["Thresholds"][image] |= {
            "UnitsRated": found.rated,
            "ShareRight": asdict(cohort.whole.share_right[image]),
            "WeightedKappa": asdict(cohort.whole.kappa[image]),
            "Fit": "most units right, each spread by Silverman's width in the volume's logarithm",
            "CrossValidation": f"{found.folds} folds over subjects; the thresholds are those of "
            "all subjects",
            "Note": found.note,
        }
    made = {"Name": "ctwml_bids", "Version": version}
    created = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(path, {**record, "GeneratedBy": [made], "Created": created})
    return saved


def _group_sizes(cohort: Cohort) -> dict[str, int]:
    rated = [row["fazekas_group"] for row in cohort.rows()]
    return {group: rated.count(group) for group in GROUPS}
