"""The command line: what a user types, read into `Settings` without touching anything."""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ctwml_bids.cli.options import CHOICES, OTHERS, build_parser
from ctwml_bids.cli.values import absolute
from ctwml_bids.cli.words import Parser
from ctwml_bids.errors import CtwmlError, InvalidInputError, UsageError
from ctwml_bids.modality import IMAGES
from ctwml_bids.run.machine import usable_cpus, usable_memory_gb
from ctwml_bids.settings import ANALYSIS_LEVELS, OPTIONS, Settings, read_toml

FOLDERS = ("bids_dir", "output_dir")
POSITIONALS = (*FOLDERS, "analysis_levels")
ORDER = (
    "The order is bids_dir output_dir analysis_level, then the options: "
    "ctwml_bids /data/bids /data/derivatives participant"
)


class UnknownLevelError(CtwmlError):
    """The analysis level is none that this version has (BIDS execution: 17)."""

    exit_code = 17


def parse(argv: Sequence[str] | None = None) -> Settings:
    """Read a command line.

    Nothing is created, started or printed, except for ``--help`` and ``--version``, which print
    and raise SystemExit(0). A file given by ``--config-file`` is read; the command line wins. An
    option that was typed must belong to one of the levels that are asked for; a configuration
    file, which runs of several levels may share, may have those of others.

    Parameters
    ----------
    argv
        The arguments after the program's name; those of this process by default.

    Returns
    -------
    Settings
        With absolute folders, and with defaults for this machine.

    Raises
    ------
    UsageError
        If the command line is not understood.
    UnknownLevelError
        If an analysis level is none that this version has.
    NoInputError, InvalidInputError
        If the configuration file cannot be read or is not valid.
    """
    config = _config(argv)
    given = vars(_all_words(build_parser(optional=tuple(config)), argv))
    given = {name: value for name, value in given.items() if _was_given(name, value)}
    values: dict[str, Any] = {**config, **given}
    _check_levels(values["analysis_levels"], values)
    levels = values["analysis_levels"] = tuple(dict.fromkeys(values["analysis_levels"]))
    _check_folders(given)
    _check_options(given, levels)
    hints = typing.get_type_hints(Settings)
    values = {name: _settled(name, value, hints[name]) for name, value in values.items()}
    _check_together(values)
    values.setdefault("work_dir", default_work_dir(values["output_dir"]))
    values.setdefault("nprocs", usable_cpus())
    values.setdefault("mem_gb", usable_memory_gb())
    return Settings(**values)


def default_work_dir(output_dir: Path) -> Path:
    """Name the scratch folder of one user and one output folder, under the temporary folder."""
    digest = hashlib.sha256(str(output_dir).encode()).hexdigest()[:8]
    return Path(tempfile.gettempdir()).resolve() / f"ctwml_work-{os.getuid()}-{digest}"


def _all_words(parser: Parser, argv: Sequence[str] | None) -> argparse.Namespace:
    try:
        return parser.parse_intermixed_args(argv)
    except UsageError as error:
        if "arguments are required" not in str(error):
            raise
        raise UsageError(
            f"{error} Put bids_dir, output_dir and analysis_level before all options. {ORDER}"
        ) from error


def _check_levels(levels: Sequence[str], values: Mapping[str, object]) -> None:
    """Refuse levels that this version does not have (UnknownLevelError)."""
    known = ", ".join(ANALYSIS_LEVELS)
    if not (unknown := [level for level in levels if level not in ANALYSIS_LEVELS]):
        return
    folders = {str(values.get(name)) for name in FOLDERS}
    misplaced = folders & set(ANALYSIS_LEVELS) or len(unknown) < len(levels)
    hint = f" {ORDER}." if misplaced else ""
    raise UnknownLevelError(f"unknown analysis level {', '.join(unknown)}. Known: {known}.{hint}")


