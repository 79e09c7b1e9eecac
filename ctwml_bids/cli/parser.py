"""The command line: what a user types, read into `Settings` without touching anything."""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ctwml_bids.cli.machine import usable_cpus, usable_memory_gb
from ctwml_bids.cli.options import Parser, build_parser
from ctwml_bids.cli.values import absolute, file_or_name
from ctwml_bids.errors import CtwmlError
from ctwml_bids.settings import ANALYSIS_LEVELS, Settings, read_toml

POSITIONALS = ("bids_dir", "output_dir", "analysis_levels")
# The Fazekas thresholds that go by a name; all others are files.
LITERATURE = "literature"
NOT_SETTINGS = ("notrack", "config_file")


class UnknownLevelError(CtwmlError):
    """The analysis level is none that this version has (BIDS execution: 17)."""

    exit_code = 17


def parse(argv: Sequence[str] | None = None) -> Settings:
    """Read a command line.

    Nothing is created, started or printed, except for ``--help`` and ``--version``, which print
    and raise SystemExit(0). A file given by ``--config-file`` is read; the command line wins.

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
    given = vars(build_parser(optional=tuple(config)).parse_intermixed_args(argv))
    values: dict[str, Any] = {
        **config,
        **{name: value for name, value in given.items() if _was_given(name, value)},
    }
    levels = tuple(dict.fromkeys(values["analysis_levels"]))
    _check_levels(levels)
    values["analysis_levels"] = levels
    lists = ("participant_labels", "session_labels", "output_spaces", "models", "exclude", "only")
    for name in lists:
        values[name] = tuple(dict.fromkeys(values.get(name, ())))
    values["models"] = tuple(absolute(folder) for folder in values["models"])
    named = dict(values.get("derivatives", {}))
    values["derivatives"] = {name: absolute(folder) for name, folder in named.items()}
    files = ("bids_filter_file", "use_plugin", "participants_file", "fazekas_file")
    for name in ("bids_dir", "output_dir", "work_dir", *files):
        if values.get(name) is not None:
            values[name] = absolute(values[name])
    if values.get("fazekas_thresholds") is not None:
        values["fazekas_thresholds"] = file_or_name(values["fazekas_thresholds"], LITERATURE)
    values.setdefault("work_dir", default_work_dir(values["output_dir"]))
    values.setdefault("nprocs", usable_cpus())
    values.setdefault("mem_gb", usable_memory_gb())
    return Settings(**values)


def _check_levels(levels: Sequence[str]) -> None:
    """Refuse levels that this version does not have (UnknownLevelError)."""
    known = ", ".join(ANALYSIS_LEVELS)
    if unknown := [level for level in levels if level not in ANALYSIS_LEVELS]:
        raise UnknownLevelError(f"unknown analysis level {', '.join(unknown)}. Known: {known}.")


def default_work_dir(output_dir: Path) -> Path:
    """Name the scratch folder of one user and one output folder, under the temporary folder."""
    digest = hashlib.sha256(str(output_dir).encode()).hexdigest()[:8]
    return Path(tempfile.gettempdir()).resolve() / f"ctwml_work-{os.getuid()}-{digest}"


def _was_given(name: str, value: Any) -> bool:
    """Tell what was typed from argparse's stand-ins for positionals that were not."""
    if name in POSITIONALS:
        return value != [] and str(value) != argparse.SUPPRESS
    return name not in NOT_SETTINGS


def _config(argv: Sequence[str] | None) -> dict[str, Any]:
    """Read the file named by --config-file, if there is one."""
    finder = Parser(add_help=False, allow_abbrev=False)
    finder.add_argument("--config-file", type=Path)
    known, _ = finder.parse_known_args(argv)
    return read_toml(known.config_file) if known.config_file else {}
