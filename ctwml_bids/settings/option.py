"""How an option is declared: once, beside the default of its field in `Settings`.

The parser, the check of a configuration file, the refusal of an option at a level that does not
use it, and the table in the documentation are all made from these declarations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

PARTICIPANT, TRAIN, GROUP = "participant", "train", "group"
ANALYSIS_LEVELS = (PARTICIPANT, TRAIN, GROUP)
_KEY = "option"


@dataclass(frozen=True)
class Option:
    """What a user may give for one field of `Settings`, and where.

    Attributes
    ----------
    flags
        The option's names; the first is the one that messages use. Underscores in place of
        hyphens are understood everywhere and are not listed.
    help
        For ``--help`` and the table in the documentation; what is typed stands in backticks.
    section
        Heading under which ``--help`` has it.
    levels
        Analysis levels that use it; at others it is refused.
    metavar
        What ``--help`` calls its value.
    choices
        The only values; empty where there are others.
    above, below
        A number is greater, or less, than this.
    lowest, highest
        A number is at least, or at most, this.
    keys
        Names that a value may be given for (``ct=0.4``); without a name it is for all of them.
    counted
        Whether the value is how often the option is given.
    form
        What its text must be, where the type of the field does not say: "subject", "unit", ...;
        the command line has a reader of each.
    word
        The name that may stand in the place of a file.
    machine
        Whether it belongs to the machine that a run is on, and not to the next one's.
    hashed
        Whether what comes before the networks depends on it: it counts in the settings hash.
    """

    flags: tuple[str, ...]
    help: str
    section: str
    levels: tuple[str, ...] = ANALYSIS_LEVELS
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    above: float | None = None
    below: float | None = None
    lowest: float | None = None
    highest: float | None = None
    keys: tuple[str, ...] = ()
    counted: bool = False
    form: str = ""
    word: str = ""
    machine: bool = False
    hashed: bool = False

    @property
    def allowed(self) -> str:
        """Say which numbers may be given; empty where any may."""
        if self.above is not None and self.below is not None:
            return f"between {self.above:g} and {self.below:g}"
        if self.lowest is not None and self.highest is not None:
            return f"from {self.lowest:g} to {self.highest:g}"
        limits = (
            ("above", self.above),
            ("below", self.below),
            ("at least", self.lowest),
            ("at most", self.highest),
        )
        return " and ".join(f"{word} {limit:g}" for word, limit in limits if limit is not None)

    def fits(self, number: float) -> bool:
        """Tell whether a number may be given; not a number (NaN) fits no limit."""
        return (
            (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
            and (self.lowest is None or number >= self.lowest)
            and (self.highest is None or number <= self.highest)
        )


def option(default: object, *flags: str, **facts: Any) -> Any:
    """Declare a field of `Settings` and its option.

    Parameters
    ----------
    default
        Of the field.
    flags
        Names of the option.
    facts
        The other attributes of `Option`.
    """
    metadata = {_KEY: Option(flags, **facts)}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def options_of(settings: type) -> Mapping[str, Option]:
    """Return the declared options of a dataclass by the names of their fields, in their order."""
    found = {item.name: item.metadata.get(_KEY) for item in dataclasses.fields(settings)}
    return MappingProxyType({name: one for name, one in found.items() if one is not None})
