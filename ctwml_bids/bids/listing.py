"""Which folders and files of a data set are read, and what looks like one and is not.

Read are ``sub-X[/ses-Y]/ct`` and ``sub-X[/ses-Y]/anat``, and the sidecars above them. No folder is
entered below these and no link is followed into a folder that it lies in, so that links in circles
end. Links to folders and files elsewhere (another disk, an annex) are followed.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ctwml_bids.bids.filenames import label_of, looks_like, readable
from ctwml_bids.bids.units import Skipped
from ctwml_bids.errors import BadDataError

READ = ("ct", "anat")


@dataclass(frozen=True)
class Listing:
    """What the folders of one subject hold.

    Parameters
    ----------
    files
        Files in the folders that are read, each with the session of its folder.
    sidecars
        JSON files of these folders and of those above them, each with its session.
    refused
        Sessions that are not read, and why.
    elsewhere
        NIfTI images in other folders of the subject.
    """

    files: tuple[tuple[Path, str | None], ...]
    sidecars: tuple[tuple[Path, str | None], ...]
    refused: tuple[Skipped, ...]
    elsewhere: tuple[Path, ...]


def list_subjects(root: Path) -> tuple[list[str], list[Skipped]]:
    """List the subjects of a data set, and what looks like one and is not used.

    Returns
    -------
    labels, refused
        Both sorted. Of `refused` each says what to do.

    Raises
    ------
    OSError
        The folder cannot be read.
    """
    labels, refused = [], []
    for entry in sorted(root.iterdir()):
        if not _meant_as_folder("sub", entry):
            continue
        label, fault = label_of("sub", entry.name), _fault("sub", entry)
        if label is None or fault:
            name = readable(entry.name)
            label = label or name.removeprefix("sub-")
            refused.append(Skipped(label, None, f"{name}: {fault}", BadDataError.exit_code))
        else:
            labels.append(label)
    return labels, refused


def list_subject(root: Path, subject: str) -> Listing:
    """List what a subject's folders hold.

    Raises
    ------
    BadDataError
        A folder cannot be read.
    """
    try:
        return _list_subject(root / f"sub-{subject}", subject)
    except OSError as error:
        name = readable(os.path.relpath(error.filename, root))
        raise BadDataError(
            f"{name}: cannot be read ({error.strerror}); give this user the right to read it"
        ) from error


def _list_subject(folder: Path, subject: str) -> Listing:
    sessions: dict[str | None, Path] = {None: folder}
    refused: list[Skipped] = []
    files, sidecars, passed = [], [], []

    def refuse(session: str | None, entry: Path, fault: str) -> None:
        passed.append(entry)
        name = readable(entry.relative_to(folder.parent).as_posix())
        refused.append(Skipped(subject, session, f"{name}: {fault}", BadDataError.exit_code))

    for entry in _entries(folder):
        if not _meant_as_folder("ses", entry):
            continue
        label = label_of("ses", entry.name)
        if fault := _fault("ses", entry):
            refuse(label or readable(entry.name).removeprefix("ses-"), entry, fault)
        else:
            sessions[label] = entry
    for session, base in sessions.items():
        for entry in _entries(base):
            if entry.name in READ:
                if fault := _not_a_folder(entry):
                    refuse(session, entry, fault)
                    continue
                inside = _entries(entry)
                files += [(path, session) for path in inside if _is_image(path)]
                sidecars += [(path, session) for path in inside if path.suffix == ".json"]
            elif entry.suffix == ".json":
                sidecars.append((entry, session))
    read = {base / name for base in sessions.values() for name in READ}
    elsewhere = [
        path
        for path in _images_below(folder)
        if path.parent not in read and not any(entry in path.parents for entry in passed)
    ]
    return Listing(tuple(files), tuple(sidecars), tuple(refused), tuple(elsewhere))


def scans_tables(root: Path, subject: str) -> list[Path]:
    """List the scans.tsv files of a subject and its sessions, dead links among them."""
    folder = root / f"sub-{subject}"
    return sorted([*folder.glob("*_scans.tsv"), *folder.glob("ses-*/*_scans.tsv")])


def _entries(folder: Path) -> list[Path]:
    """List what a folder holds, sorted; hidden files (``._`` of macOS among them) are left out."""
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _meant_as_folder(prefix: str, entry: Path) -> bool:
    """Tell whether a name is meant as a folder's; that of a file with an ending is not."""
    if not looks_like(prefix, entry.name):
        return False
    if entry.name.startswith(f"{prefix}-"):
        return entry.is_dir() or "." not in entry.name
    # Under another name only what holds images or sessions: "subject_lists" is something else.
    inside = [*(entry / name for name in READ), *entry.glob("ses[-_ 0-9]*")]
    return any(path.is_dir() for path in inside)


def _is_image(path: Path) -> bool:
    return path.name.lower().endswith((".nii", ".nii.gz"))


def _images_below(folder: Path) -> Iterator[Path]:
    """List images below a folder, deep down; links to other folders are not followed.

    Hidden folders are not entered: those of git, git-annex and DataLad hold many files under names
    that mean nothing.
    """
    for parent, below, names in os.walk(folder):
        below[:] = [name for name in below if not name.startswith(".")]
        for path in (Path(parent, name) for name in sorted(names) if not name.startswith(".")):
            if _is_image(path):
                yield path


def _fault(prefix: str, entry: Path) -> str | None:
    """Say why a folder of a subject or session is not used; None where it is."""
    if label_of(prefix, entry.name):
        return _not_a_folder(entry)
    if entry.name.startswith(f"{prefix}-"):
        what = "its label is not letters and digits only, as BIDS has it"
    else:
        what = f"its name does not begin with {prefix}- as BIDS has it"
    bare = re.sub(r"^[a-zA-Z]+[-_ ]?", "", entry.name)
    letters = "".join(c for c in bare if c.isascii() and c.isalnum())
    instead = f" (to {prefix}-{letters}, for instance)" if letters else ""
    return f"{what}; rename it and the files in it{instead}"


def _not_a_folder(entry: Path) -> str | None:
    """Say why an entry cannot be used as a folder; None where it can."""
    try:
        entry.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "is a link that leads in a circle; remove it"
        if entry.is_symlink():
            return "is a link to nothing; mend it, or fetch what it names (datalad get)"
        return f"cannot be read ({error.strerror})"
    if not entry.is_dir():
        return "is a file, and a folder is needed; move it out of the data set, or rename it"
    if entry.is_symlink() and entry.resolve() in _above(entry):
        return "is a link to a folder that it lies in, which leads in a circle; remove it"
    return None


def _above(entry: Path) -> set[Path]:
    """Return the folders that an entry lies in, by its own path and by the links in it."""
    real = entry.parent.resolve()
    return {real, *real.parents, *(parent.resolve() for parent in entry.parents)}
