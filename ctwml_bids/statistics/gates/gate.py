"""What a quality gate is, and how a number is judged against limits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ORDER = ("pass", "warn", "fail")


@dataclass(frozen=True)
class Gate:
    """One quality gate.

    Attributes
    ----------
    name
        Short name, e.g. ``CT brain volume``.
    value, unit
        What was measured; NaN where it could not be.
    status
        ``pass``, ``warn`` or ``fail``.
    limits
        The limits in words.
    message
        What was found and what to look at, in a sentence.
    """

    name: str
    value: float
    unit: str
    status: str
    limits: str
    message: str


def overall(gates: Iterable[Gate]) -> str:
    """Return the worst status of all gates: ``pass``, ``warn`` or ``fail``."""
    return max((gate.status for gate in gates), key=ORDER.index, default="pass")


def between(value: float, usual: tuple[float, float], possible: tuple[float, float]) -> str:
    """Pass inside the usual range, fail outside the possible one; unknown is a warning."""
    if math.isnan(value):
        return "warn"
    if not possible[0] <= value <= possible[1]:
        return "fail"
    return "pass" if usual[0] <= value <= usual[1] else "warn"


def above(value: float, limits: tuple[float, float]) -> str:
    """Warn above the first limit, fail above the second; unknown is a warning."""
    if math.isnan(value):
        return "warn"
    return ORDER[sum(value > limit for limit in limits)]


def range_text(usual: tuple[float, float], possible: tuple[float, float], unit: str) -> str:
    """Put the limits of `between` in words."""
    return (
        f"pass {usual[0]:g}–{usual[1]:g} {unit}; "
        f"fail below {possible[0]:g} or above {possible[1]:g} {unit}"
    )


def limit_text(limits: tuple[float, ...], unit: str, digits: int = 0) -> str:
    """Put the limits of `above` in words."""
    low, high = (f"{limit:.{digits}f}" for limit in limits)
    return f"warn above {low} {unit}; fail above {high} {unit}".replace(" ;", ";").strip()


def said(value: float, status: str, messages: Mapping[str, str]) -> str:
    """Return the message of a status, or that nothing could be measured."""
    if math.isnan(value):
        return "This could not be measured; look at the images."
    return messages[status]


def volume(name: str, ml: float, limits: tuple[float, float], message: Mapping[str, str]) -> Gate:
    """Judge a volume in mL: warn above the first limit, fail above the second."""
    status = above(ml, limits)
    return Gate(name, ml, "mL", status, limit_text(limits, "mL"), said(ml, status, message))
