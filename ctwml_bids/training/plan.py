"""The plan of a training: who is in it, who is left out together, and how networks are trained.

It is made once and written beside the results, so that all tasks of a job array split alike, and a
later run with other subjects or settings is refused instead of mixed in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ctwml_bids.bids.files import write_json
from ctwml_bids.errors import BadDataError, CannotCreateError, InvalidInputError
from ctwml_bids.settings import differences
from ctwml_bids.statistics.fazekas import group_of_grade
from ctwml_bids.statistics.folds import Split, check_lesions, strata_of_volumes, stratified_splits
from ctwml_bids.training.heads import Case, identity, lesion_ml
from ctwml_bids.training.jobs import TrainingUnit

PLAN = "plan.json"
BY_RATING, BY_VOLUME = "Fazekas group", "lesion volume"


@dataclass(frozen=True)
class Plan:
    """Who is trained on, and how.

    Attributes
    ----------
    protocol
        JSON-able settings that decide the result: folds, repeats, members, seed, recipe...
    cases
        Label of each unit → "subject", "identity" (of its files), "fazekas" and "lesion_ml".
    stratified_by
        `BY_RATING` or `BY_VOLUME`.
    splits
        For every repeat, ``sub-X`` → its fold, counted from 0.
    left_out
        Label → why it is not trained on.
    """

    protocol: Mapping[str, Any]
    cases: Mapping[str, Mapping[str, Any]]
    stratified_by: str
    splits: Sequence[Split]
    left_out: Mapping[str, str]

    @property
    def folds(self) -> list[TrainingUnit]:
        """All units of the cross-validation."""
        return [
            TrainingUnit(repeat, fold)
            for repeat in range(1, self.protocol["repeats"] + 1)
            for fold in range(1, self.protocol["folds"] + 1)
        ]

    @property
    def members(self) -> list[TrainingUnit]:
        """The networks of the final model."""
        return [TrainingUnit(0, member) for member in range(1, self.protocol["members"] + 1)]

    @property
    def subjects(self) -> list[str]:
        """``sub-X`` of all that are trained on."""
        return sorted({case["subject"] for case in self.cases.values()})

    def labels(self, unit: TrainingUnit) -> tuple[list[str], list[str]]:
        """Return the labels of those that a unit is trained on, and of those that it leaves out."""
        if unit.repeat == 0:
            return sorted(self.cases), []
        split = self.splits[unit.repeat - 1]
        out = [
            label for label in sorted(self.cases) if split[self._subject(label)] == unit.fold - 1
        ]
        return [label for label in sorted(self.cases) if label not in set(out)], out

    def unit_without(self, label: str, repeat: int) -> TrainingUnit:
        """Return the unit of a repeat (counted from 1) that leaves a label out."""
        return TrainingUnit(repeat, self.splits[repeat - 1][self._subject(label)] + 1)

    def _subject(self, label: str) -> str:
        return self.cases[label]["subject"]


def make_plan(
    cases: Sequence[Case], left_out: Mapping[str, str], protocol: Mapping[str, Any]
) -> Plan:
    """Split the subjects.

    Parameters
    ----------
    cases, left_out
        From `find_cases`.
    protocol
        With "folds", "repeats" and "seed" among its settings.

    Raises
    ------
    UsageError, BadDataError
        If there are fewer subjects than folds, no lesions to learn from, or one image under the
        names of two subjects.
    """
    _check_twins(cases)
    about = {
        case.label: {
            "subject": case.participant,
            "identity": identity(case),
            "fazekas": case.fazekas,
            "lesion_ml": round(lesion_ml(case), 4),
        }
        for case in cases
    }
    of_subject: dict[str, list[Mapping[str, Any]]] = {}
    for facts in about.values():
        of_subject.setdefault(facts["subject"], []).append(facts)
    volumes = {
        subject: sum(facts["lesion_ml"] for facts in units) / len(units)
        for subject, units in of_subject.items()
    }
    grades = {subject: units[0]["fazekas"] for subject, units in of_subject.items()}
    rated = None not in grades.values()
    if rated:
        groups = group_of_grade(list(grades.values())).tolist()
        strata = dict(zip(grades, groups, strict=True))
    else:
        strata = strata_of_volumes(volumes, protocol["folds"])
    splits = stratified_splits(strata, protocol["folds"], protocol["repeats"], protocol["seed"])
    check_lesions(splits, {subject for subject in volumes if volumes[subject] > 0})
    by = BY_RATING if rated else BY_VOLUME
    return Plan(dict(protocol), about, by, splits, dict(left_out))


def _check_twins(cases: Sequence[Case]) -> None:
    """Refuse one image under two names: one could be segmented by a network that saw the other."""
    owners: dict[object, Case] = {}
    for case in cases:
        for image in filter(None, case.fingerprints.values()):
            first = owners.setdefault(image, case)
            if first.participant != case.participant:
                raise BadDataError(
                    f"{first.label} and {case.label} have the same image, and so are one person: "
                    "left out in different folds, each would be segmented by a network that saw "
                    f"the other. Leave one out with --exclude {case.participant}."
                )


def write_plan(folder: Path, plan: Plan) -> None:
    """Write a plan into a training's folder."""
    write_json(folder / PLAN, asdict(plan))


def read_plan(folder: Path) -> Plan | None:
    """Read the plan of a training's folder; None where there is none.

    Raises
    ------
    InvalidInputError
        If there is one that cannot be read.
    """
    path = folder / PLAN
    try:
        return Plan(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise InvalidInputError(
            f"{path}: the plan of this training cannot be read ({error}); remove {folder} to begin "
            "anew."
        ) from error


def check_protocol(folder: Path, plan: Plan, protocol: Mapping[str, Any]) -> None:
    """Refuse to go on with a training under other settings.

    Raises
    ------
    CannotCreateError
        The message says what differs and what to do.
    """
    # As JSON has it: tuples are lists there.
    now = json.loads(json.dumps(protocol))
    if changed := differences(plan.protocol, now):
        raise CannotCreateError(
            f"{folder}: a training with other settings was begun here ({'; '.join(changed)}). Use "
            "the same settings, give --desc LABEL to keep both, or remove this folder."
        )


def check_cases(folder: Path, plan: Plan, now: Plan) -> None:
    """Refuse to go on with a training whose subjects have changed.

    Raises
    ------
    CannotCreateError
        The message names them.
    """
    gone, new = sorted(set(plan.cases) - set(now.cases)), sorted(set(now.cases) - set(plan.cases))
    both = sorted(set(plan.cases) & set(now.cases))
    changed = [
        label for label in both if plan.cases[label]["identity"] != now.cases[label]["identity"]
    ]
    what = [
        f"{', '.join(labels[:5])}{f' and {len(labels) - 5} more' if len(labels) > 5 else ''} {how}"
        for labels, how in ((new, "new"), (gone, "gone"), (changed, "changed"))
        if labels
    ]
    if [dict(split) for split in plan.splits] != [dict(split) for split in now.splits]:
        what = what or ["the Fazekas grades, and so the splits, are others"]
    if what:
        raise CannotCreateError(
            f"{folder}: a training with other subjects was begun here ({'; '.join(what)}). Give "
            "--desc LABEL to keep both, or remove this folder."
        )
