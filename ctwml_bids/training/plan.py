"""The plan of a training: who is in it, and who is left out together.

It is made once and written beside the results, so that all tasks of a job array split alike, and a
later run with other subjects or settings is refused instead of mixed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ctwml_bids.bids.files import write_json
from ctwml_bids.bids.labels import first_of
from ctwml_bids.errors import BadDataError, CannotCreateError, InvalidInputError
from ctwml_bids.reading import read_json
from ctwml_bids.settings import differences
from ctwml_bids.statistics.fazekas import group_of_grade
from ctwml_bids.statistics.folds import Split, check_lesions, strata_of_volumes, stratified_splits
from ctwml_bids.training.heads import Case, identity, lesion_ml
from ctwml_bids.training.recipe import Recipe, TrainingUnit

PLAN = "plan.json"
BY_RATING, BY_VOLUME = "Fazekas group", "lesion volume"


@dataclass(frozen=True)
class PlannedCase:
    """What a plan says of a unit of the data set.

    Attributes
    ----------
    subject
        ``sub-X``.
    identity
        Checksum of its files (`heads.identity`).
    fazekas
        Grade 0–3 of a visual rating, or None.
    lesion_ml
        Volume of its lesions in mL.
    """

    subject: str
    identity: str
    fazekas: int | None
    lesion_ml: float


@dataclass(frozen=True)
class Plan:
    """Who is trained on.

    Attributes
    ----------
    cases
        Units of the data set, by label.
    stratified_by
        `BY_RATING` or `BY_VOLUME`.
    splits
        For every repeat, ``sub-X`` → its fold, counted from 0.
    left_out
        Label → why it is not trained on.
    """

    cases: Mapping[str, PlannedCase]
    stratified_by: str
    splits: Sequence[Split]
    left_out: Mapping[str, str]

    @property
    def subjects(self) -> list[str]:
        """``sub-X`` of all that are trained on."""
        return sorted({case.subject for case in self.cases.values()})

    @property
    def volumes(self) -> list[float]:
        """Lesion volumes of all units in mL."""
        return [case.lesion_ml for case in self.cases.values()]

    def labels(self, unit: TrainingUnit) -> tuple[list[str], list[str]]:
        """Return the labels of those that a unit is trained on, and of those that it leaves out."""
        if unit.is_final:
            return sorted(self.cases), []
        split, every = self.splits[unit.repeat - 1], sorted(self.cases)
        out = [label for label in every if split[self.cases[label].subject] == unit.fold - 1]
        return [label for label in every if label not in set(out)], out

    def unit_without(self, label: str, repeat: int) -> TrainingUnit:
        """Return the unit of a repeat (counted from 1) that leaves a label out."""
        return TrainingUnit(repeat, self.splits[repeat - 1][self.cases[label].subject] + 1)


def make_plan(cases: Sequence[Case], left_out: Mapping[str, str], recipe: Recipe) -> Plan:
    """Split the subjects.

    Parameters
    ----------
    cases, left_out
        From `find_cases`.
    recipe
        Of the training.

    Raises
    ------
    UsageError, BadDataError
        If there are fewer subjects than folds, no lesions to learn from, or one image under the
        names of two subjects.
    """
    _check_twins(cases)
    planned = {
        case.label: PlannedCase(
            subject=case.participant,
            identity=identity(case),
            fazekas=case.fazekas,
            lesion_ml=round(lesion_ml(case), 4),
        )
        for case in cases
    }
    of_subject: dict[str, list[PlannedCase]] = {}
    for case in planned.values():
        of_subject.setdefault(case.subject, []).append(case)
    volumes = {
        subject: sum(case.lesion_ml for case in units) / len(units)
        for subject, units in of_subject.items()
    }
    grades = {subject: units[0].fazekas for subject, units in of_subject.items()}
    known = [grade for grade in grades.values() if grade is not None]
    rated = len(known) == len(grades)
    if rated:
        groups = group_of_grade(known).tolist()
        strata = dict(zip(grades, groups, strict=True))
    else:
        strata = strata_of_volumes(volumes, recipe.folds)
    splits = stratified_splits(strata, recipe.folds, recipe.repeats, recipe.network.seed)
    check_lesions(splits, {subject for subject in volumes if volumes[subject] > 0})
    return Plan(planned, BY_RATING if rated else BY_VOLUME, splits, dict(left_out))


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


def write_plan(folder: Path, recipe: Recipe, plan: Plan) -> None:
    """Write a plan into a training's folder, with the settings that it was made under."""
    write_json(folder / PLAN, {"protocol": recipe.to_record(), **asdict(plan)})


def read_plan(folder: Path, recipe: Recipe) -> Plan | None:
    """Read the plan of a training's folder; None where there is none.

    Raises
    ------
    InvalidInputError
        If there is one that cannot be read.
    CannotCreateError
        If it is of a training with other settings; the message says what differs and what to do.
    """
    path = folder / PLAN
    try:
        record = read_json(path)
        protocol = record.pop("protocol")
        cases = {label: PlannedCase(**facts) for label, facts in record.pop("cases").items()}
        plan = Plan(cases, **record)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidInputError(
            f"{path}: the plan of this training cannot be read ({error}); remove {folder} to begin "
            "anew."
        ) from error
    if changed := differences(protocol, recipe.to_record()):
        raise CannotCreateError(
            f"{folder}: a training with other settings was begun here ({'; '.join(changed)}). Use "
            "the same settings, give --desc LABEL to keep both, or remove this folder."
        )
    return plan


def check_cases(folder: Path, plan: Plan, now: Plan) -> None:
    """Refuse to go on with a training whose subjects have changed.

    Raises
    ------
    CannotCreateError
        The message names them.
    """
    gone, new = sorted(set(plan.cases) - set(now.cases)), sorted(set(now.cases) - set(plan.cases))
    both = sorted(set(plan.cases) & set(now.cases))
    changed = [label for label in both if plan.cases[label].identity != now.cases[label].identity]
    what = [
        f"{first_of(labels, 5)} {how}"
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
