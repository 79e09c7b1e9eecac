"""Pair the CT of each session with a FLAIR: same session first, else the nearest in time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from ctwml_bids.bids.scans import Times, days_between
from ctwml_bids.bids.selection import Ambiguous, choose
from ctwml_bids.bids.units import Candidate, Skipped, Unit
from ctwml_bids.errors import BadDataError

# The paper's longest interval between CT and MRI: six weeks.
MAX_DAYS = 42.0


@dataclass(frozen=True)
class _Partner:
    """The FLAIR that goes with a CT, if any."""

    flair: Candidate | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Open:
    """A session of which no image could be chosen: its FLAIRs, whether it has a CT, and why."""

    session: str | None
    flair: tuple[Candidate, ...]
    has_ct: bool
    reason: str


def told_days(unit: Unit) -> float | None:
    """Return the days between CT and FLAIR as its report tells them, in tenths.

    None where it does not tell: of a pair from one session within six weeks.
    """
    days = unit.days_apart
    if days is None or (unit.session == unit.flair_session and days <= MAX_DAYS):
        return None
    return round(days, 1)


def pair_subject(
    subject: str,
    ct: list[Candidate],
    flair: list[Candidate],
    times: Times,
    hints: Sequence[str] = (),
    *,
    all_usable: bool = True,
) -> list[Unit | Skipped]:
    """Make the units of one subject from the images that may be used.

    A CT takes the FLAIR of its session. Where there is none it takes the FLAIR nearest by
    ``acq_time``; without times, the only one there is; where several are left it is skipped and
    the choices are named, and also where a time on which the choice depends is there and cannot
    be read. A FLAIR that has a CT in its own session is lent to another CT only
    when the times of both are known and at most six weeks lie between them; else that CT runs
    alone. A FLAIR that no CT uses runs alone. A session of which no image can be chosen is skipped,
    and so is every CT that might have its FLAIR from there.

    Parameters
    ----------
    subject
        Label without ``sub-``.
    ct, flair
        All images of the subject that may be used.
    times
        Acquisition times by image (`read_times`), as far as they are known.
    hints
        Why times may not be known, told where it cannot be told which FLAIR belongs to a CT.
    all_usable
        Whether the subject has no other images, which may not be used.
    """
    chosen_ct: dict[str | None, Candidate] = {}
    chosen_flair: dict[str | None, Candidate] = {}
    ct_notes: dict[str | None, tuple[str, ...]] = {}
    flair_notes: dict[str | None, tuple[str, ...]] = {}
    skipped = []
    open_sessions: list[_Open] = []
    for session in sorted({c.session for c in (*ct, *flair)}, key=lambda session: session or ""):
        cts, flairs = ([c for c in found if c.session == session] for found in (ct, flair))
        try:
            if cts:
                chosen_ct[session], ct_notes[session] = choose(cts, kind="ct")
            if flairs:
                chosen_flair[session], flair_notes[session] = choose(flairs, kind="flair")
        except Ambiguous as reason:
            chosen_ct.pop(session, None)
            skipped.append(Skipped(subject, session, str(reason), BadDataError.exit_code))
            open_sessions.append(_Open(session, tuple(flairs), bool(cts), str(reason)))
    units: list[Unit | Skipped] = list(skipped)
    used: set[str | None] = set()
    all_usable = all_usable and not open_sessions
    with_ct = set(chosen_ct)
    for session, image in chosen_ct.items():
        try:
            partner = _partner(image, with_ct, chosen_flair, times, all_usable=all_usable)
            if session not in chosen_flair:
                partner = _beside(image, partner, open_sessions, times)
        except Ambiguous as reason:
            # What the reason says already is not told twice.
            more = [hint for hint in hints if hint.removeprefix("warning: ") not in str(reason)]
            told = "; ".join([str(reason), *more])
            units.append(Skipped(subject, session, told, BadDataError.exit_code))
            used |= set(chosen_flair)
            continue
        notes = ct_notes[session] + partner.notes
        if partner.flair:
            used.add(partner.flair.session)
            notes += flair_notes[partner.flair.session]
        units.append(_unit(subject, session, image, partner.flair, notes, times))
    for session, image in chosen_flair.items():
        if session not in used and session not in chosen_ct:
            notes = (*flair_notes[session], *_for_no_ct(open_sessions))
            units.append(_unit(subject, session, None, image, notes, times))
    return sorted(units, key=lambda unit: unit.session or "")


def _partner(
    image: Candidate,
    with_ct: set[str | None],
    flair: Mapping[str | None, Candidate],
    times: Times,
    *,
    all_usable: bool,
) -> _Partner:
    """Find the FLAIR for one CT (the rule of `pair_subject`)."""
    if image.session in flair:
        same = flair[image.session]
        days = _days(image, same, times)
        if days is None or days <= MAX_DAYS:
            return _Partner(same)
        return _Partner(same, _far(days))
    gaps = {s: _days(image, other, times) for s, other in flair.items()}
    free = [s for s in flair if s not in with_ct]
    near = [s for s, gap in gaps.items() if s in with_ct and gap is not None and gap <= MAX_DAYS]
    choices = free + near
    if doubtful := _doubtful(image, flair, free, near, times):
        raise Ambiguous(_which(image, list(flair.values()), doubtful))
    if not choices:
        if not flair:
            return _Partner(None)
        return _Partner(None, ("no FLAIR in this session; those of others belong to their CTs",))
    timed = sorted((gap, s or "", s) for s in choices if (gap := gaps[s]) is not None)
    if timed and (len(timed) == 1 or timed[0][0] < timed[1][0]):
        days, _, session = timed[0]
        untimed = [flair[s].shown for s in choices if gaps[s] is None]
        notes = (f"FLAIR is from {_shown(session)}, {days:.1f} days from the CT", *_far(days))
        if untimed:
            notes += (
                f"warning: no acq_time in scans.tsv for {', '.join(untimed)}: not considered, "
                "though it may be nearer in time",
            )
        return _Partner(flair[session], notes)
    if len(choices) == 1:
        only = "the only one" if all_usable else "the only one that can be used"
        note = f"FLAIR is from {_shown(choices[0])}, {only}; when is not known (scans.tsv)"
        return _Partner(flair[choices[0]], (note,))
    raise Ambiguous(_which(image, [flair[s] for s in choices]))


def _beside(
    image: Candidate, partner: _Partner, open_sessions: Sequence[_Open], times: Times
) -> _Partner:
    """Hold what was found for a CT against the FLAIRs of sessions that are skipped.

    Raises
    ------
    Ambiguous
        One of them may be its partner: it is nearer in time than what was found, or as near, or
        this is not known.
    """
    best = _days(image, partner.flair, times) if partner.flair else None
    notes = partner.notes
    for other in open_sessions:
        if not other.flair:
            continue
        names = ", ".join(flair.shown for flair in other.flair)
        if any(_may_be_partner(image, flair, other.has_ct, best, times) for flair in other.flair):
            raise Ambiguous(
                f"cannot tell whether {image.shown} belongs to a FLAIR of {_shown(other.session)} "
                f"({names}), which is skipped: {other.reason}"
            )
        notes += (f"warning: {names} was not considered: {_shown(other.session)} is skipped",)
    return _Partner(partner.flair, notes)


def _may_be_partner(
    image: Candidate, flair: Candidate, has_ct: bool, best: float | None, times: Times
) -> bool:
    """Whether a FLAIR of a skipped session may belong to a CT whose FLAIR is `best` days away.

    One with a CT of its own is lent by its time alone, as `_doubtful` has it.
    """
    days = _days(image, flair, times)
    if has_ct and (days is None or days > MAX_DAYS):
        return days is None and {image.path, flair.path} <= times.keys()
    return days is None or best is None or days <= best


def _for_no_ct(open_sessions: Sequence[_Open]) -> tuple[str, ...]:
    """Warn a FLAIR without a CT of the sessions whose CT it may belong to."""
    found = [_shown(other.session) for other in open_sessions if other.has_ct]
    if not found:
        return ()
    return (f"warning: it may belong to a CT of {', '.join(found)}, which is skipped",)


def _doubtful(
    image: Candidate,
    flair: Mapping[str | None, Candidate],
    free: Sequence[str | None],
    near: Sequence[str | None],
    times: Times,
) -> list[str]:
    """Return what stands in place of times on which the choice of a CT's FLAIR depends.

    A FLAIR with a CT of its own is lent by its time alone: it may be one to choose where the time
    of either is there and cannot be read. A single FLAIR without one is taken whatever its time.
    """
    lent = [
        s
        for s in flair
        if s not in (*free, *near)
        and {image.path, flair[s].path} <= times.keys()
        and _days(image, flair[s], times) is None
    ]
    if len(free) + len(near) < 2 and not lent:
        return []
    images = [image, *(flair[s] for s in (*free, *near, *lent))]
    said = [times.get(one.path) for one in images]
    return [clause for clause in said if isinstance(clause, str)]


def _which(image: Candidate, choices: list[Candidate], doubtful: Sequence[str] = ()) -> str:
    names = ", ".join(choice.shown for choice in choices)
    # As JSON has it: a FLAIR without a session is null, which the word "None" would not match.
    example = json.dumps({"flair": {"session": choices[0].session}})
    how = f"{'; '.join(doubtful)}; correct it" if doubtful else "give acq_time in scans.tsv"
    return (
        f"cannot tell which FLAIR belongs to {image.shown}: {names}; {how}, or choose with "
        f"--bids-filter-file, for instance {example}"
    )


def _days(ct: Candidate, flair: Candidate, times: Times) -> float | None:
    """Days between two images; None where a time is not known."""
    one, other = times.get(ct.path), times.get(flair.path)
    if isinstance(one, date) and isinstance(other, date):
        return days_between(one, other)
    return None


def _far(days: float) -> tuple[str, ...]:
    if days <= MAX_DAYS:
        return ()
    return (
        f"warning: CT and FLAIR are {days:.0f} days apart, more than six weeks: lesions may have "
        "changed between them",
    )


def _shown(session: str | None) -> str:
    return f"ses-{session}" if session is not None else "no session"


def _unit(
    subject: str,
    session: str | None,
    ct: Candidate | None,
    flair: Candidate | None,
    notes: tuple[str, ...],
    times: Times,
) -> Unit:
    return Unit(
        subject=subject,
        session=session,
        ct=ct.path if ct else None,
        flair=flair.path if flair else None,
        ct_sidecar=ct.sidecar if ct else {},
        flair_sidecar=flair.sidecar if flair else {},
        notes=notes,
        flair_session=flair.session if flair else None,
        days_apart=_days(ct, flair, times) if ct and flair else None,
    )
