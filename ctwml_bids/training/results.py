"""What comes of a training once every unit is there: maps, tables, the model and the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from ctwml_bids.bids import names
from ctwml_bids.bids.files import write_json, write_text, write_tsv
from ctwml_bids.bids.labels import first_of
from ctwml_bids.errors import InputOutputError, NoInputError
from ctwml_bids.reports.training import TrainingReport, render_training
from ctwml_bids.run.provenance import versions
from ctwml_bids.segmentation.model_store import write_model
from ctwml_bids.statistics.columns import ACCURACY_COLUMNS
from ctwml_bids.training.heads import Case
from ctwml_bids.training.maps import write_case
from ctwml_bids.training.plan import Plan
from ctwml_bids.training.recipe import TrainingUnit
from ctwml_bids.training.setup import UNITS, Training
from ctwml_bids.training.summary import Row, mean_curves, summarise
from ctwml_bids.training.units import (
    INFARCT,
    Noted,
    check_left_out,
    mean_map,
    read_network,
    tidy,
)

MODEL = "model"
CURVE_COLUMNS = ("network", "step", "loss", "dice", "learning_rate")
# More of them where networks tell infarcts apart.
INFARCT_CURVE_COLUMNS = ("dice_infarct",)
NOT_STATED = "not stated: up to the owner of the data it was trained on"


def merge(
    training: Training,
    plan: Plan,
    cases: Sequence[Case],
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
    recipe = training.recipe
    noted = {unit: training.done(unit) for unit in recipe.units}
    if missing := [unit.part for unit, about in noted.items() if about is None]:
        raise NoInputError(
            f"{training.folder / UNITS}: {len(missing)} units of this training are not done: "
            f"{first_of(missing, 10)}. Run `train` with --only and each of them, or "
            "without --only; nothing was merged."
        )
    done = {unit: about for unit, about in noted.items() if about is not None}
    for unit in recipe.units:
        tidy(training.folder_of(unit))
        train_on, left_out = (
            sorted({plan.cases[label].subject for label in labels}) for labels in plan.labels(unit)
        )
        check_left_out(done[unit], left_out, train_on)
    rows = _write_cases(training, plan, cases, on_case)
    summary = summarise(rows, recipe)
    curves = [row for unit, about in done.items() for row in _curve(unit, about)]
    _write_tables(training.folder, plan, rows, curves)
    model = _write_model(training, plan, summary, done)
    report = TrainingReport(
        version=recipe.version,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        protocol=recipe.to_record(),
        threshold=recipe.threshold,
        stratified_by=plan.stratified_by,
        subjects=len(plan.subjects),
        left_out=plan.left_out,
        rows=tuple(rows),
        summary=summary,
        curves=tuple(curves),
        shares=recipe.network.patch_shares(),
        model=str(model.relative_to(training.settings.output_dir)),
        cautions=training.cautions,
    )
    page = training.settings.output_dir / names.training_report(recipe.modality, training.label)
    write_text(page, render_training(report))
    return model, page


def _write_cases(
    training: Training,
    plan: Plan,
    cases: Sequence[Case],
    on_case: Callable[[int, int], None],
) -> list[Row]:
    recipe = training.recipe
    place = training.folder.relative_to(training.settings.output_dir)
    about = {
        "Folds": recipe.folds,
        "Repeats": recipe.repeats,
        "StratifiedBy": plan.stratified_by,
        "Labels": recipe.labels,
        "Seed": recipe.network.seed,
        "Threshold": recipe.threshold,
        **({"InfarctThreshold": recipe.infarct_threshold} if recipe.infarct_threshold else {}),
        "Training": f"bids::{place.as_posix()}",
    }
    by_label = {case.label: case for case in cases}
    rows: list[Row] = []
    for label in plan.cases:
        if label not in by_label:
            raise NoInputError(f"{label}: its results of the participant level are gone.")
        folders = [
            training.folder_of(plan.unit_without(label, repeat))
            for repeat in range(1, recipe.repeats + 1)
        ]
        mean = mean_map(folders, label)
        infarct = mean_map(folders, label, INFARCT) if recipe.network.has_infarcts else None
        rows.append(write_case(by_label[label], *mean, training, about, infarct))
        on_case(len(rows), len(plan.cases))
    return rows


def _curve(unit: TrainingUnit, about: Noted) -> list[dict[str, object]]:
    return [
        {
            "network": unit.name,
            **{name: row[name] for name in CURVE_COLUMNS[1:]},
            **{name: row[name] for name in INFARCT_CURVE_COLUMNS if name in row},
        }
        for row in about["log"]
    ]


def _write_tables(
    folder: Path,
    plan: Plan,
    rows: Sequence[Row],
    curves: Sequence[Mapping[str, object]],
) -> None:
    write_tsv(folder / "accuracy.tsv", rows, list(ACCURACY_COLUMNS))
    write_json(folder / "accuracy.json", ACCURACY_COLUMNS)
    more = [name for name in INFARCT_CURVE_COLUMNS if any(name in row for row in curves)]
    write_tsv(folder / "curves.tsv", curves, [*CURVE_COLUMNS, *more])
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
    plan: Plan,
    summary: Mapping[str, object],
    done: Mapping[TrainingUnit, Noted],
) -> Path:
    """Write the final model and return its folder."""
    recipe, volumes = training.recipe, plan.volumes
    source = {"flair": "FLAIR segmentations", "manual": "manual lesion masks"}[recipe.labels]
    begun = recipe.beginning.card if recipe.beginning else None
    licence = f"{NOT_STATED}; begun from {begun.name} ({begun.license})" if begun else NOT_STATED
    card = replace(
        recipe.card(name=training.model_name, license=licence),
        training={
            "data": f"{len(plan.subjects)} subjects ({len(plan.cases)} images) of the user's own, "
            f"with {source} as the truth",
            "command": "ctwml_bids ... train",
            "software": versions(),
            "init": begun.name if begun else "fresh weights",
            "protocol": recipe.to_record(),
            "stratified_by": plan.stratified_by,
            "subjects": plan.subjects,
            "lesion_ml": {
                "least": min(volumes),
                "median": float(np.median(volumes)),
                "most": max(volumes),
            },
            "cautions": list(training.cautions),
            "units_without_lesion": sum(volume == 0 for volume in volumes),
            "left_out": len(plan.left_out),
            "splits": [dict(split) for split in plan.splits],
            "curves": mean_curves(recipe.final, done),
            "curves_of_the_cross_validation": mean_curves(recipe.cross_validation, done),
        },
        accuracy=dict(summary),
    )
    folder = training.folder / MODEL
    members = [read_network(training.folder_of(unit)) for unit in recipe.final]
    try:
        write_model(folder, card, members)
    except SafetensorError as error:
        raise InputOutputError(
            f"{folder}: the model cannot be written ({error}). Make room and run the same command "
            "again, with --only merge: what is done is kept."
        ) from error
    return folder
