"""The parser of all three programs: spelling of options, and messages for wrong ones."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from ctwml_bids.errors import UsageError


def hyphened(word: str) -> str:
    """Spell a long option with hyphens: ``--work_dir`` is ``--work-dir``; other words stay."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value


class Parser(argparse.ArgumentParser):
    """argparse that knows underscores, and whose complaints are a typed error with a suggestion.

    Options are not abbreviated: an abbreviation would change its meaning with the next option.
    """

    def __init__(self, **as_argparse: Any) -> None:
        as_argparse.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**as_argparse, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise argparse's complaint (UsageError) in place of its exit code 2."""
        end = "" if message.endswith("?") else "."
        raise UsageError(f"{message}{end} See {self.prog} --help.")

    # argparse takes any object for a namespace, and returns it; no program here gives one of its
    # own, so that these three methods need not (each `override` below).
    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Read what is known, as argparse does, however the options are spelled."""
        words = sys.argv[1:] if args is None else args
        return super().parse_known_args([self._spelled(word) for word in words], namespace)

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Read a command line (raises UsageError)."""
        return self._without_rest(*self.parse_known_args(args, namespace))

    def parse_intermixed_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Read a command line whose words may stand between its options (raises UsageError)."""
        return self._without_rest(*self.parse_known_intermixed_args(args, namespace))

    def _spelled(self, word: str) -> str:
        """Spell a word as the options are; refuse a long option with one dash.

        argparse would take ``-work-dir`` for ``-w`` with the value ``ork-dir``.
        """
        long = hyphened(f"-{word}").partition("=")[0]
        if not word.startswith("--") and len(word) > 2 and long in self._option_string_actions:
            self.error(f"{word}: did you mean {long}?")
        return hyphened(word)

    def _without_rest(self, found: argparse.Namespace, rest: list[str]) -> argparse.Namespace:
        if rest:
            hints = [hint for word in rest if (hint := self._hint(word))]
            self.error("; ".join((f"unrecognized arguments: {' '.join(rest)}", *hints)))
        return found

    def _hint(self, word: str) -> str:
        """Name the options that an unknown one may have been meant for; empty without any."""
        name = word.partition("=")[0]
        if not name.startswith("-"):
            return ""
        known = [flag for flag in self._option_string_actions if flag.startswith("--")]
        longer = [flag for flag in known if flag.startswith(name)]
        found = longer or difflib.get_close_matches(name, known, n=3, cutoff=0.7)
        close: dict[str, str] = {}
        for flag in found:
            # Of the names of one option, the first.
            close.setdefault(self._option_string_actions[flag].dest, flag)
        return f"did you mean {' or '.join(close.values())}?" if close else ""
