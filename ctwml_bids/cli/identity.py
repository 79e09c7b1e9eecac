"""Whether the images of a run are those of the data set that an output folder has results of.

Two data sets may use the same subject labels, and then one's results would take the place of the
other's. A path tells nothing: the same data set is /data in a container and somewhere else outside.
What tells are the images of finished units, and then what the data set calls itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ctwml_bids.errors import CannotCreateError
from ctwml_bids.execution.status import UnitStatus, is_same_file
from ctwml_bids.settings import differences

# What dataset_description.json says of who the data set is.
FIELDS = ("Name", "DatasetDOI")


def identity(bids_dir: Path) -> dict[str, str]:
    """Read what a data set calls itself: `FIELDS`, as far as they are there."""
    path = bids_dir / "dataset_description.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: str(content[name]) for name in FIELDS if content.get(name)}


def check_same_dataset(
    output_dir: Path,
    bids_dir: Path,
    finished: Sequence[UnitStatus],
    recorded: Mapping[str, str] | None,
) -> None:
    """Refuse to mix results of two data sets in one output folder.

    It is the same data set if one image of a finished unit is, byte by byte, where it was in it.
    Where all that are still there have other contents, or none is there, its DOI decides, or its
    name: one finished unit may have been corrected, but two and more that all changed at once are
    rather another data set of that name.

    Parameters
    ----------
    output_dir, bids_dir
        Of the run.
    finished
        The units that have results in the output folder.
    recorded
        `identity` of the data set that they are from; None where it is not known.

    Raises
    ------
    CannotCreateError
        It is another data set; the message says what differs and what to do.
    """
    now = identity(bids_dir)
    changed: dict[str, str] = {}
    for status in finished:
        for name, facts in status.request.get("inputs", {}).items():
            path = bids_dir / name
            # Archives give all of their files one time, and images may be of one size.
            if is_same_file(path, facts, by_content=True):
                return
            if path.is_file():
                changed.setdefault(status.label, name)
    if not finished:
        return
    doi = now.get("DatasetDOI")
    if doi and recorded and recorded.get("DatasetDOI") == doi:
        return
    what = [] if recorded is None else differences(recorded, now)
    if changed:
        first = next(iter(changed.values()))
        other = f" and the images of {len(changed) - 1} more" if len(changed) > 1 else ""
        what.append(f"{first}{other}: other content before")
    if (recorded is None or recorded == now) and len(changed) < 2:
        return
    raise CannotCreateError(
        f"{output_dir}: it has results of another data set than {bids_dir} ({'; '.join(what)}), "
        "and one would take the place of the other. Use another output folder; if it is the same "
        "data set with all images made anew, remove this one first."
    )
