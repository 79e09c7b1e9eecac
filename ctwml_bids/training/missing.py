"""The networks that a training lacks, as tasks of a job array, and what a task asks for."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from ctwml_bids.execution.slurm import Need, Stage
from ctwml_bids.run.missing import Missing
from ctwml_bids.settings import Settings
from ctwml_bids.training.plan import read_plan
from ctwml_bids.training.setup import settle_with_cases

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
    training, cases, left_out = settle_with_cases(dataclasses.replace(settings, dry_run=True))
    recipe = training.recipe
    read_plan(training.folder, recipe)  # refuses other settings
    todo = [unit for unit in recipe.units if not training.is_done(unit)]
    tasks: list[tuple[str, ...]] = [
        (unit.part.replace(":", "-"), "--only", unit.part) for unit in todo
    ]
    lines = [f"{label}: left out: {reason}" for label, reason in left_out.items()]
    done = len(recipe.units) - len(tasks)
    lines.append(f"{len(tasks)} networks to train on {len(cases)} images, {done} done")
    minutes = math.ceil(15 + len(cases) / HEADS_A_MINUTE)
    heads = Need(cpus, TRAIN_GB, minutes)
    slower = SLOWER * recipe.network.architecture.slowness
    steps_s = slower * recipe.network.steps / STEPS_A_SECOND
    network = Need(cpus, TRAIN_GB, math.ceil(15 + steps_s / 60))
    before = [
        Stage("heads", ("train", "--only", "heads"), heads, work=work),
        Stage("networks", ("train",), network, array=True, after="afterok", work=work),
    ]
    merge = Stage("merge", ("train", "--only", "merge"), heads, work=work)
    return Missing(tasks, [*(before if tasks else ()), merge], lines)
