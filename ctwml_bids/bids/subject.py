"""Plan the units of one subject: what is paired, what is refused, and what is reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ctwml_bids.bids.fetched import not_fetched
from ctwml_bids.bids.filenames import readable
from ctwml_bids.bids.filters import Filters, matches
from ctwml_bids.bids.images import Images
from ctwml_bids.bids.labels import first_of
from ctwml_bids.bids.listing import Listing, scans_tables
from ctwml_bids.bids.names import stem
from ctwml_bids.bids.pairing import pair_subject
from ctwml_bids.bids.scans import read_times, without_times
from ctwml_bids.bids.units import Candidate, Skipped, Unit
from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.modality import IMAGES, MODALITIES, OTHER

# Of many files that are not read only so many are named.
_NAMED = 5
_UNUSABLE = BadDataError.exit_code
ByKind = Mapping[str, Sequence[Candidate]]


def let_through(found: ByKind, filters: Filters) -> dict[str, list[Candidate]]:
    """Return the images that the filters let through, by their kind."""
    return {
        kind: [image for image in images if matches(image.entities, getattr(filters, kind))]
        for kind, images in found.items()
    }


def plan_subject(
    root: Path, subject: str, listing: Listing, images: Images, filters: Filters
) -> Sequence[Unit | Skipped]:
    """Plan one subject.

    A session with an image that cannot be used by its name is refused as a whole: which image the
    name was meant for is not known, and what is left of the session would be measured as something
    else. So is one with a link to a file, or a stand-in for one, that was not fetched: the whole
    subject waits for it.

    Parameters
    ----------
    root, subject
        The data set and the subject's label.
    listing, images
        What its folders hold.
    filters
        Which images may be used.
    """
    kept = let_through(images.found, filters)
    copies = let_through(images.copies, filters)
    reasons = _refused(listing, images, kept, copies)
    refused = [
        Skipped(subject, session, "; ".join(told), _UNUSABLE) for session, told in reasons.items()
    ]
    if not any(kept.values()):
        if any(images.found.values()):
            counts = " and ".join(f"{len(images.found[kind])} {kind.upper()}" for kind in IMAGES)
            nothing = Skipped(subject, None, f"the filters exclude all of its {counts}")
        else:
            nothing = _nothing_found(root, subject, images)
        return refused or [nothing]
    usable = {
        kind: [image for image in found if image.session not in reasons]
        for kind, found in kept.items()
    }
    waiting = [image.path for found in usable.values() for image in found]
    tables = scans_tables(root, subject)
    for path in (*waiting, *tables):
        if absent := not_fetched(path):
            return [Skipped(subject, None, f"{readable(str(path))}: {absent}", _UNUSABLE)]
    try:
        # A row is of an image that is read, where there is one that it may mean.
        read = [image.path for found in images.found.values() for image in found]
        files = [path for path, _ in listing.files if path not in read]
        others = [*files, *listing.elsewhere]
        times, notes = read_times(root / stem(subject), tables, read, others)
        hints = list(notes)
        if len({image.session for found in usable.values() for image in found}) > 1:
            hints += without_times(root / stem(subject), tables)
    except BadDataError as error:
        return [Skipped(subject, None, str(error), error.exit_code)]
    all_usable = not (refused or images.alike)
    units = pair_subject(
        subject, usable["ct"], usable["flair"], times, hints, all_usable=all_usable
    )
    planned = [
        _with_left_out(_with_notes(unit, notes, images, copies, refused), images.found, kept)
        if isinstance(unit, Unit)
        else unit
        for unit in units
    ]
    return sorted([*planned, *refused], key=lambda unit: unit.session or "")


def _refused(
    listing: Listing, images: Images, kept: ByKind, copies: ByKind
) -> dict[str | None, list[str]]:
    """Return the sessions that cannot be used, and why."""
    reasons: dict[str | None, list[str]] = {}

    def refuse(session: str | None, why: str) -> None:
        reasons.setdefault(session, []).append(why)

    for item in listing.refused:
        refuse(item.session, item.reason)
    for session, why in images.orphans:
        refuse(session, why)
    for kind in IMAGES:
        for image in kept[kind]:
            if image.fault:
                refuse(image.session, f"{readable(image.shown)}: {image.fault}")
        named = {image.session for image in images.found[kind]}
        for copy in copies[kind]:
            if copy.session not in named:
                refuse(copy.session, f"{readable(copy.shown)}: {copy.fault}")
    return reasons


def _with_notes(
    unit: Unit,
    notes: Sequence[str],
    images: Images,
    copies: ByKind,
    refused: Sequence[Skipped],
) -> Unit:
    """Note on a unit what lies beside its images and was not used."""
    sessions = {unit.session, unit.flair_session, None}
    beside = [copy for kind in IMAGES for copy in copies[kind] if copy.session in sessions]
    told = [f"warning: {readable(copy.shown)}: {copy.fault}" for copy in beside]
    if unread := [why for session, why in images.unread if session in sessions]:
        told.append(f"not read: {first_of(unread, _NAMED)}")
    told += _alone(unit, images)
    if refused and (None in (unit.ct, unit.flair) or unit.flair_session != unit.session):
        left = ", ".join(item.label for item in refused)
        told.append(f"warning: no partner for it was looked for in {left}: skipped")
    return replace(unit, notes=(*unit.notes, *notes, *told))


def _alone(unit: Unit, images: Images) -> list[str]:
    """Warn a unit of one image of what may be the other, whatever the session, by its name."""
    missing = "ct" if unit.ct is None else "flair"
    found = [shown for kind, _, shown in images.alike if kind == missing]
    if None not in (unit.ct, unit.flair) or not found:
        return []
    return [
        f"warning: the {OTHER[missing].upper()} is measured alone: not read as a "
        f"{missing.upper()} is {first_of(found, _NAMED)}; if it is one, give it, and its JSON, a "
        f"name that ends in _{MODALITIES[missing].suffixes[0]}.nii.gz"
    ]


def _with_left_out(unit: Unit, found: ByKind, kept: ByKind) -> Unit:
    """Note on a unit of one image how many of the other kind the filters left out for it.

    Those of its session; those of the whole subject where the filters leave it none of that kind.
    """
    if unit.ct is not None and unit.flair is not None:
        return unit
    kind = "ct" if unit.ct is None else "flair"
    left_out = [image for image in found[kind] if image not in kept[kind]]
    if kept[kind]:
        left_out = [image for image in left_out if image.session == unit.session]
    if not left_out:
        return unit
    note = f"the filters left out {len(left_out)} {kind.upper()} image(s)"
    return replace(unit, left_out=len(left_out), notes=(*unit.notes, note))


def _nothing_found(root: Path, subject: str, images: Images) -> Skipped:
    """Say that there is neither, and which images there are instead."""
    unread, code = [why for _, why in images.unread], NoInputError.exit_code
    if unread:
        # There is something to measure, but not where or as it is.
        instead, code = f"; not read: {first_of(unread, _NAMED)}", _UNUSABLE
    elif images.others:
        instead = f"; it has {', '.join(sorted(map(readable, images.others)))}"
    elif any((root / stem(subject)).iterdir()):
        instead = "; it has no NIfTI image at all"
    else:
        instead = "; its folder is empty (a part that DataLad has not installed? datalad get)"
    what = "no CT (ct/*_ct.nii[.gz] or anat/*_CT.nii[.gz]) and no anat/*_FLAIR.nii[.gz]"
    return Skipped(subject, None, what + instead, code)
