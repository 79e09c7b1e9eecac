"""CT and FLAIR of one subject, judged by their names, and what lies beside them and is not used."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from ctwml_bids.bids.filenames import (
    DERIVED,
    NO_MAGNITUDE,
    Name,
    Vocabulary,
    contradiction,
    index_of,
    read_name,
    readable,
    resembles,
)
from ctwml_bids.bids.filters import Filters
from ctwml_bids.bids.listing import Listing
from ctwml_bids.bids.sidecars import inherited
from ctwml_bids.bids.units import Candidate
from ctwml_bids.errors import BadDataError
from ctwml_bids.modality import IMAGES, MODALITIES

_MEND = "rename it, or move it out of the data set"


@dataclass
class Images:
    """What was found of one subject.

    Parameters
    ----------
    found
        ``ct`` and ``flair`` to their raw images, those with a fault among them.
    copies
        The same of images under a name that converters make, or with a suffix in other letters:
        their fault says what to do.
    unread
        What else looks like a CT or FLAIR and is not read, each with its session and why.
    alike
        Of `unread`, those that are an image of a kind by a word of their name or by their folder,
        under no name of that kind: the kind, the session, and the path.
    orphans
        Sidecars with a fault that belong to no image, each with its session and the fault.
    others
        Suffixes of images of other kinds.
    """

    found: dict[str, list[Candidate]] = field(default_factory=lambda: {k: [] for k in IMAGES})
    copies: dict[str, list[Candidate]] = field(default_factory=lambda: {k: [] for k in IMAGES})
    unread: list[tuple[str | None, str]] = field(default_factory=list)
    alike: list[tuple[str, str | None, str]] = field(default_factory=list)
    orphans: list[tuple[str | None, str]] = field(default_factory=list)
    others: set[str] = field(default_factory=set)


def judge(
    root: Path,
    subject: str,
    listing: Listing,
    shared: Sequence[Path],
    filters: Filters,
    vocabulary: Vocabulary,
    indexed: Set[Path],
    ignore: Sequence[str] = (),
) -> Images:
    """Sort what a subject's folders hold, and read the sidecars of what may be used.

    Parameters
    ----------
    root, subject
        The data set and the subject's label.
    listing
        Of its folders.
    shared
        JSON files at the top of the data set.
    filters
        An image that was resampled (``space-``) is used only where they ask for it.
    vocabulary
        The entities of BIDS.
    indexed
        Images that PyBIDS finds.
    ignore
        Kinds (``ct``, ``flair``) whose images are taken for not there.

    Raises
    ------
    BadDataError
        A sidecar cannot be read, or one of all sessions contradicts its folder.
    """
    images = Images()
    loaded: dict[Path, dict[str, object]] = {}
    sidecars = _sidecars(root, subject, listing, shared, vocabulary, images, ignore)
    for path, session in listing.files:
        name, shown = read_name(path.name, vocabulary), _shown(path, root)
        if name is not None and name.kind in ignore:
            continue
        if name is None or not (name.is_exact or name.is_copy):
            kind = resembles(path.name) or ("ct" if path.parent.name == "ct" else None)
            if kind is not None and kind not in ignore:
                ending = f"_{MODALITIES[kind].suffixes[0]}"
                images.unread.append((session, f"{shown} (its name does not end in {ending})"))
                images.alike.append((kind, session, shown))
            images.others.add(_suffix(path))
        elif computed := sorted(DERIVED & name.entities.keys() - _asked(filters, name.kind)):
            why = f"{computed[0]}- says that it was computed from another image"
            images.unread.append((session, f"{shown} ({why})"))
        elif (part := name.entities.get("part")) in NO_MAGNITUDE:
            images.unread.append((session, f"{shown} (part-{part} is no magnitude image)"))
        elif not name.is_exact:
            copy = Candidate(path, session, _entities(name, path, vocabulary), {}, _copy(name))
            images.copies[name.kind].append(copy)
        else:
            fault = _fault(name, path, subject, session)
            if not fault and path not in indexed:
                fault = f"PyBIDS does not find it under this name; {_MEND}"
            entities = _entities(name, path, vocabulary)
            sidecar = {} if fault else inherited(path, entities, sidecars, loaded)
            candidate = Candidate(path, session, entities, sidecar, fault)
            images.found[name.kind].append(candidate)
    for path in listing.elsewhere:
        name, shown = read_name(path.name, vocabulary), _shown(path, root)
        if name is None or not name.is_exact:
            images.others.add(_suffix(path))
        else:
            images.unread.append((None, f"{shown} (it lies directly in neither ct/ nor anat/)"))
    return images


def _sidecars(
    root: Path,
    subject: str,
    listing: Listing,
    shared: Sequence[Path],
    vocabulary: Vocabulary,
    images: Images,
    ignore: Sequence[str],
) -> list[tuple[Path, dict[str, str]]]:
    """List the sidecars of CT and FLAIR with their entities; note those that belong nowhere."""
    sidecars = []
    stems = {path.with_name(path.name.split(".nii")[0]) for path, _ in listing.files}
    for path, session in [*((path, None) for path in shared), *listing.sidecars]:
        name = read_name(path.name, vocabulary)
        if name is None or not name.is_exact or name.kind in ignore:
            continue
        sidecars.append((path, _entities(name, path, vocabulary)))
        # The fault of an image is told with the image.
        if path.parent == root or path.with_suffix("") in stems:
            continue
        against = contradiction(name, subject, session, complete=False)
        if fault := "; ".join(filter(None, (*name.faults, against))):
            told = f"{_shown(path, root)}: {fault}; {_MEND}"
            if path.parent == root / f"sub-{subject}":
                raise BadDataError(told)
            images.orphans.append((session, told))
    return sidecars


def _fault(name: Name, path: Path, subject: str, session: str | None) -> str:
    """Say why an image cannot be used as its name and its place are; empty where it can."""
    faults = [*name.faults, contradiction(name, subject, session)]
    if name.kind == "flair" and path.parent.name == "ct":
        faults.append("a FLAIR lies in anat/")
    # A link to nothing is told where its content is looked for.
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "a device or a pipe"
        faults.append(f"it is {what}, and an image is needed")
    told = "; ".join(filter(None, faults))
    return f"{told}; {_MEND}" if told else ""


def _copy(name: Name) -> str:
    """Say what an image is that has no name of BIDS, and what to do."""
    suffixes = MODALITIES[name.kind].suffixes
    suffix = name.suffix if name.suffix in suffixes else suffixes[0]
    ending = f"_{suffix}{name.extension.lower()}"
    if name.is_corrected:
        return (
            "a corrected copy as dcm2niix makes it (Tilt: without gantry tilt; Eq: with slices at "
            "equal distances; of several, the one with both words), which is the one to measure. "
            "It is not used under this name: give it, and its JSON, one that ends in "
            f"{ending}, in place of the original"
        )
    return (
        f"not a name of BIDS, so that it is not used: give it, and its JSON, one that ends in "
        f"{ending} (another image of the session needs a run-, acq- or rec- entity)"
    )


def _asked(filters: Filters, kind: str) -> set[str]:
    """Return the entities that the filters want an image of a kind to have."""
    conditions = getattr(filters, kind)
    return {entity for entity, values in conditions if any(v is not None for v in values)}


def _entities(name: Name, path: Path, vocabulary: Vocabulary) -> dict[str, str]:
    """Entities by their long names, as filters and sidecars are compared with them."""
    entities = {}
    for key, label in name.entities.items():
        entity = vocabulary[key][0] if key in vocabulary else key
        entities[entity] = index_of(entity, label)
    return entities | {
        "suffix": name.suffix,
        "extension": name.extension,
        "datatype": path.parent.name,
    }


def _suffix(path: Path) -> str:
    return path.name.split(".")[0].rpartition("_")[2]


def _shown(path: Path, root: Path) -> str:
    return readable(path.relative_to(root).as_posix())
