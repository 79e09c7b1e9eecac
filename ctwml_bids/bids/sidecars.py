"""Metadata of an image: all JSON files that apply to it, merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ctwml_bids.bids.fetched import not_fetched
from ctwml_bids.errors import BadDataError
from ctwml_bids.reading import read_json
from ctwml_bids.slices import (
    ENCODING_KEY,
    ORIENTATION_KEYS,
    PIXEL_KEY,
    POSITION_KEYS,
    SPACING_KEY,
    THICKNESS_KEY,
)

# Fields of an image's sidecar that decide anything after the choice of the image: all that the
# steps get to see (`geometry` reads them). A change of one makes a finished unit run again, a
# change of any other does not.
USED = (
    SPACING_KEY,
    THICKNESS_KEY,
    PIXEL_KEY,
    *POSITION_KEYS,
    *ORIENTATION_KEYS,
    ENCODING_KEY,
)


def used(sidecar: Mapping[str, object]) -> dict[str, object]:
    """Return the entries of `USED` that a sidecar has."""
    return {key: sidecar[key] for key in USED if key in sidecar}


def inherited(
    image: Path,
    entities: Mapping[str, str],
    sidecars: Sequence[tuple[Path, Mapping[str, str]]],
    loaded: dict[Path, dict[str, object]],
) -> dict[str, object]:
    """Merge the JSON files that apply to an image, the nearest last (BIDS inheritance)."""
    applicable = []
    for path, named in sidecars:
        conditions = {k: v for k, v in named.items() if k not in ("extension", "datatype")}
        if path.parent in image.parents and conditions.items() <= entities.items():
            applicable.append((len(path.parents), len(conditions), path))
    merged: dict[str, object] = {}
    for *_, path in sorted(applicable):
        if path not in loaded:
            loaded[path] = _read_sidecar(path)
        merged.update(loaded[path])
    return merged


def _read_sidecar(path: Path) -> dict[str, object]:
    if absent := not_fetched(path):
        raise BadDataError(f"{path}: {absent}")
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise BadDataError(
            f"{path}: the sidecar cannot be read as JSON ({error}); correct or remove it"
        ) from error
    if not isinstance(content, dict):
        raise BadDataError(
            f"{path}: the sidecar is not a JSON object {{...}}; correct or remove it"
        )
    return content
