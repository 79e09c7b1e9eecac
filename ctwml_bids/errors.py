"""Typed errors; each carries the exit code that the command line returns for it."""

from __future__ import annotations


def entry(exit_code: int) -> str:
    """Name the place in the documentation that says what an exit code means and what to do."""
    return f"docs/faq.md#exit-code-{exit_code}"


class CtwmlError(Exception):
    """An error that is meant to be read by the user: what was found, where, what to do."""

    exit_code = 1


class InvalidInputError(CtwmlError):
    """The data set or an option's content is not valid (BIDS execution: 16)."""

    exit_code = 16


class NothingMatchedError(CtwmlError):
    """The labels or filters asked for match nothing (BIDS execution: 18)."""

    exit_code = 18


class UsageError(CtwmlError):
    """The command line itself is wrong (sysexits EX_USAGE)."""

    exit_code = 64


class BadDataError(CtwmlError):
    """An image, sidecar or table cannot be used as it is (sysexits EX_DATAERR)."""

    exit_code = 65


class NoInputError(CtwmlError):
    """An input file, folder, template or model is not there (sysexits EX_NOINPUT)."""

    exit_code = 66


class CannotCreateError(CtwmlError):
    """An output cannot be created where it was asked for (sysexits EX_CANTCREAT)."""

    exit_code = 73


class InputOutputError(CtwmlError):
    """Reading or writing failed midway, for instance on a full disk (sysexits EX_IOERR)."""

    exit_code = 74


class TemporaryError(CtwmlError):
    """Something that may pass if tried again, such as a killed worker (sysexits EX_TEMPFAIL)."""

    exit_code = 75
