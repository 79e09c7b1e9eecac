"""The train level: plan, run the parts that are asked for, and tell how it stands."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from ctwml_bids import __version__
from ctwml_bids.bids import names
from ctwml_bids.bids.dataset import start_dataset
from ctwml_bids.bids.files import make_folder, write_text
from ctwml_bids.bids.status import is_same_file, read_status
from ctwml_bids.errors import BadDataError, InputOutputError, TemporaryError, UsageError
from ctwml_bids.run.locks import hold
from ctwml_bids.run.machine import free_gb
from ctwml_bids.run.pace import Pace
from ctwml_bids.run.progress import Progress, log_file, log_to, run_name
from ctwml_bids.run.provenance import WAIT_S, versions
from ctwml_bids.segmentation import networks
from ctwml_bids.settings import Settings, to_toml
from ctwml_bids.training import protocol as steps
from ctwml_bids.training.cases import find_cases
from ctwml_bids.training.plan import (
    Plan,
    check_cases,
    check_protocol,
    make_plan,
    read_plan,
    write_plan,
)
from ctwml_bids.training.protocol import Case, Training, TrainingUnit
from ctwml_bids.training.results import Merging, merge
from ctwml_bids.training.setup import SCRATCH, Setup, of_people, settle

LOG = logging.getLogger("ctwml_bids")
# A head on the grid under two brain masks takes 22 MB.
HEAD_GB = 0.025
# A task waits this long for another that lays the same head.
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
    setup = settle(settings)
    cases, left_out = find_cases(setup.wanted)
    if settings.dry_run:
        training = _training(setup, _current_plan(setup, cases, left_out))
        units = _asked_for(settings, training.plan)
        done = sum(map(training.is_done, units))
        lines = [*_describe(setup, training.plan), f"{done} of {len(units)} networks are trained"]
        print("\n".join(lines))
        return 0
    log_to(log_file(settings.output_dir, started))
    plan = _settle_plan(setup, cases, left_out, started)
    training = _training(setup, plan)
    units = _asked_for(settings, plan)
    for line in _describe(setup, plan):
        LOG.info(line)
    if settings.keep_networks and (gone := training.without_network()):
        LOG.warning(
            "--keep-networks: %d networks of the cross-validation were trained before without it "
            "and are gone. Remove their folders in %s to train them again.",
            len(gone),
            training.folder / steps.UNITS,
        )
    todo = [unit for unit in units if not training.is_done(unit)]
    if todo or "heads" in settings.only:
        _lay_heads(training, cases, settings)
    busy = _train(training, todo, progress)
    if busy or (settings.only and "merge" not in settings.only):
        return TemporaryError.exit_code if busy else 0
    model, report = _merge(training, cases, setup)
    LOG.info("train: done, open %s; the model is %s", report, model)
    if settings.keep_work != "always":
        shutil.rmtree(training.heads, ignore_errors=True)
    return 0


def _training(setup: Setup, plan: Plan) -> Training:
    return Training(
        plan=plan,
        folder=setup.folder,
        heads=setup.heads,
        template_mask=setup.template_mask,
        recipe=setup.recipe,
        machine=setup.machine,
        keep_networks=setup.settings.keep_networks,
    )


def _planned(setup: Setup, cases: Sequence[Case], left_out: dict[str, str]) -> Plan:
    for case in cases:
        status = read_status(setup.settings.output_dir / names.status(case.subject, case.session))
        for name, facts in status.request.get("inputs", {}).items():
            path = setup.settings.bids_dir / name
            if not is_same_file(path, facts):
                raise BadDataError(
                    f"{path}: has other contents than when {case.label} was measured, so that its "
                    "masks may not fit it. Run `participant` again, or leave it out with --exclude."
                )
    return make_plan(cases, left_out, setup.protocol)


def _current_plan(setup: Setup, cases: Sequence[Case], left_out: dict[str, str]) -> Plan:
    """Make the plan, or take the one that is there if it is of the same training."""
    plan = read_plan(setup.folder)
    if plan is not None:
        check_protocol(setup.folder, plan, setup.protocol)
    # One network of many does not read the masks of all subjects to know that they are the same;
    # the heads that it trains on are checked against the plan one by one.
    only = set(setup.settings.only)
    if plan is None or not only or {"heads", "merge"} & only:
        now = _planned(setup, cases, left_out)
        if plan is not None:
            check_cases(setup.folder, plan, now)
        plan = now
    return plan


def _settle_plan(
    setup: Setup, cases: Sequence[Case], left_out: dict[str, str], started: datetime
) -> Plan:
    """Write the plan, and what else a run writes before it begins."""
    settings = setup.settings
    # The tasks of a job array that start together stand in line for it.
    with hold(settings.output_dir / names.run_lock(), wait_s=WAIT_S):
        plan = _current_plan(setup, cases, left_out)
        write_plan(setup.folder, plan)
        start_dataset(settings.output_dir, settings.bids_dir)
        write_text(settings.output_dir / "logs" / f"{run_name(started)}.toml", to_toml(settings))
    return plan


def _asked_for(settings: Settings, plan: Plan) -> list[TrainingUnit]:
    """Return the networks of the parts that are asked for, all without --only."""
    every = [*plan.folds, *plan.members]
    if not settings.only:
        return every
    by_name = {f"{unit.repeat or 'final'}:{unit.fold}": unit for unit in every}
    asked = [name for name in settings.only if name not in ("heads", "merge")]
    if unknown := [name for name in asked if name not in by_name]:
        raise UsageError(
            f"--only {' '.join(unknown)}: there are repeats 1 to {settings.repeats} with folds 1 "
            f"to {settings.folds}, and final:1 to final:{settings.members}."
        )
    return [by_name[name] for name in asked]


def _describe(setup: Setup, plan: Plan) -> list[str]:
    """Say in lines who is trained on and how."""
    settings, of = setup.settings, plan.protocol
    volumes = [case["lesion_ml"] for case in plan.cases.values()]
    begin = f"the shipped networks ({setup.init.name})" if setup.init else "fresh weights"
    device = setup.machine.get("device", settings.device)
    return [
        f"train {of['modality']} on {len(plan.subjects)} subjects ({len(plan.cases)} images, "
        f"{sum(v == 0 for v in volumes)} without lesions, at most {max(volumes):.1f} mL), labels: "
        f"{of['labels']}, {len(plan.left_out)} left out",
        f"{of['folds']} folds x {of['repeats']} repeats, stratified by {plan.stratified_by}, and "
        f"{of['members']} networks of all subjects: {len(plan.folds) + len(plan.members)} networks "
        f"of {of['steps']} steps from {begin}, on {device}",
        f"{_network(of['variant'])}, {_slices(of['context'])}, loss {of['loss']}, threshold "
        f"{setup.threshold:g}",
        *(f"{label}: left out: {reason}" for label, reason in plan.left_out.items()),
        *of_people(setup, plan),
        *setup.cautions,
    ]


def _network(variant: str) -> str:
    return networks.ARCHITECTURES[variant].label


def _slices(context: int) -> str:
    return f"{2 * context + 1} slices at a time" if context else "one slice at a time"


def _guard(path: Path) -> AbstractContextManager[None]:
    return hold(path, wait_s=HEAD_WAIT_S)


def _lay_heads(training: Training, cases: Sequence[Case], settings: Settings) -> None:
    need = HEAD_GB * len(cases)
    if not training.heads.is_dir() and free_gb(training.heads) < need:
        raise InputOutputError(
            f"{training.heads}: {free_gb(training.heads):.1f} GB are free, and {len(cases)} heads "
            f"on the network's grid take {need:.1f} GB. Make room, or name another work folder "
            "with -w."
        )
    # Whole heads lie here: nobody else on a shared machine may read them.
    make_folder(settings.work_dir / SCRATCH).chmod(0o700)

    def tell(count: int, of: int) -> None:
        if count == of or count % 50 == 0:
            LOG.info("heads on the network's grid: %d of %d", count, of)

    steps.lay_heads(training, cases, _guard, tell)


def _train(
    training: Training, units: Sequence[TrainingUnit], progress: Progress
) -> list[TrainingUnit]:
    """Train networks one after another; return those that another process works on."""
    pace = Pace(len(units), training.plan.protocol["steps"])
    need_gb = networks.ARCHITECTURES[training.plan.protocol["variant"]].checkpoint_gb
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
                        _train_one(training, unit, pace, progress)
            except TemporaryError as error:
                LOG.warning("%s: not trained now, %s", unit.name, error)
                busy.append(unit)
    finally:
        progress.finish()
    return busy


def _train_one(training: Training, unit: TrainingUnit, pace: Pace, progress: Progress) -> None:
    pace.begin(unit.name)
    progress.step(unit.name, "training", "start")
    try:
        steps.train_unit(training, unit, pace.row)
    except BaseException:
        progress.step(unit.name, "training", "exception")
        raise
    progress.step(unit.name, "training", "end")
    progress.unit(failed=False)
    pace.end()


def _merge(training: Training, cases: Sequence[Case], setup: Setup) -> tuple[Path, Path]:
    settings = setup.settings
    merging = Merging(
        output_dir=settings.output_dir,
        bids_dir=settings.bids_dir,
        model_label=settings.desc or "",
        threshold=setup.threshold,
        version=__version__,
        versions=versions(),
        license=setup.init.license if setup.init else None,
        init=setup.init.name if setup.init else None,
        cautions=setup.cautions,
    )

    def tell(count: int, of: int) -> None:
        if count == of or count % 50 == 0:
            LOG.info("out-of-fold maps: %d of %d", count, of)

    return merge(training, cases, merging, tell)