def _check_folders(given: Mapping[str, object]) -> None:
    """Refuse a level's name in the place of a folder that is not there (UsageError)."""
    for name in FOLDERS:
        # As it was typed: ./group is a folder, whatever it is called.
        folder = given.get(name)
        if isinstance(folder, str) and folder in ANALYSIS_LEVELS and not Path(folder).is_dir():
            raise UsageError(
                f"{folder} stands where {name} belongs. {ORDER}. A folder of that name is given "
                f"as ./{folder}."
            )


def _check_options(given: Mapping[str, object], levels: Sequence[str]) -> None:
    """Refuse options that none of the levels asked for uses (UsageError)."""
    wrong = [
        f"{OPTIONS[name].flags[0]} is an option of {' and '.join(OPTIONS[name].levels)}"
        for name in OPTIONS
        if name in given and not set(OPTIONS[name].levels) & set(levels)
    ]
    if wrong:
        raise UsageError(
            f"{'; '.join(wrong)}. It has no effect at the level {' and '.join(levels)}, which is "
            "asked for here: leave it out, or give it with its own level."
        )


def _check_together(values: Mapping[str, Any]) -> None:
    """Refuse values that leave each other without an effect (UsageError)."""
    ignored = set(values.get("ignore", ()))
    if ignored == set(IMAGES):
        raise UsageError("--ignore: with CT and FLAIR both left out there is nothing to measure.")
    if (asked := set(values.get("threshold", ()))) and asked <= ignored:
        raise UsageError(f"--threshold {', '.join(asked)}: --ignore leaves these images out.")
    if values.get("rerun") and values.get("reports_only"):
        raise UsageError("--rerun: with --reports-only nothing is measured; leave out one of them.")


def _settled(name: str, value: Any, hint: object) -> object:
    """Give a value its final form: no value twice, paths absolute."""
    if typing.get_origin(hint) is tuple:
        value = tuple(dict.fromkeys(value))
        return tuple(map(_path, value)) if Path in typing.get_args(hint) else value
    if typing.get_origin(hint) is dict:
        value = _merged(name, value) if isinstance(value, list) else value
        paths = Path in typing.get_args(hint)
        return {key: _path(one) if paths else one for key, one in value.items()}
    if name in OPTIONS and (word := OPTIONS[name].word):
        return value if value == word else str(absolute(value))
    return _path(value) if name in FOLDERS or isinstance(value, Path) else value


def _path(given: Path | str) -> Path:
    """Make a path absolute; one whose name is no text here cannot be listed (UsageError)."""
    path = absolute(given)
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{path}: this name is no text in the encoding of this system "
            f"({sys.getfilesystemencoding()}). Set PYTHONUTF8=1 or LC_ALL=C.UTF-8, or rename it."
        ) from error
    return path


def _merged(name: str, given: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Put together what an option says of several names; two values of one are refused."""
    merged: dict[str, object] = {}
    for one in given:
        for key, value in one.items():
            if merged.setdefault(key, value) != value:
                raise UsageError(
                    f"{OPTIONS[name].flags[-1]}: {key} is given as {merged[key]} and as {value}."
                )
    return merged


def _was_given(name: str, value: object) -> bool:
    """Tell what was typed from argparse's stand-ins for positionals that were not."""
    if name in POSITIONALS:
        return value != [] and str(value) != argparse.SUPPRESS
    return name not in OTHERS


def _config(argv: Sequence[str] | None) -> dict[str, object]:
    """Read the file named by --config-file, if there is one."""
    finder = Parser(prog="ctwml_bids", add_help=False)
    finder.add_argument("--config-file", type=Path)
    path = finder.parse_known_args(argv)[0].config_file
    config = read_toml(path) if path else {}
    for name, choices in CHOICES.items():
        if name in config and config[name] not in choices:
            raise InvalidInputError(
                f"{name} in {path} is {config[name]!r}; known: {', '.join(choices)}."
            )
    return config
