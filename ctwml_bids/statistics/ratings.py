"""Visual Fazekas ratings as tables hold them: grades 0–3, or the groups 0–1, 2 and 3."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ctwml_bids.statistics.fazekas import group_of_grade

EMPTY = ("", "n/a")


@dataclass(frozen=True)
class Rating:
    """One visual rating.

    Attributes
    ----------
    group
        Index in `fazekas.GROUPS`.
    grade
        0–3; None where the table has the group 0–1 only.
    """

    group: int
    grade: int | None


def parse(text: str) -> Rating | None:
    """Read one cell.

    Parameters
    ----------
    text
        Such as ``2``, ``3.0``, ``0-1``, ``0–1`` or ``n/a``.

    Returns
    -------
    Rating or None
        None where there is no rating.

    Raises
    ------
    ValueError
        It is none of these.
    """
    text = text.strip()
    if text.lower() in EMPTY:
        return None
    if re.fullmatch(r"0\s*[-–/]\s*1", text):
        return Rating(0, None)
    if not re.fullmatch(r"[0-3](\.0+)?", text):
        raise ValueError(f"{text!r} is no Fazekas grade (0, 1, 2, 3) or group (0-1, 2, 3)")
    grade = int(text[0])
    return Rating(int(group_of_grade([grade])[0]), grade)
