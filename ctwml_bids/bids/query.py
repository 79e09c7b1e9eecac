"""Find CT and FLAIR in a BIDS data set and plan the units of a run (the only use of PyBIDS).

CT is not part of BIDS 1.11, so PyBIDS runs without validation and images are found by their
suffix: ``ct/*_ct`` and ``anat/*_CT``. Only the subjects asked for are indexed, in one go (1000
subjects: 2 s, against 4 minutes with an index for each), and sidecars are read subject by subject,
so that a broken one stops nobody else.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ctwml_bids.bids.filters import INDICES, Filters, describe_matches, matches
from ctwml_bids.bids.pairing import pair_subject
from ctwml_bids.bids.scans import read_times
from ctwml_bids.bids.sidecars import inherited
from ctwml_bids.bids.units import Candidate, Skipped, Unit
from ctwml_bids.errors import BadDataError, InvalidInputError, NoInputError, NothingMatchedError

__all__ = ["Skipped", "Unit", "plan", "plan_with_matches", "subjects_of", "validator_hint"]

CT_SUFFIXES = ("ct", "CT")
FLAIR_SUFFIXES = ("FLAIR",)
BIDSIGNORE_LINES = ("**/ct", "*_CT.*")
_IMAGES = (".nii", ".nii.gz")


def plan(
    bids_dir: Path,
    *,
    participant_labels: Sequence[str] | None = None,
    session_labels: Sequence[str] | None = None,
    filters: Filters | None = None,
    skip_validation: bool = False,
) -> list[Unit | Skipped]:
    """List what would run and what would not, with the reason.

    Parameters
    ----------
    bids_dir
        A raw BIDS data set.
    participant_labels, session_labels
        Which to run, with or without ``sub-``/``ses-``; all where None or empty. Sessions choose
        units (by the session of their CT): the FLAIR of a pair may come from another one.
    filters
        Which images may be used at all.
    skip_validation
        Accept a data set without a (readable) dataset_description.json.

    Raises
    ------
    NoInputError
        `bids_dir` is not a folder.
    InvalidInputError
        It is not a BIDS data set, or has no subject.
    NothingMatchedError
        A label is not there, or the filters let no image through.
    """
    return plan_with_matches(
        bids_dir,
        participant_labels=participant_labels,
        session_labels=session_labels,
        filters=filters,
        skip_validation=skip_validation,
    )[0]


def plan_with_matches(
    bids_dir: Path,
    *,
    participant_labels: Sequence[str] | None = None,
    session_labels: Sequence[str] | None = None,
    filters: Filters | None = None,
    skip_validation: bool = False,
) -> tuple[list[Unit | Skipped], str]:
    """As `plan`, and with it a text that says what the filters matched (empty without filters)."""
    root = Path(bids_dir).absolute()
    filters = filters or Filters()
    present = subjects_of(root, skip_validation=skip_validation)
    wanted = _known_subjects(participant_labels, present)
    sessions = {label.removeprefix("ses-") for label in session_labels or ()}
    planned: list[Unit | Skipped] = []
    seen: set[str | None] = set()
    matched: tuple[list[Candidate], list[Candidate]] = ([], [])
    found = _index(root, wanted)
    for subject in wanted:
        try:
            ct, flair = _candidates(found[subject])
        except BadDataError as error:
            planned.append(Skipped(subject, None, str(error), error.exit_code))
            continue
        kept_ct = [c for c in ct if matches(c.entities, filters.ct)]
        kept_flair = [c for c in flair if matches(c.entities, filters.flair)]
        matched[0].extend(kept_ct)
        matched[1].extend(kept_flair)
        units = _plan_subject(root, subject, (ct, flair), (kept_ct, kept_flair))
        seen |= {c.session for c in [*ct, *flair]}
        planned += _of_sessions(units, subject, sessions)
    if filters and not any(matched):
        raise NothingMatchedError(
            f"{filters.source}: the filters match no CT and no FLAIR of the {len(wanted)} "
            f"subject(s) in {root}; --dry-run without them lists what is there"
        )
    if missing := sorted(sessions - seen):
        there = ", ".join(sorted(s for s in seen if s)) or "none (no sessions)"
        raise NothingMatchedError(
            f"no CT or FLAIR in session {', '.join(missing)}; sessions that are there: {there}"
        )
    return planned, describe_matches(filters, *matched, root) if filters else ""


def subjects_of(bids_dir: Path, *, skip_validation: bool = False) -> list[str]:
    """Labels of the subjects of a data set, sorted (raises as `plan`)."""
    root = Path(bids_dir)
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "is not there"
        raise NoInputError(f"{root}: the BIDS data set {what}")
    if not skip_validation:
        _check_description(root / "dataset_description.json")
    try:
        names = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    except OSError as error:
        raise NoInputError(f"{root}: cannot be read ({error.strerror})") from error
    subjects = [name[4:] for name in names if re.fullmatch(r"sub-[A-Za-z0-9+]+", name)]
    if not subjects:
        raise InvalidInputError(
            f"{root}: the data set has no subject; folders named sub-<label> are expected in it"
        )
    return subjects


def validator_hint(bids_dir: Path, planned: Iterable[Unit | Skipped]) -> str | None:
    """Say what ``.bidsignore`` lacks for the BIDS validator to pass; None where it passes."""
    root = Path(bids_dir).absolute()
    images = [unit.ct for unit in planned if isinstance(unit, Unit) and unit.ct]
    needed = []
    if any(image.parent.name == "ct" for image in images):
        needed.append(BIDSIGNORE_LINES[0])
    if any(image.parent.name != "ct" for image in images):
        needed.append(BIDSIGNORE_LINES[1])
    ignored = root / ".bidsignore"
    there = ignored.read_text(errors="replace").split() if ignored.is_file() else []
    if missing := [line for line in needed if line not in there]:
        return (
            "CT is not part of BIDS yet: bids-validator reports it as NOT_INCLUDED. This does not "
            f"matter here; to silence it, put into {ignored}: {' and '.join(missing)}"
        )
    return None


@dataclass(frozen=True)
class _Found:
    """CT and FLAIR of one subject with their entities, and the JSON files that may apply."""

    images: list[tuple[Path, dict]]
    sidecars: list[tuple[Path, dict]]


def _index(root: Path, subjects: Sequence[str]) -> dict[str, _Found]:
    """List images and sidecars of some subjects of a data set (an absolute path)."""
    from bids.layout import BIDSLayout, BIDSLayoutIndexer  # slow to import, not needed for --help

    # Of the top level only these subjects, and the JSON files that apply to all.
    asked = "|".join(map(re.escape, subjects))
    others = re.compile(rf"^/(?!sub-(?:{asked})(?:/|$))(?![^/]*\.json$)")
    indexer = BIDSLayoutIndexer(validate=False, index_metadata=False, ignore=[others])
    layout = BIDSLayout(root, validate=False, indexer=indexer)
    suffixes = [*CT_SUFFIXES, *FLAIR_SUFFIXES]
    found = {subject: _Found([], []) for subject in subjects}
    for bids_file in layout.get(suffix=suffixes, extension=[*_IMAGES, ".json"]):
        path, entities = Path(bids_file.path), _entities(bids_file, root)
        if entities["extension"] != ".json":
            found[entities["subject"]].images.append((path, entities))
            continue
        for subject in {entities["subject"]} & found.keys() if "subject" in entities else subjects:
            found[subject].sidecars.append((path, entities))
    return found


def _candidates(found: _Found) -> tuple[list[Candidate], list[Candidate]]:
    """Read the sidecars of a subject: its CT and its FLAIR (BadDataError if one is not JSON)."""
    loaded: dict[Path, dict] = {}
    ct, flair = [], []
    for path, entities in sorted(found.images, key=lambda image: image[0]):
        sidecar = inherited(path, entities, found.sidecars, loaded)
        candidate = Candidate(path, entities.get("session"), entities, sidecar)
        (ct if entities["suffix"] in CT_SUFFIXES else flair).append(candidate)
    return ct, flair


def _entities(found, root: Path) -> dict[str, str]:
    """Entities as text, from the part of the path that belongs to the data set.

    PyBIDS reads subject and session from the whole path: a data set that lies in a folder named
    ``sub-9`` would lend its name to all.
    """
    entities = {key: str(value) for key, value in found.entities.items()}
    for key in INDICES & entities.keys():
        entities[key] = str(int(entities[key]))
    relative = "/" + Path(found.path).relative_to(root).as_posix()
    for key, prefix in (("subject", "sub"), ("session", "ses")):
        entities.pop(key, None)
        if label := re.search(rf"[/_]{prefix}-([A-Za-z0-9+]+)", relative):
            entities[key] = label[1]
    entities["datatype"] = Path(found.path).parent.name
    return entities


def _plan_subject(root: Path, subject: str, found: tuple, kept: tuple) -> list[Unit | Skipped]:
    """Units of one subject from the images that the filters kept."""
    if not any(found):
        return [Skipped(subject, None, _nothing_found(root / f"sub-{subject}"))]
    if not any(kept):
        text = f"the filters exclude all of its {len(found[0])} CT and {len(found[1])} FLAIR"
        return [Skipped(subject, None, text)]
    absent = [c.path for images in kept for c in images if not c.path.exists()]
    if absent:
        text = f"{absent[0]}: is a link to nothing; fetch its content (datalad get, git annex get)"
        return [Skipped(subject, None, text, BadDataError.exit_code)]
    try:
        times, notes = read_times(root / f"sub-{subject}")
    except BadDataError as error:
        return [Skipped(subject, None, str(error), error.exit_code)]
    units = pair_subject(subject, *kept, times)
    return [
        _with_left_out(replace(unit, notes=(*unit.notes, *notes)), found, kept)
        if isinstance(unit, Unit)
        else unit
        for unit in units
    ]


def _with_left_out(unit: Unit, found: tuple, kept: tuple) -> Unit:
    """Note on a unit of one image how many of the other kind the filters left out for it.

    Those of its session; those of the whole subject where the filters leave it none of that kind.
    """
    if unit.ct is not None and unit.flair is not None:
        return unit
    kind, name = (0, "CT") if unit.ct is None else (1, "FLAIR")
    left_out = [image for image in found[kind] if image not in kept[kind]]
    if kept[kind]:
        left_out = [image for image in left_out if image.session == unit.session]
    if not left_out:
        return unit
    note = f"the filters left out {len(left_out)} {name} image(s)"
    return replace(unit, left_out=len(left_out), notes=(*unit.notes, note))


def _nothing_found(folder: Path) -> str:
    """Say that there is neither, and which images there are instead."""
    names = [path.name for path in folder.rglob("*.nii*")]
    there = sorted({name.split(".")[0].rpartition("_")[2] for name in names})
    instead = f"; it has {', '.join(there)}" if there else "; it has no NIfTI image at all"
    return f"no CT (ct/*_ct.nii[.gz] or anat/*_CT.nii[.gz]) and no anat/*_FLAIR.nii[.gz]{instead}"


def _of_sessions(
    units: list[Unit | Skipped], subject: str, sessions: set[str]
) -> list[Unit | Skipped]:
    """Keep the units of the sessions asked for; say where the rest of what was asked for is."""
    if not sessions:
        return units
    kept = [u for u in units if u.session in sessions or _whole_subject(u)]
    for session in sorted(sessions - {unit.session for unit in units}):
        users = [u for u in units if isinstance(u, Unit) and u.flair_session == session]
        if users:
            reason = f"its FLAIR belongs to the unit {users[0].label}"
            kept.append(Skipped(subject, session, reason))
    return kept or [Skipped(subject, None, f"has no session {', '.join(sorted(sessions))}")]


def _whole_subject(unit: Unit | Skipped) -> bool:
    return isinstance(unit, Skipped) and unit.session is None


def _known_subjects(labels: Sequence[str] | None, present: list[str]) -> list[str]:
    """Return the subjects asked for in the order of the data set (raises NothingMatchedError)."""
    wanted = {label.removeprefix("sub-") for label in labels or present}
    if unknown := sorted(wanted - set(present)):
        close = difflib.get_close_matches(unknown[0], present, n=5, cutoff=0.5)
        ordered = close + [label for label in present if label not in close]
        shown = ", ".join(ordered[:20]) + (", ..." if len(ordered) > 20 else "")
        raise NothingMatchedError(
            f"no subject {', '.join(unknown)} in the data set; there are {len(present)}: {shown}"
        )
    return [label for label in present if label in wanted]


def _check_description(path: Path) -> None:
    hint = "mend it, or run with --skip-bids-validation"
    if not path.is_file():
        raise InvalidInputError(f"{path}: is not there, so this is not a BIDS data set; {hint}")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{path}: is not JSON ({error}); {hint}") from error
    if not isinstance(content, dict) or not content.get("Name"):
        raise InvalidInputError(f"{path}: has no Name; {hint}")
