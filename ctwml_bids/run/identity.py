"""Whether the images of a run are those of the data set that an output folder has results of.

Two data sets may use the same subject labels, and then one's results would take the place of the
other's. A path tells nothing: the same data set is /data in a container and somewhere else outside,
and a job may see no more of it than its own subject. What tells are the images that results were
made from, and then what the data set calls itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ctwml_bids.bids.dataset import said_of
from ctwml_bids.bids.fingerprints import is_same_file
from ctwml_bids.errors import CannotCreateError
from ctwml_bids.settings import differences

# What dataset_description.json says of who the data set is.
FIELDS = ("Name", "DatasetDOI")


@dataclass(frozen=True)
class Used:
    """What a unit was made from, or is being made from.

    Attributes
    ----------
    label
        ``sub-X`` or ``sub-X_ses-Y``.
    images
        Name in the data set to `fingerprint`.
    """

    label: str
    images: Mapping[str, Sequence[int | str]]


def identity(bids_dir: Path) -> dict[str, str]:
    """Read what a data set calls itself: `FIELDS`, as far as they are there."""
    said = said_of(bids_dir)
    return {name: str(said[name]) for name in FIELDS if said.get(name)}


def check_same_dataset(
    output_dir: Path,
    bids_dir: Path,
    recorded: Mapping[str, str] | None,
    finished: Iterable[Used],
    at_work: Sequence[Used] | None,
) -> None:
    """Refuse to mix results of two data sets in one output folder.

    It is the same data set if one image that was used is, byte by byte, anywhere in its subject's
    folder: images may be moved, renamed, corrected and added as long as one stays. Where subjects
    are there and none of their images is, its DOI decides. Without one it is another data set, but
    for a single finished unit, which may have been corrected; of a run at work no image has been
    corrected yet. Where no subject that was used is there, the name decides: that may be a part of
    the same data set, and another one of that name has no results to lose.

    Parameters
    ----------
    output_dir, bids_dir
        Of the run.
    recorded
        `identity` of the data set that the results are from; None where it is not known.
    finished
        The units that have results in the output folder; read as far as is needed.
    at_work
        The first units of other runs that are at work on it; None without such runs.

    Raises
    ------
    CannotCreateError
        It is another data set; the message says what differs and what to do.
    """
    # Where all is as it was the first image tells; subjects' folders are searched only after that.
    if any(_in_place(bids_dir, unit) for unit in at_work or ()):
        return
    results = []
    for unit in finished:
        if _in_place(bids_dir, unit):
            return
        results.append(unit)
    if not results and at_work is None:
        return
    now, used = identity(bids_dir), [*results, *(at_work or ())]
    other: dict[str, str] = {}
    for unit in used:
        there = _images(bids_dir, unit)
        if any(is_same_file(path, facts, by_content=True) for path, facts in there):
            return
        if there:
            other.setdefault(unit.label, _what_is_other(bids_dir, unit))
    doi = now.get("DatasetDOI")
    if doi and recorded and recorded.get("DatasetDOI") == doi:
        return
    what = [] if recorded is None else differences(recorded, now)
    if other:
        more = f", likewise {len(other) - 1} more" if len(other) > 1 else ""
        what.append(f"{next(iter(other.values()))}{more}")
    may_be_corrected = len(other) < 2 and not any(unit.label in other for unit in at_work or ())
    if (recorded is None or recorded == now) and may_be_corrected:
        return
    if not results:
        raise CannotCreateError(
            f"{output_dir}: another run is at work there with another data set than {bids_dir} "
            f"({'; '.join(what)}), and one would take the place of the other. Use another output "
            "folder."
        )
    raise CannotCreateError(
        f"{output_dir}: it has results of another data set than {bids_dir} ({'; '.join(what)}), "
        "and one would take the place of the other. Use another output folder; if it is the same "
        "data set with all images made anew, remove this one first."
    )


def _in_place(bids_dir: Path, unit: Used) -> bool:
    """Tell whether an image that was used is where it was, with the same content."""
    # Archives give all of their files one time, and images may be of one size.
    return any(
        is_same_file(bids_dir / name, facts, by_content=True) for name, facts in unit.images.items()
    )


def _images(bids_dir: Path, unit: Used) -> list[tuple[Path, Sequence[int | str]]]:
    """Pair every image in the subject's folder with every image that was used of it."""
    folder = bids_dir / unit.label.split("_")[0]
    there = sorted(path for path in folder.rglob("*.nii*") if path.is_file())
    # One that could not be read then has no checksum, and tells nothing.
    known = [facts for facts in unit.images.values() if facts[-1]]
    return [(path, facts) for path in there for facts in known]


def _what_is_other(bids_dir: Path, unit: Used) -> str:
    """Say what became of the first image that was used."""
    changed = [name for name in unit.images if (bids_dir / name).is_file()]
    if changed:
        return f"{changed[0]}: other content before"
    return f"{next(iter(unit.images))}: was used before, and no image of {unit.label} is as it was"
