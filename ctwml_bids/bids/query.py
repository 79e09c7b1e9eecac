"""Find CT and FLAIR in a BIDS data set and plan the units of a run (the only use of PyBIDS).

CT is not part of BIDS 1.11, so PyBIDS runs without validation and images are found by folder and
suffix: ``ct/*_ct`` and ``anat/*_CT``. It is shown the listed files of the subjects asked for alone
(`listing`): by itself it follows links in circles without an end and fails at a name that is no
text. What it cannot tell is read from the names (`filenames`): without validation it reads a label
up to the first character that BIDS forbids. All subjects are indexed in one go, and sidecars are
read subject by subject, so that a broken one does not stop the others.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ctwml_bids.bids.fetched import not_fetched
from ctwml_bids.bids.filenames import Vocabulary, readable
from ctwml_bids.bids.filters import Filters, describe_matches
from ctwml_bids.bids.images import judge
from ctwml_bids.bids.listing import Listing, list_subject, list_subjects
from ctwml_bids.bids.subject import let_through, plan_subject
from ctwml_bids.bids.units import Candidate, Skipped, Unit
from ctwml_bids.errors import BadDataError, InvalidInputError, NoInputError, NothingMatchedError
from ctwml_bids.modality import IMAGES, MODALITIES
from ctwml_bids.reading import read_json, read_text

# No file has this name. PyBIDS would read patterns for names from a file in any folder.
_NO_NAME = "\0"
BIDSIGNORE_LINES = ("**/ct", "*_CT.*")


def plan_units(
    bids_dir: Path,
    *,
    participant_labels: Sequence[str] | None = None,
    session_labels: Sequence[str] | None = None,
    filters: Filters | None = None,
    skip_validation: bool = False,
    ignore: Sequence[str] = (),
) -> tuple[list[Unit | Skipped], str]:
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
    ignore
        "ct" or "flair": images of this kind are taken for not there.

    Returns
    -------
    planned, matched
        Units and what is skipped, and a text that says what the filters matched (empty without
        filters).

    Raises
    ------
    NoInputError
        `bids_dir` is not a folder.
    InvalidInputError
        It is not a BIDS data set, or has no subject.
    NothingMatchedError
        A label is not there, or the filters let no image through.
    """
    root = Path(bids_dir).absolute()
    filters = filters or Filters()
    present, refused = _subjects(root, skip_validation=skip_validation)
    wanted = _known_subjects(participant_labels, present, refused)
    sessions = {label.removeprefix("ses-") for label in session_labels or ()}
    planned: list[Unit | Skipped] = [] if participant_labels else list(refused)
    seen: set[str | None] = set()
    matched: dict[str, list[Candidate]] = {kind: [] for kind in IMAGES}
    unread = 0
    shared = sorted(path for path in root.iterdir() if path.suffix == ".json")
    listings: dict[str, Listing] = {}
    for subject in wanted:
        try:
            listings[subject] = list_subject(root, subject)
        except BadDataError as error:
            planned.append(Skipped(subject, None, str(error), error.exit_code))
            unread += 1
    indexed = _index(root, listings.values())
    for subject, listing in listings.items():
        try:
            images = judge(root, subject, listing, shared, filters, _vocabulary(), indexed, ignore)
        except BadDataError as error:
            planned.append(Skipped(subject, None, str(error), error.exit_code))
            unread += 1
            continue
        for kind, kept in let_through(images.found, filters).items():
            matched[kind].extend(kept)
        units = plan_subject(root, subject, listing, images, filters)
        seen |= {c.session for found in images.found.values() for c in found}
        seen |= {unit.session for unit in units}
        planned += _of_sessions(units, subject, sessions)
    if filters and not any(matched.values()) and not unread:
        raise NothingMatchedError(
            f"{filters.source}: the filters match no CT and no FLAIR of the {len(wanted)} "
            f"subject(s) in {root}; --dry-run without them lists what is there"
        )
    if missing := sorted(sessions - seen):
        there = ", ".join(sorted(s for s in seen if s)) or "none (no sessions)"
        raise NothingMatchedError(
            f"no CT or FLAIR in session {', '.join(missing)}; sessions that are there: {there}"
        )
    planned.sort(key=lambda item: item.subject)
    return planned, describe_matches(filters, *matched.values()) if filters else ""


def _subjects(root: Path, *, skip_validation: bool) -> tuple[list[str], list[Skipped]]:
    """List the subjects, and what looks like one and is not used (raises as `plan_units`)."""
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "is not there"
        raise NoInputError(f"{root}: the BIDS data set {what}")
    if not skip_validation:
        _check_description(root / "dataset_description.json")
    try:
        labels, refused = list_subjects(root)
    except OSError as error:
        raise NoInputError(f"{root}: cannot be read ({error.strerror})") from error
    if not labels and not refused:
        raise InvalidInputError(
            f"{root}: the data set has no subject; folders named sub-<label> are expected in it"
        )
    return labels, refused


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
    try:
        there = read_text(ignored).split() if ignored.is_file() else []
    except (OSError, ValueError):
        there = []
    if missing := [line for line in needed if line not in there]:
        return (
            "CT is not part of BIDS yet: bids-validator reports it as NOT_INCLUDED. This does not "
            f"matter here; to silence it, put into {ignored}: {' and '.join(missing)}"
        )
    return None


