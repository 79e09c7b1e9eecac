"""Who can be trained on: the participant level's finished units, with their truth.

The output folder says what was measured and from which images; of the data set the images, the
table of participants and perhaps manual masks are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ctwml_bids.bids import names
from ctwml_bids.bids.exclusions import why_left_out
from ctwml_bids.bids.people_tables import People
from ctwml_bids.bids.status import read_quality, read_status
from ctwml_bids.errors import NoInputError
from ctwml_bids.statistics.gates.gate import ORDER
from ctwml_bids.training.heads import Case
from ctwml_bids.training.manual_masks import INFARCT_NAMES, find_mask


@dataclass(frozen=True)
class Wanted:
    """Which units are wanted, and what they are to learn from.

    Attributes
    ----------
    bids_dir, output_dir
        The data set, and the results of the participant level.
    modality, labels
        As in settings: what the network sees, and where the truth comes from.
    template
        Name of the template as in file names.
    masks
        Folder of manual masks with labels "manual"; None with others.
    subjects, sessions
        Labels without prefixes; empty for all.
    exclude
        ``sub-X`` or ``sub-X_ses-Y`` → why it is left out.
    absent
        Those who were to be left out and are not in the data set → why.
    people
        Tables with the Fazekas grades.
    include_failed_qc
        Take units with a failed quality gate, too.
    """

    bids_dir: Path
    output_dir: Path
    modality: str
    labels: str
    template: str
    masks: Path | None = None
    subjects: Sequence[str] = ()
    sessions: Sequence[str] = ()
    exclude: Mapping[str, str] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    people: People = field(default_factory=People)
    include_failed_qc: bool = False


def find_cases(wanted: Wanted) -> tuple[list[Case], dict[str, str]]:
    """Find the units to train on.

    Returns
    -------
    cases
        In the order of their labels.
    left_out
        Label of every other unit → why.

    Raises
    ------
    NoInputError
        If no unit can be trained on, or a file of one that is finished is missing.
    BadDataError
        If the rating of a unit cannot be understood.
    """
    cases: list[Case] = []
    left_out: dict[str, str] = {}
    for path in sorted(wanted.output_dir.glob("logs/*/status.json")):
        subject, session = _parse(path.parent.name)
        if subject is None or not _is_asked_for(wanted, subject, session):
            continue
        found = _case(wanted, path, subject, session)
        if isinstance(found, Case):
            cases.append(found)
        else:
            left_out[path.parent.name] = found
    if not cases:
        why = "; ".join(f"{label}: {reason}" for label, reason in list(left_out.items())[:5])
        raise NoInputError(
            f"{wanted.output_dir}: no unit here can be trained on; run the participant level into "
            f"this folder first.{' ' + why if why else ''}"
        )
    return cases, left_out


def _parse(label: str) -> tuple[str | None, str | None]:
    match = re.fullmatch(r"sub-([A-Za-z0-9+]+)(?:_ses-([A-Za-z0-9+]+))?", label)
    return (match[1], match[2]) if match else (None, None)


def _is_asked_for(wanted: Wanted, subject: str, session: str | None) -> bool:
    if wanted.subjects and subject not in wanted.subjects:
        return False
    return not wanted.sessions or session in wanted.sessions


def _case(wanted: Wanted, status_path: Path, subject: str, session: str | None) -> Case | str:
    """Return a unit's case, or why it is left out."""
    if (status := read_status(status_path)) is None:
        return "its status file cannot be read"
    inputs = status.request.get("inputs", {})
    if why := why_left_out(wanted.exclude, names.stem(subject, session), inputs):
        return why[1]
    if status.state != "done":
        return f"the participant level has not finished it ({status.state})"
    images = {_modality(name): wanted.bids_dir / name for name in inputs}
    if wanted.modality not in images:
        return f"it has no {wanted.modality.upper()}"
    if wanted.labels == "flair" and "flair" not in images:
        return "it has no FLAIR to learn from"
    if (quality := read_quality(wanted.output_dir, subject, session)) not in ORDER:
        return "its table of volumes does not say whether it passed its quality gates"
    if quality == "fail" and not wanted.include_failed_qc:
        return "it failed a quality gate (--include-failed-qc takes it in)"
    of_flair = names.wml(subject, session, space="FLAIR", seen_in="flair", kind="mask")
    truth, space, infarcts = wanted.output_dir / of_flair, "flair", None
    if wanted.masks is not None:
        found = find_mask(wanted.masks, subject, session, images, prefer=wanted.modality)
        if found is None:
            return f"there is no mask for it in {wanted.masks}"
        truth, space = found
        if space not in images:
            return f"its mask lies on a {space.upper()} that was not measured"
        infarcts = find_mask(
            wanted.masks, subject, session, images, prefer=space, called=INFARCT_NAMES
        )
        if infarcts is not None and infarcts[1] not in images:
            return f"its infarct mask lies on a {infarcts[1].upper()} that was not measured"
    case = _with_files(wanted, subject, session, images, truth, space, inputs)
    if infarcts is None:
        return case
    return replace(case, infarcts=infarcts[0], infarcts_space=infarcts[1])


def _with_files(
    wanted: Wanted,
    subject: str,
    session: str | None,
    images: Mapping[str, Path],
    truth: Path,
    space: str,
    inputs: Mapping[str, Sequence[object]],
) -> Case:
    out, modality = wanted.output_dir, wanted.modality
    own = out / names.brain_mask(subject, session, space=modality.upper())
    carried = out / names.brain_mask(subject, session, space="CT", carried=True)
    is_carried = modality == "ct" and carried.is_file()
    pairs = [(modality, "template")]
    if len(images) == 2:
        pairs += [("ct", "flair"), ("flair", "ct")]
    spelt = {"ct": "CT", "flair": "FLAIR", "template": wanted.template}
    transforms = {
        pair: out / names.xfm(subject, session, source=spelt[pair[0]], target=spelt[pair[1]])
        for pair in pairs
    }
    needed = {
        **{f"the {name.upper()}": path for name, path in images.items()},
        "the brain mask": own,
        "the lesion mask to learn from": truth,
        **{f"the transform {a} to {b}": path for (a, b), path in transforms.items()},
    }
    for what, path in needed.items():
        if not path.is_file():
            label = names.stem(subject, session)
            raise NoInputError(
                f"{path}: {what} of {label} is missing. Run `participant` again for it (with "
                "--template, if it was made with another template), or leave it out with --exclude."
            )
    return Case(
        subject=subject,
        session=session,
        modality=modality,
        images=images,
        brain=carried if is_carried else own,
        own_brain=own if is_carried else None,
        truth=truth,
        truth_space=space,
        transforms=transforms,
        fingerprints={name: facts[-1] for name, facts in inputs.items()},
        fazekas=_grade(wanted, subject, session),
    )


def _modality(name: str) -> str:
    """Tell CT from FLAIR by the suffix of a file's name."""
    suffix = Path(name).name.split(".")[0].rsplit("_", 1)[-1]
    return "flair" if suffix == "FLAIR" else "ct"


def _grade(wanted: Wanted, subject: str, session: str | None) -> int | None:
    """Return the Fazekas grade of a unit, 0 for the group 0–1; None where it is not rated."""
    of = names.stem(subject), None if session is None else f"ses-{session}"
    rating = wanted.people.rating(*of)
    if rating is None:
        return None
    return rating.group if rating.grade is None else rating.grade
