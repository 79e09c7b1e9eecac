"""What comes of a training once every unit is there: maps, tables, the model and the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ctwml_bids.bids import names
from ctwml_bids.bids.files import write_json, write_text, write_tsv
from ctwml_bids.errors import NoInputError
from ctwml_bids.reports.training import TrainingReport, render_training
from ctwml_bids.training.heads import Case
from ctwml_bids.training.jobs import TrainingUnit, mean_map, read_done, tidy
from ctwml_bids.training.maps import ACCURACY_COLUMNS, write_case
from ctwml_bids.training.model import (
    NOT_STATED,
    check_left_out,
    write_trained_model,
)
from ctwml_bids.training.protocol import UNITS, Training
from ctwml_bids.training.summary import mean_curves, summarise
from ctwml_bids.training.tables import Writing

MODEL = "model"


@dataclass(frozen=True)
class Merging:
    """What the merge needs besides the training.

    Attributes
    ----------
    output_dir, bids_dir
        Where results go, and the data set.
    model_label
        The ``--desc`` of the run.
    threshold
        A voxel is a lesion where the mean probability is above this.
    version, versions
        Of ctwml_bids, and of the libraries.
    license, init
        Of the model that the networks began from, and its name; None for fresh ones.
    cautions
        Sentences on what the accuracy does not mean.
    """

    output_dir: Path
    bids_dir: Path
    model_label: str
    threshold: float
    version: str
    versions: Mapping[str, str]
    license: str | None = None
    init: str | None = None
    cautions: tuple[str, ...] = ()

    def model_name(self, modality: str) -> str:
        """Name the model that comes of a training."""
        return f"{self.model_label or 'trained'}-{modality}"


def missing_units(training: Training) -> list[str]:
    """Name the units that are not done, as ``--only`` takes them."""
    return [
        f"{unit.repeat or 'final'}:{unit.fold}"
        for unit in (*training.plan.folds, *training.plan.members)
        if not training.is_done(unit)
    ]


def merge(
    training: Training,
    cases: Sequence[Case],
    merging: Merging,
    on_case: Callable[[int, int], None],
) -> tuple[Path, Path]:
    """Make maps, tables, model and report of a finished training.

    Returns
    -------
    model, report
        Folder of the model, and the page.

    Raises
    ------
    NoInputError
        If a unit is not done, or a unit of the data set is gone.
    BadDataError
        If a subject was segmented by a network that saw it.
    """
    if missing := missing_units(training):
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        raise NoInputError(
            f"{training.folder / UNITS}: {len(missing)} units of this training are not done: "
            f"{', '.join(missing[:10])}{more}. Run `train` with --only and each of them, or "
            "without --only; nothing was merged."
        )
    done = {unit: read_done(training.folder_of(unit)) for unit in _all_units(training)}
    for unit in _all_units(training):
        tidy(training.folder_of(unit))
        train_on, left_out = (
            sorted({training.plan.cases[label]["subject"] for label in labels})
            for labels in training.plan.labels(unit)
        )
        check_left_out(done[unit], left_out, train_on)
    rows = _write_cases(training, cases, merging, on_case)
    summary = summarise(rows, training.plan.protocol)
    curves = [row for unit, about in done.items() for row in _curve(unit, about)]
    _write_tables(training, rows, curves)
    model = _write_model(training, merging, summary, done)
    report = TrainingReport(
        version=merging.version,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        protocol=training.plan.protocol,
        threshold=merging.threshold,
        stratified_by=training.plan.stratified_by,
        subjects=len(training.plan.subjects),
        left_out=training.plan.left_out,
        rows=tuple(rows),
        summary=summary,
        curves=tuple(curves),
        model=str(model.relative_to(merging.output_dir)),
        cautions=merging.cautions,
    )
    page = merging.output_dir / names.training_report(
        training.plan.protocol["modality"], merging.model_label
    )
    write_text(page, render_training(report))
    return model, page


def _all_units(training: Training) -> list[TrainingUnit]:
    return [*training.plan.folds, *training.plan.members]


def _write_cases(
    training: Training,
    cases: Sequence[Case],
    merging: Merging,
    on_case: Callable[[int, int], None],
) -> list[dict[str, Any]]:
    plan = training.plan
    writing = Writing(
        output_dir=merging.output_dir,
        bids_dir=merging.bids_dir,
        model_label=merging.model_label,
        model=merging.model_name(plan.protocol["modality"]),
        threshold=merging.threshold,
        grid=training.grid,
        about={
            "Folds": plan.protocol["folds"],
            "Repeats": plan.protocol["repeats"],
            "StratifiedBy": plan.stratified_by,
            "Labels": plan.protocol["labels"],
            "Seed": plan.protocol["seed"],
            "Threshold": merging.threshold,
            "Training": f"bids::{training.folder.relative_to(merging.output_dir).as_posix()}",
        },
    )
    by_label, rows = {case.label: case for case in cases}, []
    for label in plan.cases:
        if label not in by_label:
            raise NoInputError(f"{label}: its results of the participant level are gone.")
        folders = [
            training.folder_of(plan.unit_without(label, repeat))
            for repeat in range(1, plan.protocol["repeats"] + 1)
        ]
        rows.append(write_case(by_label[label], *mean_map(folders, label), writing))
        on_case(len(rows), len(plan.cases))
    return rows


def _curve(unit: TrainingUnit, about: Mapping[str, Any]) -> list[dict[str, Any]]:
    kept = ("step", "loss", "dice", "learning_rate")
    return [{"network": unit.name, **{name: row[name] for name in kept}} for row in about["log"]]


def _write_tables(
    training: Training, rows: Sequence[Mapping[str, Any]], curves: Sequence[Mapping[str, Any]]
) -> None:
    folder, plan = training.folder, training.plan
    write_tsv(folder / "accuracy.tsv", rows, list(ACCURACY_COLUMNS))
    write_json(folder / "accuracy.json", ACCURACY_COLUMNS)
    write_tsv(folder / "curves.tsv", curves, ["network", "step", "loss", "dice", "learning_rate"])
    columns = [f"repeat_{number:02d}" for number in range(1, len(plan.splits) + 1)]
    splits = [
        {
            "participant_id": subject,
            **{name: split[subject] + 1 for name, split in zip(columns, plan.splits, strict=True)},
        }
        for subject in plan.subjects
    ]
    write_tsv(folder / "splits.tsv", splits, ["participant_id", *columns])


def _write_model(
    training: Training,
    merging: Merging,
    summary: Mapping[str, Any],
    done: Mapping[TrainingUnit, Mapping[str, Any]],
) -> Path:
    plan, protocol = training.plan, training.plan.protocol
    modality = protocol["modality"]
    volumes = [case["lesion_ml"] for case in plan.cases.values()]
    source = {"flair": "FLAIR segmentations", "manual": "manual lesion masks"}[protocol["labels"]]
    members = [training.folder_of(unit) for unit in plan.members]
    facts = {
        "name": merging.model_name(modality),
        "modality": modality,
        "version": "1",
        "threshold": merging.threshold,
        "license": f"{NOT_STATED}; begun from {merging.init} ({merging.license})"
        if merging.init
        else NOT_STATED,
        "training": {
            "data": f"{len(plan.subjects)} subjects ({len(plan.cases)} images) of the user's own, "
            f"with {source} as the truth",
            "command": "ctwml_bids ... train",
            "software": dict(merging.versions),
            "init": merging.init or "fresh weights",
            "protocol": dict(protocol),
            "stratified_by": plan.stratified_by,
            "subjects": plan.subjects,
            "lesion_ml": {
                "least": min(volumes),
                "median": float(np.median(volumes)),
                "most": max(volumes),
            },
            "cautions": list(merging.cautions),
            "units_without_lesion": sum(volume == 0 for volume in volumes),
            "left_out": len(plan.left_out),
            "splits": [dict(split) for split in plan.splits],
            "curves": mean_curves(plan.members, done),
            "curves_of_the_cross_validation": mean_curves(plan.folds, done),
        },
        "accuracy": dict(summary),
    }
    folder = training.folder / MODEL
    write_trained_model(folder, members, training.recipe, facts)
    return folder
