"""Who can be trained on: the participant level's finished units, with their truth.

The output folder says what was measured and from which images; of the data set the images, the
table of participants and perhaps manual masks are read.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctwml_bids.bids import names
from ctwml_bids.errors import InvalidInputError, NoInputError
from ctwml_bids.interfaces.training_heads import Case
from ctwml_bids.workflows.manual_masks import find_mask

EXCLUDE_COLUMN = "exclude"
FAZEKAS_COLUMNS = ("fazekas", "fazekas_score", "fazekas_grade", "fazekas_group")
# What a cell of the column says where its subject stays in.
_STAYS = ("", "n/a", "no", "false", "0")


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
        Folder of manual masks, with labels "manual".
    subjects, sessions
        Labels without prefixes; empty for all.
    exclude
        ``sub-X`` → why it is left out.
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
    exclude: Mapping[str, str] | None = None
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
    """
    cases, left_out = [], {}
    ratings = _ratings(wanted.bids_dir)
    for path in sorted(wanted.output_dir.glob("logs/*/status.json")):
        subject, session = _parse(path.parent.name)
        if subject is None or not _is_asked_for(wanted, subject, session):
            continue
        found = _case(wanted, path, subject, session, ratings.get(names.stem(subject)))
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


def _case(
    wanted: Wanted, status_path: Path, subject: str, session: str | None, fazekas: int | None
) -> Case | str:
    """Return a unit's case, or why it is left out."""
    try:
        status = json.loads(status_path.read_text(encoding="utf-8"))
        state, inputs = status["state"], status["request"].get("inputs", {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "its status file cannot be read"
    if reason := (wanted.exclude or {}).get(names.stem(subject)):
        return reason
    if state != "done":
        return f"the participant level has not finished it ({state})"
    images = {_modality(name): wanted.bids_dir / name for name in inputs}
    if wanted.modality not in images:
        return f"it has no {wanted.modality.upper()}"
    if wanted.labels == "flair" and "flair" not in images:
        return "it has no FLAIR to learn from"
    if _quality(wanted, subject, session) == "fail" and not wanted.include_failed_qc:
        return "it failed a quality gate (--include-failed-qc takes it in)"
    truth, space = wanted.output_dir / _name(names.wml, subject, session), "flair"
    if wanted.labels == "manual":
        found = find_mask(wanted.masks, subject, session, images, prefer=wanted.modality)
        if found is None:
            return f"there is no mask for it in {wanted.masks}"
        truth, space = found
        if space not in images:
            return f"its mask lies on a {space.upper()} that was not measured"
    return _with_files(wanted, subject, session, images, truth, space, inputs, fazekas)


def _name(of: Callable[..., Any], subject: str, session: str | None) -> Any:
    return of(subject, session, space="FLAIR", seen_in="flair", kind="mask")


def _with_files(
    wanted: Wanted,
    subject: str,
    session: str | None,
    images: Mapping[str, Path],
    truth: Path,
    space: str,
    inputs: Mapping[str, Any],
    fazekas: int | None,
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
        fazekas=fazekas,
    )


def _modality(name: str) -> str:
    """Tell CT from FLAIR by the suffix of a file's name."""
    suffix = Path(name).name.split(".")[0].rsplit("_", 1)[-1]
    return "flair" if suffix == "FLAIR" else "ct"


def _quality(wanted: Wanted, subject: str, session: str | None) -> str:
    table = wanted.output_dir / names.stats(subject, session)
    try:
        with table.open(encoding="utf-8", newline="") as opened:
            return next(csv.DictReader(opened, delimiter="\t"))["qc"]
    except (OSError, StopIteration, KeyError):
        return ""


def _participants(bids_dir: Path) -> list[dict[str, str]]:
    try:
        with (bids_dir / "participants.tsv").open(encoding="utf-8-sig", newline="") as opened:
            rows = list(csv.DictReader(opened, delimiter="\t"))
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    return [row for row in rows if row.get("participant_id")]


def _ratings(bids_dir: Path) -> dict[str, int]:
    """Return the Fazekas grade of every participant that has one: 0–3, or 0 for ``0-1``."""
    ratings = {}
    for row in _participants(bids_dir):
        columns = {name.lower(): value for name, value in row.items() if name}
        for column in FAZEKAS_COLUMNS:
            text = (columns.get(column) or "").strip()
            if match := re.fullmatch(r"([0-3])(?:\.0)?|(0)[-–]1", text):
                ratings[row["participant_id"]] = int(match[1] or match[2])
                break
    return ratings


def read_exclusions(bids_dir: Path, named: Mapping[str, str]) -> dict[str, str]:
    """Gather who is to be left out, and why: those named, and those of participants.tsv.

    Parameters
    ----------
    bids_dir
        The data set; a column ``exclude`` of its table is read.
    named
        ``sub-X`` → why.

    Returns
    -------
    dict
        ``sub-X`` → why.

    Raises
    ------
    InvalidInputError
        If somebody is named whom the data set does not have, or a session.
    """
    reasons = {}
    for row in _participants(bids_dir):
        text = (row.get(EXCLUDE_COLUMN) or "").strip()
        if text.lower() not in _STAYS:
            said = "" if text.lower() in ("1", "yes", "true") else f": {text}"
            reasons[row["participant_id"]] = f"excluded in participants.tsv{said}"
    known = {path.name for path in bids_dir.glob("sub-*") if path.is_dir()}
    for label in named:
        if label not in known:
            raise InvalidInputError(
                f"--exclude: {label} is no subject of {bids_dir}; training leaves out whole "
                "subjects, and one that should be left out would else be trained on."
            )
    return reasons | dict(named)
