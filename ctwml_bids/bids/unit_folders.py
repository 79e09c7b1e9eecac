"""Which units a data set has folders of, told by names alone: no image is looked for."""

from __future__ import annotations

import re
from pathlib import Path

from ctwml_bids.bids.labels import LABEL
from ctwml_bids.bids.listing import READ


def units_in(folder: Path) -> set[str]:
    """Return ``sub-X`` or ``sub-X_ses-Y`` of all units that a data set has folders of.

    A subject with sessions counts as a unit of its own too where images may lie beside them: other
    folders (``eeg``, those of git and DataLad) are no matter.
    """
    units = set()
    for subject in _folders(folder, "sub"):
        sessions = _folders(subject, "ses")
        units |= {f"{subject.name}_{session.name}" for session in sessions}
        if not sessions or any((subject / name).is_dir() for name in READ):
            units.add(subject.name)
    return units


def refused_in(*folders: Path) -> set[str]:
    """Return the names of what looks like a subject or session and is not used for its name.

    Parameters
    ----------
    folders
        Data sets. Of what was refused in the raw one, the logs of a derivative one have folders.

    Returns
    -------
    set of str
        Those of sessions after the name of their subject and an underscore.
    """
    found = set()
    for root in folders:
        units = {path.name for path in root.glob("logs/sub-*")}
        found |= {name for name in units if not re.fullmatch(rf"sub-{LABEL}(_ses-{LABEL})?", name)}
        for path in (path for path in root.glob("[sS][uU][bB]*") if path.is_dir()):
            if re.fullmatch(rf"sub-{LABEL}", path.name) is None:
                found.add(path.name)
                continue
            sessions = {one.name for one in path.glob("[sS][eE][sS]*") if one.is_dir()}
            wrong = {name for name in sessions if not re.fullmatch(rf"ses-{LABEL}", name)}
            found |= {f"{path.name}_{name}" for name in wrong}
    return found


def unit_of(image: str) -> str:
    """Return the label of the folders that an image lies in.

    Parameters
    ----------
    image
        Its path in the data set, or the BIDS URI of that.

    Returns
    -------
    str
        ``sub-X`` or ``sub-X_ses-Y``; empty for what lies in no subject's folder.
    """
    found = re.match(rf"(?:bids:\w*:)?(sub-{LABEL})/(?:(ses-{LABEL})/)?", image)
    return "_".join(filter(None, found.groups())) if found else ""


def _folders(folder: Path, entity: str) -> set[Path]:
    """Return the folders of subjects or sessions in a folder."""
    return {
        path
        for path in folder.glob(f"{entity}-*")
        if re.fullmatch(f"{entity}-{LABEL}", path.name) and path.is_dir()
    }
