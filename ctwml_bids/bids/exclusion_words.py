"""What the words of a column ``exclude`` and of a list say, and what only seems to say it.

A person who was to be left out and stays in, or the other way round, bends all results: whatever
can be read in two ways is refused.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

from ctwml_bids.bids.tables import MISSING, is_missing

# What a cell of the column exclude says, besides nothing, where its person stays in; where the
# person does not and no reason is given; and what, by its letters and digits, says neither.
_STAYS = ("no", "n", "false", "f", "0", "0.0")
_LEAVES = ("yes", "y", "true", "t", "1", "1.0")
_NEITHER = {
    *("na", "nan", "none", "null", "nil", "missing", "unknown", "keep", "kept", "keepin", "in"),
    *("include", "included", "includes", "inclusion", "stay", "stays", "stayin", "staysin"),
    *("off", "not", "nope", "never", "nein", "non", "nej", "nee", "nei", "ei", "nao", "niet"),
    *("notexcluded", "noexclusion", "donotexclude", "dontexclude", "notexclude", "use", "used"),
    *("ok", "okay", "good", "fine", "pass", "passed", "usable", "valid"),
    *("no", "n", "false", "f", "yes", "y", "true", "t"),
}
# First cells of a list whose line names columns; participant_id is the one that is read.
_HEADS = {
    *("subject", "subjects", "subjectid", "subid", "sub", "subj", "subjid", "id", "ids"),
    *("participant", "participants", "participantid", "person", "patient", "patientid", "case"),
    *("caseid", "label", "labels", "name", "session", "sessionid", "reason", "exclude", "excluded"),
}
# A cell that begins with a label: "sub-04", "ses-a", "sub_04", "session 2"; not "sub-acute".
_LABEL_FIRST = re.compile(
    r"(?:(?:and|also|&|\+)\s*)?"
    r"(?:sub-(?=[a-z+]*\d)[a-z0-9+]+|ses-[a-z0-9+]+|(?:sub|ses|subject|session)[ _-]*\d+)"
    r"(?![a-z0-9+])",
    re.IGNORECASE,
)


def says_leave_out(text: str) -> tuple[bool, str]:
    """Tell what a cell of the column ``exclude`` says.

    Returns
    -------
    leaves, reason
        Whether its person is left out; and why, empty where it does not say.

    Raises
    ------
    ValueError
        It says neither.
    """
    said = text.strip().lower()
    if is_missing(said) or said in _STAYS:
        return False, ""
    if said in _LEAVES:
        return True, ""
    plain = "".join(sign for sign in _plain(said) if sign.isalnum())
    if not plain or plain in _NEITHER or not plain.strip("0"):
        raise ValueError(
            f"{text!r} says neither that somebody is left out nor not; write the reason, or "
            f"{MISSING} for who stays in"
        )
    return True, text.strip()


def like_exclude(columns: Iterable[str]) -> str | None:
    """Return the first column that may have been meant for ``exclude``; None without any.

    Signs, accents and capitals do not count: ``exclude?``, ``QC_Exclude``, ``exclusion reason``,
    ``exlcude``; and ``include``, which would say the contrary.
    """
    for name in columns:
        letters = _letters(name)
        meant = re.search("exclu|include", letters) or letters.startswith("excl")
        near = difflib.get_close_matches(letters, ("exclude", "excluded", "exclusion"), 1, 0.8)
        if meant or near or letters in ("inclusion", "incl"):
            return name
    return None


def names_columns(cell: str) -> bool:
    """Tell whether the first cell of a list is the name of a column, and nobody's label."""
    return _letters(cell) in _HEADS and not re.search(r"\d|^sub-", cell.lower())


def begins_with_label(text: str) -> bool:
    """Tell whether text that should be a reason begins with the label of a subject or session."""
    return _LABEL_FIRST.match(text.strip()) is not None


def _letters(text: str) -> str:
    return "".join(sign for sign in _plain(text) if sign.isalpha())


def _plain(text: str) -> str:
    """Return text without accents and capitals."""
    return unicodedata.normalize("NFKD", text).casefold()
