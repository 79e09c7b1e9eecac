"""The command line of ctwml_bids, made from the options that `Settings` declares."""

from __future__ import annotations

import argparse
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ctwml_bids import __version__
from ctwml_bids.cli import values
from ctwml_bids.cli.words import Parser, hyphened
from ctwml_bids.segmentation import networks
from ctwml_bids.settings import ANALYSIS_LEVELS, MACHINE, OPTIONS, Option, Settings

DESCRIPTION = """\
White matter lesions measured on head CT and FLAIR, after Pitkanen et al. 2020.

The three words come first, options after them:
  ctwml_bids /data/bids /data/derivatives participant --participant-label 01 02
  ctwml_bids /data/bids /data/derivatives train --folds 10 --repeats 10
  ctwml_bids /data/bids /data/derivatives group
An option of one level is refused at another; [participant, train] says where it belongs.
"""
EPILOG = """\
Exit codes: 0 done, 1 some subject failed, 16 invalid input, 17 unknown analysis level,
18 labels or filters matched nothing, 64 wrong usage, 65 unusable data, 66 missing input,
73 output cannot be created, 74 reading or writing failed, 75 try again, 130 interrupted,
143 stopped by the system.
For research use; not a medical device.
"""
# Flags that read a bare number otherwise than the others of their option.
BY_FLAG: dict[str, values.Reader] = {"--mem-gb": values.memory_in("G")}
# Options that are no settings: the type of their values, and what is declared.
OTHERS: dict[str, tuple[type, Option]] = {
    "config_file": (
        Path,
        Option(
            ("--config-file",),
            section="which data",
            metavar="FILE",
            help="TOML with settings, as each run writes it to `logs/`; the command line wins. "
            "What belongs to the machine "
            f"({', '.join(f'`{OPTIONS[name].flags[0]}`' for name in MACHINE)}) is not taken from "
            "it: give it on the command line, or leave it to the defaults",
        ),
    ),
    "notrack": (
        bool,
        Option(
            ("--notrack",),
            section="how it runs",
            help="accepted, does nothing: there is no telemetry",
        ),
    ),
}
# Choices of fields whose values describe themselves elsewhere than in `Settings`.
CHOICES: dict[str, tuple[str, ...]] = {"network": tuple(networks.ARCHITECTURES)}


def build_parser(optional: Sequence[str] = ()) -> Parser:
    """Build the argument parser; what a configuration file gives may be left out.

    Parameters
    ----------
    optional
        Names of settings that are known already.
    """
    parser = Parser(
        prog="ctwml_bids",
        description=DESCRIPTION,
        epilog=EPILOG,
        argument_default=argparse.SUPPRESS,
        usage="ctwml_bids bids_dir output_dir {participant,train,group} [options]",
    )
    parser.add_argument(
        "bids_dir",
        help="the BIDS data set with CT and FLAIR images (the group level reads its "
        "participants.tsv alone, if it is there)",
        nargs="?" if "bids_dir" in optional else None,
    )
    parser.add_argument(
        "output_dir",
        help="where the results go, a BIDS derivative data set",
        nargs="?" if "output_dir" in optional else None,
    )
    parser.add_argument(
        "analysis_levels",
        metavar="analysis_level",
        help="one or more of: participant (segment and measure each subject), train (networks on "
        "these subjects, cross-validated), group (tables and figures over all subjects)",
        nargs="*" if "analysis_levels" in optional else "+",
    )
    parser.add_argument("--version", action="version", version=f"ctwml_bids {__version__}")
    sections: dict[str, argparse._ArgumentGroup] = {}
    for name, (hint, declared) in declared_options().items():
        if declared.section not in sections:
            sections[declared.section] = parser.add_argument_group(declared.section)
        _add(sections[declared.section], name, declared, hint)
    return parser


def declared_options() -> dict[str, tuple[object, Option]]:
    """Return all options, those of `Settings` first: their types, and what is declared."""
    hints = typing.get_type_hints(Settings)
    return {name: (hints[name], declared) for name, declared in OPTIONS.items()} | OTHERS


def of_level(words: Sequence[str], level: str) -> tuple[str, ...]:
    """Keep those options that belong to an analysis level, each with its values."""
    return _chosen(words, lambda _, declared: level in declared.levels)


def without(words: Sequence[str], field: str) -> tuple[str, ...]:
    """Drop the option of one field of `Settings` with its values."""
    return _chosen(words, lambda name, _: name != field)


def _chosen(words: Sequence[str], wanted: Callable[[str, Option], bool]) -> tuple[str, ...]:
    """Keep options by their field and declaration; those of no field stay."""
    kept, keep = [], True
    for word in words:
        if word.startswith("-"):
            declared = _declared(word)
            keep = declared is None or wanted(*declared)
        if keep:
            kept.append(word)
    return tuple(kept)


def _declared(word: str) -> tuple[str, Option] | None:
    """Find the field and the option that a word names; None for options of no field."""
    flag = hyphened(word).partition("=")[0]
    flag = flag if flag.startswith("--") else flag[:2]
    return next(((name, one) for name, one in OPTIONS.items() if flag in one.flags), None)


def _add(group: argparse._ArgumentGroup, name: str, declared: Option, hint: object) -> None:
    """Add a field's option to its section; flags with a reader of their own are added apart."""
    # Backticks are for the page, and argparse would take a per cent sign for a place to fill.
    help_text = declared.help.replace("`", "").replace("%", "%%")
    if set(declared.levels) < set(ANALYSIS_LEVELS):
        help_text += f" [{', '.join(declared.levels)}]"
    facts: dict[str, Any] = {"dest": name, "help": help_text}
    kind, several = _kind(hint)
    if declared.counted:
        group.add_argument(*declared.flags, action="count", **facts)
        return
    if kind is bool:
        group.add_argument(*declared.flags, action="store_true", **facts)
        return
    if several:
        facts |= {"nargs": "+", "action": "extend"}
    if choices := declared.choices or CHOICES.get(name):
        facts["choices"] = choices
    else:
        facts |= {"metavar": declared.metavar, "type": _reader(kind, declared)}
    apart = [flag for flag in declared.flags if flag in BY_FLAG]
    group.add_argument(*(flag for flag in declared.flags if flag not in apart), **facts)
    for flag in apart:
        group.add_argument(
            flag, **{**facts, "type": BY_FLAG[flag], "help": f"as {declared.flags[0]}, in GB"}
        )


def _kind(hint: object) -> tuple[type, bool]:
    """Return the type of a field's one value, and whether it has several."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _kind(next(kind for kind in inner if kind is not types.NoneType))
    if origin is dict:
        return inner[1], True
    if origin is tuple:
        return inner[0], True
    if isinstance(hint, type):
        return hint, False
    raise TypeError(f"an option cannot have values of {hint}")


def _reader(kind: type, declared: Option) -> values.Reader:
    if declared.form:
        read = values.FORMS[declared.form]
    else:
        read = values.number(kind, declared) if kind in (int, float) else kind
    return values.keyed(declared.keys, read) if declared.keys else read
