"""What both reports share: the template environment and how values are written."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2

MISSING = ("n/a", None, "")


def render(template: str, **values: object) -> str:
    """Render a packaged template; every value is escaped.

    Parameters
    ----------
    template
        File name in ``data/html``.
    **values
        What the template names; a name that is missing is an error.
    """
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> jinja2.Environment:
    """Return what renders the packaged templates; it keeps those that it has compiled."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ctwml_bids", "data/html"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, short=short, data_uri=data_uri)
    environment.tests["mapping_value"] = lambda value: isinstance(value, Mapping)
    return environment


def number(value: Any, digits: int = 1, *, sign: bool = False) -> str:
    """Write a value of a table for people: ``12.3``, a whole number, ``–`` where there is none."""
    if value in MISSING or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return decimal(value, 0)
    return decimal(value, digits, sign=sign)


def decimal(value: float, digits: int = 1, *, sign: bool = False) -> str:
    """Write a number with a true minus, and what rounds to zero without any sign.

    Parameters
    ----------
    value
        Finite or not.
    digits
        After the point.
    sign
        Whether a plus is written, too.
    """
    # The option z makes a zero of what rounds to minus zero.
    text = f"{value:{'+' if sign else ''}z.{digits}f}"
    return text.lstrip("+") if not text.strip("+0.") else text.replace("-", "−")


def short(value: object) -> str:
    """Write a value with about three digits: ``1377``, ``31.2``, ``0.96``."""
    if not isinstance(value, int | float) or not value:
        return number(value, 2)
    size = abs(value)
    return number(float(value), 0 if size >= 100 else 1 if size >= 10 else 2)


def data_uri(png: bytes) -> str:
    """Return a PNG as a data URI, so that the report stays one file."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
