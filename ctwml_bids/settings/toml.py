"""Settings as TOML: written as the record of a run, read back as a configuration file."""

from __future__ import annotations

import dataclasses
import types
import typing
from pathlib import Path

import tomli_w

from ctwml_bids import __version__
from ctwml_bids.errors import InvalidInputError, NoInputError
from ctwml_bids.reading import LARGEST_SETTINGS, parse_toml, read_text
from ctwml_bids.settings.fields import OPTIONS, Settings
from ctwml_bids.settings.option import Option

# Found out from the others before the run: written for provenance, not read back.
RESOLVED = ("model_ct", "model_flair")
# What belongs to the machine that a run was on, and not to the next one's: likewise.
MACHINE = tuple(name for name, declared in OPTIONS.items() if declared.machine)


def to_toml(settings: Settings) -> str:
    """Write settings as TOML; what was not given (None) is left out.

    What is of the machine (`MACHINE`) stands in a table of its own, as a record.

    Parameters
    ----------
    settings
        The settings of one run.

    Returns
    -------
    str
        TOML text with the program's version as its first key.
    """
    values: dict[str, object] = {"version": __version__}
    machine: dict[str, object] = {}
    for name in (item.name for item in dataclasses.fields(settings)):
        value = getattr(settings, name)
        if value is not None:
            (machine if name in MACHINE else values)[name] = _plain(value)
    return tomli_w.dumps({**values, "machine": machine})


def from_toml(text: str, source: str = "configuration file") -> dict[str, object]:
    """Read the fields of `Settings` that a TOML text gives.

    Parameters
    ----------
    text
        TOML, as `to_toml` writes it; any field may be missing.
    source
        What to call the text in an error.

    Returns
    -------
    dict
        Field name to typed value, for ``Settings(**...)`` or as defaults under a command line;
        without `RESOLVED` and `MACHINE`, wherever in the text they stand.

    Raises
    ------
    InvalidInputError
        If the text is not TOML, or has a key, a type or a value that settings do not have.
    """
    try:
        raw = parse_toml(text)
    except ValueError as error:
        raise InvalidInputError(f"{source} is not valid TOML: {error}") from error
    raw.pop("version", None)
    machine = raw.pop("machine", {})
    if not isinstance(machine, dict):
        raise InvalidInputError(f"machine in {source} is {machine!r}; expected a table, [machine].")
    raw = {**machine, **raw}
    hints = typing.get_type_hints(Settings)
    unknown = sorted(set(raw) - set(hints))
    if unknown:
        raise InvalidInputError(
            f"{source} has settings that do not exist: {', '.join(unknown)}. "
            f"Known: {', '.join(sorted(set(hints) - set(RESOLVED)))}."
        )
    values = {}
    for name, value in raw.items():
        where, declared = f"{name} in {source}", OPTIONS.get(name)
        if declared is not None and declared.keys and not isinstance(value, dict):
            value = dict.fromkeys(declared.keys, value)
        values[name] = _typed(value, hints[name], where)
        if declared is not None:
            _check(values[name], declared, where)
    return {name: value for name, value in values.items() if name not in (*RESOLVED, *MACHINE)}


def read_toml(path: Path) -> dict[str, object]:
    """Read a configuration file; see `from_toml`."""
    try:
        text = read_text(path, LARGEST_SETTINGS)
    except OSError as error:
        raise NoInputError(f"cannot read the configuration file {path}: {error}") from error
    except ValueError as error:
        raise InvalidInputError(f"{path} is not a text file of settings: {error}") from error
    return from_toml(text, str(path))


def _check(value: object, declared: Option, where: str) -> None:
    """Hold a value against the choices, the names and the limits of its option."""
    parts = value if isinstance(value, tuple) else (value,)
    if isinstance(value, dict):
        if declared.keys and (unknown := sorted(set(value) - set(declared.keys))):
            raise InvalidInputError(
                f"{where} is for {', '.join(unknown)}; known: {', '.join(declared.keys)}."
            )
        parts = tuple(value.values())
    for one in parts:
        if declared.choices and one not in declared.choices:
            raise InvalidInputError(f"{where} is {one!r}; known: {', '.join(declared.choices)}.")
        if not declared.fits(one):
            raise InvalidInputError(f"{where} is {one}; it must be {declared.allowed}.")


def _plain(value: object) -> object:
    """Turn a field's value into what TOML can hold."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value


def _typed(value: object, hint: object, where: str) -> object:
    """Turn a TOML value into the type of its field, or say what was expected."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _typed(value, next(kind for kind in inner if kind is not types.NoneType), where)
    if origin is tuple and isinstance(value, list):
        return tuple(_typed(item, inner[0], where) for item in value)
    if origin is dict and isinstance(value, dict):
        return {name: _typed(item, inner[1], where) for name, item in value.items()}
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    raise InvalidInputError(f"{where} is {value!r}; expected {hint}.")
