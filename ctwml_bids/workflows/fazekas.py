"""Fazekas thresholds of a cohort, read from the file that a user names."""

from __future__ import annotations

import json
from pathlib import Path

from ctwml_bids.errors import InvalidInputError, NoInputError
from ctwml_bids.statistics.thresholds import LITERATURE, ThresholdSet, from_record, literature


def read_thresholds(value: str) -> ThresholdSet:
    """Read thresholds from a file that `group` saved, or take the cold start by its name.

    Parameters
    ----------
    value
        A path, or ``literature``.

    Raises
    ------
    NoInputError
        The file is not there.
    InvalidInputError
        It is something else than saved thresholds.
    """
    if value == LITERATURE:
        return literature()
    path = Path(value)
    try:
        return from_record(json.loads(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise NoInputError(
            f"{path}: the Fazekas thresholds cannot be read ({error.strerror}); give the "
            f"fazekas_thresholds.json of a group, or {LITERATURE}."
        ) from error
    except ValueError as error:
        raise InvalidInputError(
            f"{path}: is no file of Fazekas thresholds: {error}. Give the fazekas_thresholds.json "
            f"that the group level saved, or {LITERATURE}."
        ) from error
