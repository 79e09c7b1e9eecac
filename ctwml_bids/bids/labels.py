"""Labels of people and sessions as tables and lists write them, and what comes near a label.

A label is right or it is not: one that only comes near that of a subject (``3`` for ``03``, ``a1``
for ``A1``) is told with both, and never taken for it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal

LABEL = r"[A-Za-z0-9+]+"


def read_label(text: str, prefix: str = "sub-") -> str:
    """Read the label of a subject or a session.

    Parameters
    ----------
    text
        With or without its prefix, in capitals or not; spaces around it do not count.
    prefix
        ``sub-`` or ``ses-``.

    Returns
    -------
    str
        With the prefix.

    Raises
    ------
    ValueError
        It is no label; the message says of what form one is.
    """
    match = re.fullmatch(rf"(?:(?i:{prefix}))?({LABEL})", text.strip())
    if match is None:
        raise ValueError(
            f"{text.strip()!r} is no label: one is letters and digits, with or without {prefix} "
            "before them"
        )
    return prefix + match[1]


def read_unit(text: str) -> str:
    """Read the label of a subject or of one of its sessions (``X`` or ``X_ses-Y``).

    Returns
    -------
    str
        ``sub-X`` or ``sub-X_ses-Y``.

    Raises
    ------
    ValueError
        It is neither.
    """
    match = re.fullmatch(rf"((?:(?i:sub-))?{LABEL})(?:_((?i:ses-){LABEL}))?", text.strip())
    if match is None:
        raise ValueError(f"{text.strip()!r} is no subject (X) or unit (X_ses-Y)")
    subject = read_label(match[1])
    return subject if match[2] is None else f"{subject}_{read_label(match[2], 'ses-')}"


def first_of(names: Sequence[str], most: int) -> str:
    """List names in a sentence, the first ones where there are many: ``a, b and 3 more``."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def subjects_of(units: Iterable[str]) -> set[str]:
    """Return ``sub-X`` of units (``sub-X`` or ``sub-X_ses-Y``)."""
    return {unit.split("_ses-")[0] for unit in units}


def meant(label: str, units: Collection[str]) -> list[str]:
    """Return what a label that is none of a data set's may have been meant for.

    Parameters
    ----------
    label
        ``sub-X`` or ``sub-X_ses-Y``; or text that is no label at all.
    units
        ``sub-X`` or ``sub-X_ses-Y`` of all units that there are.

    Returns
    -------
    list of str
        Subjects or units whose label comes near, sorted; none where it is one of them.
    """
    subjects = subjects_of(units)
    if label in subjects or label in units:
        return []
    return near(label, units if "_ses-" in label else subjects)


def near(label: str, known: Iterable[str]) -> list[str]:
    """Return the known labels that a label may have been meant for, but is not.

    They differ in capitals, in zeros before a number, or in the way in which a spreadsheet writes
    a number (``1E5``, ``100000``); or one has ``sub`` twice.

    Parameters
    ----------
    label
        ``sub-X`` or ``sub-X_ses-Y``; or text that is no label at all.
    known
        Labels that there are. Two with sessions (``sub-X_ses-Y``) come near each other where both
        parts do. One without a session comes near any of its subject; but not where `label` has a
        session and that subject has sessions, too: then it is about one that is not there.

    Returns
    -------
    list of str
        Sorted; without `label` itself.
    """
    subject, session = _keys(label)
    others = set(known)
    with_sessions = {other.partition("_ses-")[0] for other in others if "_ses-" in other}
    found = []
    for other in others - {label}:
        its_subject, its_session = _keys(other)
        if not subject or subject != its_subject:
            continue
        alone = its_session is None and other not in with_sessions
        if session is None or session == its_session or alone:
            found.append(other)
    return sorted(found)


@functools.lru_cache(maxsize=65536)
def _keys(label: str) -> tuple[str, str | None]:
    subject, _, session = label.strip().lower().partition("_ses-")
    return _key(subject, "sub"), _key(session, "ses") if session else None


def _key(text: str, prefix: str) -> str:
    """Return what labels that come near each other have in common."""
    text = re.sub(rf"^(?:{prefix}[^a-z0-9]*)+(?=[a-z0-9])", "", text)
    # Longer than the name of any file, text is no number that a spreadsheet has written.
    if len(text) < 256 and re.fullmatch(r"[0-9]+(?:\.[0-9]+)?(?:e\+?[0-9]{1,2})?", text):
        number = Decimal(text)
        if number == number.to_integral_value():
            return str(int(number))
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[^a-z0-9]", "", text))
