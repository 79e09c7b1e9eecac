"""The tables of docs/options.md, made of the options that `Settings` declares."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.page_words import Table
from ctwml_bids.cli.options import CHOICES, declared_options
from ctwml_bids.settings import ANALYSIS_LEVELS, Option

# Where the pages say more, by the name of the setting.
MORE = {
    "bids_filter_file": "[filter file](#filter-file)",
    "derivatives": "[manual masks](training.md#manual-masks)",
    "models": "[networks of your own](#networks-of-your-own)",
    "threshold": "[another threshold](#another-threshold)",
    "template": "[templates](#templates)",
    "output_spaces": "[templates](#templates)",
    "exclude": "[tables and lists](group.md#tables-and-lists)",
    "participants_file": "[tables and lists](group.md#tables-and-lists)",
    "fazekas_file": "[tables and lists](group.md#tables-and-lists)",
    "fazekas_column": "[tables and lists](group.md#tables-and-lists)",
    "fazekas_thresholds": "[one patient](group.md#fazekas-group-of-a-single-patient)",
    "modality": "[training](training.md)",
    "labels": "[manual masks](training.md#manual-masks)",
    "only": "[job arrays](training.md#job-arrays)",
    "nprocs": "[memory and CPUs](#memory-cpus-gpu)",
    "mem_gb": "[memory and CPUs](#memory-cpus-gpu)",
    "omp_nthreads": "[memory and CPUs](#memory-cpus-gpu)",
    "use_plugin": "[Nipype's plugins](#nipypes-own-plugins)",
    "rerun": "[running again](first-run.md#running-again)",
    "work_dir": "[scratch folder](#the-scratch-folder)",
}


def sections() -> dict[str, Callable[[], Table]]:
    """Return the makers of the tables by their names on the page, one for each section."""
    found = dict.fromkeys(declared.section for _, declared in declared_options().values())
    return {f"options, {section}": partial(of_section, section) for section in found}


def of_section(section: str) -> Table:
    """Make the table of the options of one section of ``--help``."""
    rows = [
        (_names(name, hint, declared), _levels(declared), _what(name, declared))
        for name, (hint, declared) in declared_options().items()
        if declared.section == section
    ]
    return [("option", "level", "what"), *rows]


def _names(name: str, hint: object, declared: Option) -> str:
    """Write the first flag with what may follow it, then its other names."""
    first, *others = declared.flags
    values = declared.choices or CHOICES.get(name) or (declared.metavar or "").split("|")
    several = " ..." if str(hint).startswith("tuple") and not declared.choices else ""
    shown = [f"`{first} {values[0]}{several}`".replace(" `", "`")]
    between = ", " if len(values) > 2 or declared.choices else " or "
    text = between.join(shown + [f"`{value}`" for value in values[1:]])
    return text + ("; also " + ", ".join(f"`{flag}`" for flag in others) if others else "")


def _levels(declared: Option) -> str:
    return "all" if declared.levels == ANALYSIS_LEVELS else ", ".join(declared.levels)


def _what(name: str, declared: Option) -> str:
    return declared.help + (f"; see {MORE[name]}" if name in MORE else "")
