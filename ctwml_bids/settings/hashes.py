"""Which settings decide the results, and their hashes: what may lie in one output folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from ctwml_bids import __version__
from ctwml_bids.settings.fields import OPTIONS, Settings


def preprocessing_fields(settings: Settings) -> dict[str, object]:
    """Give the settings that decide what comes before the networks."""
    hashed = [name for name, declared in OPTIONS.items() if declared.hashed]
    return {"version": __version__, **{name: getattr(settings, name) for name in hashed}}


def segmentation_fields(settings: Settings, checksums: Mapping[str, str]) -> dict[str, object]:
    """Give what decides the lesion maps, given the same preprocessing.

    Parameters
    ----------
    settings
        The settings of one run; a threshold in them is another than the model's own.
    checksums
        "ct" and "flair" to the checksum of that model.
    """
    return {
        "version": __version__,
        **{f"model_{name}": checksums[name] for name in checksums},
        **{f"threshold_{name}": settings.threshold[name] for name in sorted(settings.threshold)},
    }


def content_hash(fields: Mapping[str, object]) -> str:
    """Hash JSON-able values, whatever the order of their keys."""
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def differences(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """Name what differs between two sets of fields, one readable line each."""
    return [
        f"{name}: {before.get(name)!r} before, {now.get(name)!r} now"
        for name in sorted(set(before) | set(now))
        if before.get(name) != now.get(name)
    ]
