"""The networks that a training lacks, as tasks of a job array, and what a task asks for."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from ctwml_bids.execution.slurm import Need, Stage
from ctwml_bids.run.missing import Missing
from ctwml_bids.segmentation import networks
from ctwml_bids.settings import Settings
from ctwml_bids.training.cases import find_cases
from ctwml_bids.training.plan import check_protocol, read_plan
from ctwml_bids.training.protocol import TrainingUnit, is_done
from ctwml_bids.training.setup import settle

# Steps a second of one network on one thread, and how much slower a machine may be: without
# bfloat16 there were 0.7 to 0.9.
STEPS_A_SECOND, SLOWER = 3.6, 6.0
TRAIN_GB = 3
# Laying took 20 s a pair of full size, merging ten repeats 21 s, start included.
HEADS_A_MINUTE = 1


def missing_networks(settings: Settings, cpus: int, work: Path) -> Missing:
    """List the networks of a training that are not done, one a task; heads before, merge after.

    Parameters
    ----------
    settings
        Of the training.
    cpus
        Of one task.
    work
        Scratch folder that all tasks share.

    Raises
    ------
    CtwmlError
        As a training, before its first network.
    """
    setup = settle(dataclasses.replace(settings, dry_run=True))
    cases, left_out = find_cases(setup.wanted)
    if (plan := read_plan(setup.folder)) is not None:
        check_protocol(setup.folder, plan, setup.protocol)
    every = {
        f"{repeat}:{fold}": TrainingUnit(repeat, fold)
        for repeat in range(1, settings.repeats + 1)
        for fold in range(1, settings.folds + 1)
    }
    every |= {
        f"final:{member}": TrainingUnit(0, member) for member in range(1, settings.members + 1)
    }
    tasks = [
        (part.replace(":", "-"), "--only", part)
        for part, unit in every.items()
        if not is_done(setup.folder, unit)
    ]
    lines = [f"{label}: left out: {reason}" for label, reason in left_out.items()]
    lines.append(
        f"{len(tasks)} networks to train on {len(cases)} images, {len(every) - len(tasks)} done"
    )
    minutes = math.ceil(15 + len(cases) / HEADS_A_MINUTE)
    heads = Need(cpus, TRAIN_GB, minutes)
    slower = SLOWER * networks.ARCHITECTURES[setup.recipe["variant"]].slowness
    network = Need(cpus, TRAIN_GB, math.ceil(15 + slower * settings.steps / STEPS_A_SECOND / 60))
    before = [
        Stage("heads", ("train", "--only", "heads"), heads, work=work),
        Stage("networks", ("train",), network, array=True, after="afterok", work=work),
    ]
    merge = Stage("merge", ("train", "--only", "merge"), heads, work=work)
    return Missing(tasks, [*(before if tasks else ()), merge], lines)