@functools.cache
def _vocabulary() -> Vocabulary:
    """Entities as PyBIDS has them: short name to long name, and to what a label of it may be."""
    from bids.layout.models import Config  # slow to import, not needed for --help

    entities = Config.load("bids").entities.values()
    found = [(entity.name, re.search(r"([a-z]+)-\((.+)\)$", entity.pattern)) for entity in entities]
    return {match[1]: (name, re.compile(match[2])) for name, match in found if match}


@functools.cache
def _suffix() -> dict[str, Any]:
    """Return what PyBIDS is to read of a name: the suffix alone, in half the time of all."""
    from bids.layout.models import Config  # slow to import, not needed for --help

    pattern = Config.load("bids").entities["suffix"].pattern
    return {"name": "ctwml_bids", "entities": [{"name": "suffix", "pattern": pattern}]}


def _index(root: Path, listings: Iterable[Listing]) -> frozenset[Path]:
    """Find CT and FLAIR among listed files with PyBIDS."""
    from bids.layout import BIDSLayout, BIDSLayoutIndexer  # slow to import, not needed for --help

    shown = _Shown(root, (path for listing in listings for path, _ in listing.files))
    indexer = BIDSLayoutIndexer(
        validate=False, index_metadata=False, ignore=[shown], config_filename=_NO_NAME
    )
    with _description_aside():
        layout = BIDSLayout(root, validate=False, indexer=indexer, config=_suffix())
    suffixes = [suffix for kind in MODALITIES.values() for suffix in kind.suffixes]
    return frozenset(Path(path) for path in layout.get(suffix=suffixes, return_type="filename"))


@contextmanager
def _description_aside() -> Iterator[None]:
    """Keep PyBIDS from reading dataset_description.json, which it does whatever it is asked for.

    It fails at one that is nested deeply or is no object; what is in it was checked, or is not to
    be asked for.
    """
    from bids.layout import layout
    from upath import UPath

    read = layout.validate_root
    layout.validate_root = lambda root, validate: (UPath(root).absolute(), None)
    try:
        yield
    finally:
        layout.validate_root = read


class _Shown:
    """Stands for a pattern of what PyBIDS is to leave out: all but some files and their folders."""

    def __init__(self, root: Path, files: Iterable[Path]) -> None:
        self._paths: set[str] = set()
        for path in (path.relative_to(root) for path in files):
            # Its database takes no name that is no text.
            if readable(path.name) == path.name:
                self._paths |= {f"/{part.as_posix()}" for part in (path, *path.parents)}

    def search(self, path: str) -> bool:
        """Tell whether a path (from the data set, with a slash before it) is left out."""
        return path not in self._paths


def _of_sessions(
    units: Sequence[Unit | Skipped], subject: str, sessions: set[str]
) -> Sequence[Unit | Skipped]:
    """Keep the units of the sessions asked for; say where the rest of what was asked for is."""
    if not sessions:
        return units
    # Where nothing of a subject runs, the reason may be one for all of its sessions.
    if all(isinstance(u, Skipped) and u.session is None for u in units):
        return units
    kept = [u for u in units if u.session in sessions]
    for session in sorted(sessions - {unit.session for unit in units}):
        users = [u for u in units if isinstance(u, Unit) and u.flair_session == session]
        if users:
            reason = f"its FLAIR belongs to the unit {users[0].label}"
            kept.append(Skipped(subject, session, reason))
    return kept or [Skipped(subject, None, f"has no session {', '.join(sorted(sessions))}")]


def _known_subjects(
    labels: Sequence[str] | None, present: list[str], refused: Sequence[Skipped]
) -> list[str]:
    """Return the subjects asked for in the order of the data set (raises NothingMatchedError)."""
    wanted = {label.removeprefix("sub-") for label in labels or present}
    if unknown := sorted(wanted - set(present)):
        close = difflib.get_close_matches(unknown[0], present, n=5, cutoff=0.5)
        ordered = close + [label for label in present if label not in close]
        shown = ", ".join(ordered[:20]) + (", ..." if len(ordered) > 20 else "")
        unused = f"; not used: {'; '.join(item.reason for item in refused[:5])}" if refused else ""
        raise NothingMatchedError(
            f"no subject {', '.join(unknown)} in the data set; there are {len(present)}: "
            f"{shown}{unused}"
        )
    return [label for label in present if label in wanted]


def _check_description(path: Path) -> None:
    hint = "mend it, or run with --skip-bids-validation"
    if absent := not_fetched(path):
        raise InvalidInputError(f"{path}: {absent}, or run with --skip-bids-validation")
    if not path.is_file():
        raise InvalidInputError(f"{path}: is not there, so this is not a BIDS data set; {hint}")
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{path}: is not JSON ({error}); {hint}") from error
    if not isinstance(content, dict) or not content.get("Name"):
        raise InvalidInputError(f"{path}: has no Name; {hint}")
