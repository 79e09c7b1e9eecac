"""The train level: plan, run the parts that are asked for, and tell how it stands."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from datetime import datetime

from ctwml_bids.bids import names
from ctwml_bids.bids.dataset import start_dataset
from ctwml_bids.bids.files import make_folder, write_text
from ctwml_bids.bids.fingerprints import is_same_file
from ctwml_bids.bids.status import read_status
from ctwml_bids.errors import (
    BadDataError,
    InputOutputError,
    NoInputError,
    TemporaryError,
    UsageError,
)
from ctwml_bids.run.locks import hold
from ctwml_bids.run.machine import free_gb
from ctwml_bids.run.pace import Pace
from ctwml_bids.run.progress import Progress, log_file, log_to, run_name
from ctwml_bids.run.provenance import WAIT_S
from ctwml_bids.settings import Settings, to_toml
from ctwml_bids.training.cross_validation import run_unit
from ctwml_bids.training.heads import Case, check_unchanged, is_laid, laid_key, lay_case
from ctwml_bids.training.plan import Plan, check_cases, make_plan, read_plan, write_plan
from ctwml_bids.training.recipe import Recipe, TrainingUnit
from ctwml_bids.training.results import merge
from ctwml_bids.training.setup import SCRATCH, UNITS, Training, of_people, settle_with_cases
from ctwml_bids.training.units import NETWORK

LOG = logging.getLogger("ctwml_bids")
# A head on the grid under two brain masks takes 22 MB.
HEAD_GB = 0.025
# A task waits this long for another that prepares the same head.
HEAD_WAIT_S = 1800.0


def run_train(settings: Settings, progress: Progress, started: datetime) -> int:
    """Train, or do those parts of a training that ``settings.only`` names.

    Parameters
    ----------
    settings
        Of the run.
    progress
        What the user sees.
    started
        When the program started; names its files in ``logs/``.

    Returns
    -------
    int
        The exit code: 0, or 75 where another process works on a part.

    Raises
    ------
    CtwmlError
        If the training cannot go on.
    """
    training, cases, left_out = settle_with_cases(settings)
    if settings.dry_run:
        plan = _current_plan(training, cases, left_out)
        units = _asked_for(settings, training.recipe)
        done = sum(map(training.is_done, units))
        lines = [*_describe(training, plan), f"{done} of {len(units)} networks are trained"]
        print("\n".join(lines))
        return 0
    log_to(log_file(settings.output_dir, started))
    plan = _settle_plan(training, cases, left_out, started)
    units = _asked_for(settings, training.recipe)
    for line in _describe(training, plan):
        LOG.info(line)
    if settings.keep_networks and (gone := _without_network(training)):
        LOG.warning(
            "--keep-networks: %d networks of the cross-validation were trained before without it "
            "and are gone. Remove their folders in %s to train them again.",
            len(gone),
            training.folder / UNITS,
        )
    todo = [unit for unit in units if not training.is_done(unit)]
    if todo or "heads" in settings.only:
        _lay_heads(training, plan, cases)
    busy = _train(training, plan, todo, progress)
    if busy or (settings.only and "merge" not in settings.only):
        return TemporaryError.exit_code if busy else 0
    model, report = merge(training, plan, cases, _teller("out-of-fold maps"))
    LOG.info("train: done, open %s; the model is %s", report, model)
    if settings.keep_work != "always":
        shutil.rmtree(training.heads, ignore_errors=True)
    return 0


def _without_network(training: Training) -> list[TrainingUnit]:
    """List the units of the cross-validation that are done and whose network was not kept."""
    return [
        unit
        for unit in training.recipe.cross_validation
        if training.is_done(unit) and not (training.folder_of(unit) / NETWORK).is_file()
    ]


def _planned(training: Training, cases: Sequence[Case], left_out: dict[str, str]) -> Plan:
    settings = training.settings
    for case in cases:
        noted = settings.output_dir / names.status(case.subject, case.session)
        if (status := read_status(noted)) is None:
            raise NoInputError(
                f"{noted}: it was there and cannot be read any more; run `participant` again for "
                f"{case.label}."
            )
        for name, facts in status.request.get("inputs", {}).items():
            path = settings.bids_dir / name
            if not is_same_file(path, facts):
                raise BadDataError(
                    f"{path}: has other contents than when {case.label} was measured, so that its "
                    "masks may not fit it. Run `participant` again, or leave it out with --exclude."
                )
    return make_plan(cases, left_out, training.recipe)


def _current_plan(training: Training, cases: Sequence[Case], left_out: dict[str, str]) -> Plan:
    """Make the plan, or take the one that is there if it is of the same training."""
    plan = read_plan(training.folder, training.recipe)
    # One network of many does not read the masks of all subjects to know that they are the same;
    # the heads that it trains on are checked against the plan one by one.
    only = set(training.settings.only)
    if plan is None or not only or {"heads", "merge"} & only:
        now = _planned(training, cases, left_out)
        if plan is not None:
            check_cases(training.folder, plan, now)
        plan = now
    return plan


def _settle_plan(
    training: Training, cases: Sequence[Case], left_out: dict[str, str], started: datetime
) -> Plan:
    """Write the plan, and what else a run writes before it begins."""
    settings = training.settings
    # The tasks of a job array that start together stand in line for it.
    with hold(settings.output_dir / names.run_lock(), wait_s=WAIT_S):
        plan = _current_plan(training, cases, left_out)
        write_plan(training.folder, training.recipe, plan)
        start_dataset(settings.output_dir, settings.bids_dir)
        write_text(settings.output_dir / "logs" / f"{run_name(started)}.toml", to_toml(settings))
    return plan


def _asked_for(settings: Settings, recipe: Recipe) -> list[TrainingUnit]:
    """Return the networks of the parts that are asked for, all without --only."""
    if not settings.only:
        return recipe.units
    by_part = {unit.part: unit for unit in recipe.units}
    asked = [part for part in settings.only if part not in ("heads", "merge")]
    if unknown := [part for part in asked if part not in by_part]:
        raise UsageError(
            f"--only {' '.join(unknown)}: there are repeats 1 to {recipe.repeats} with folds 1 "
            f"to {recipe.folds}, and final:1 to final:{recipe.members}."
        )
    return [by_part[part] for part in asked]


def _describe(training: Training, plan: Plan) -> list[str]:
    """Say in lines who is trained on and how."""
    recipe, how, volumes = training.recipe, training.recipe.network, plan.volumes
    begun = recipe.beginning
    begin = f"the shipped networks ({begun.card.name})" if begun else "fresh weights"
    context = how.patches.context
    slices = f"{2 * context + 1} slices at a time" if context else "one slice at a time"
    return [
        f"train {recipe.modality} on {len(plan.subjects)} subjects ({len(plan.cases)} images, "
        f"{sum(v == 0 for v in volumes)} without lesions, at most {max(volumes):.1f} mL), labels: "
        f"{recipe.labels}, {len(plan.left_out)} left out",
        f"{recipe.folds} folds x {recipe.repeats} repeats, stratified by {plan.stratified_by}, and "
        f"{recipe.members} networks of all subjects: {len(recipe.units)} networks of {how.steps} "
        f"steps from {begin}, on {how.device}",
        f"{how.architecture.label}, {slices}, loss {how.loss}, threshold {recipe.threshold:g}"
        + (f", of infarcts {recipe.infarct_threshold:g}" if recipe.infarct_threshold else ""),
        *(f"{label}: left out: {reason}" for label, reason in plan.left_out.items()),
        *of_people(training, plan),
        *training.cautions,
    ]


def _teller(what: str) -> Callable[[int, int], None]:
    """Return what logs how many of a thing are done, every 50 of them."""

    def tell(count: int, of: int) -> None:
        if count == of or count % 50 == 0:
            LOG.info("%s: %d of %d", what, count, of)

    return tell


def _lay_heads(training: Training, plan: Plan, cases: Sequence[Case]) -> None:
    """Lay the heads on the grid that do not lie there yet."""
    need = HEAD_GB * len(cases)
    if not training.heads.is_dir() and free_gb(training.heads) < need:
        raise InputOutputError(
            f"{training.heads}: {free_gb(training.heads):.1f} GB are free, and {len(cases)} heads "
            f"on the network's grid take {need:.1f} GB. Make room, or name another work folder "
            "with -w."
        )
    # Whole heads lie here: nobody else on a shared machine may read them.
    make_folder(training.settings.work_dir / SCRATCH).chmod(0o700)
    grid, channels = training.grid, training.recipe.channels
    by_label, tell = {case.label: case for case in cases}, _teller("heads on the network's grid")
    for count, (label, planned) in enumerate(plan.cases.items(), start=1):
        key = laid_key(planned.identity, grid, channels)
        if not is_laid(training.heads, label, key):
            if label not in by_label:
                raise NoInputError(
                    f"{training.heads}: the head of {label} is missing, and its files are gone; "
                    "run `participant` again for it."
                )
            # Tasks that start together do not write the same head.
            with hold(training.heads / "locks" / label, wait_s=HEAD_WAIT_S):
                if not is_laid(training.heads, label, key):
                    check_unchanged(by_label[label], planned.identity)
                    lay_case(by_label[label], key, grid, channels, training.heads)
        tell(count, len(plan.cases))


def _train(
    training: Training, plan: Plan, units: Sequence[TrainingUnit], progress: Progress
) -> list[TrainingUnit]:
    """Train networks one after another; return those that another process works on."""
    how = training.recipe.network
    pace, need_gb = Pace(len(units), how.steps), how.architecture.checkpoint_gb
    progress.begin(len(units))
    busy = []
    try:
        for unit in units:
            folder = training.folder_of(unit)
            if free_gb(folder) < need_gb:
                raise InputOutputError(
                    f"{folder}: {free_gb(folder):.2f} GB are free, and a network in training takes "
                    f"{need_gb:g} GB. Make room and run the same command again: what is done is "
                    "kept."
                )
            try:
                with hold(folder / "lock"):
                    if not training.is_done(unit):
                        _train_one(training, plan, unit, pace, progress)
            except TemporaryError as error:
                LOG.warning("%s: not trained now, %s", unit.name, error)
                busy.append(unit)
    finally:
        progress.finish()
    return busy


def _train_one(
    training: Training, plan: Plan, unit: TrainingUnit, pace: Pace, progress: Progress
) -> None:
    """Train one network and segment those that it leaves out."""
    train_on, left_out = plan.labels(unit)
    pace.begin(unit.name)
    progress.step(unit.name, "training", "start")
    try:
        run_unit(
            unit,
            training.recipe,
            folder=training.folder_of(unit),
            heads=training.heads,
            train_on=train_on,
            left_out=left_out,
            keep_network=training.settings.keep_networks or unit.is_final,
            on_log=pace.row,
        )
    except BaseException:
        progress.step(unit.name, "training", "exception")
        raise
    progress.step(unit.name, "training", "end")
    progress.unit(failed=False)
    pace.end()
