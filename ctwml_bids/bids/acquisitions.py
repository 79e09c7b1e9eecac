"""Where the images of a unit are from: scanner, slice thickness, days between CT and FLAIR.

Copied from sidecars and scans.tsv into the output folder, which is all that `group` reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ctwml_bids.bids import names
from ctwml_bids.bids.files import read_tsv, write_json, write_tsv
from ctwml_bids.bids.tables import MISSING
from ctwml_bids.bids.units import Unit

ACQUISITION: dict[str, dict[str, str]] = {
    "image": {"Description": "ct or flair"},
    "scanner": {"Description": "Manufacturer and model, from the image's sidecar"},
    "slice_thickness_mm": {
        "Description": "SliceThickness of the image's sidecar",
        "Units": "mm",
    },
    "days_apart": {
        "Description": "Days between CT and FLAIR by acq_time in scans.tsv, in either order",
        "Units": "day",
    },
}


def write_acquisitions(output_dir: Path, bids_dir: Path, units: Sequence[Unit]) -> None:
    """Note for each unit with results what `group` asks of its images' origin.

    One small table a unit, written only where it says something new, so that corrected sidecars
    count without another segmentation and jobs that end at once do not meet.
    """
    for unit in units:
        if not (output_dir / names.folder(unit.subject, unit.session) / "anat").is_dir():
            continue
        path = output_dir / names.acquisition(unit.subject, unit.session)
        rows = acquisition_rows(unit)
        if path.is_file() and _texts(_read(path)) == _texts(rows):
            continue
        images = [image for image in (unit.ct, unit.flair) if image is not None]
        sources = [names.bids_uri(image, bids_dir, dataset="raw") for image in images]
        write_json(names.sidecar(path), {"Sources": sources, **ACQUISITION})
        write_tsv(path, rows, list(ACQUISITION))


def acquisition_rows(unit: Unit) -> list[dict[str, object]]:
    """Return the rows of one unit's table, one an image."""
    sidecars = {"ct": (unit.ct, unit.ct_sidecar), "flair": (unit.flair, unit.flair_sidecar)}
    return [
        {
            "image": image,
            "scanner": _scanner(sidecar),
            "slice_thickness_mm": _number(sidecar.get("SliceThickness")),
            "days_apart": None if unit.days_apart is None else round(unit.days_apart, 2),
        }
        for image, (path, sidecar) in sidecars.items()
        if path is not None
    ]


def _scanner(sidecar: Mapping[str, object]) -> str:
    said = (sidecar.get(key) for key in ("Manufacturer", "ManufacturersModelName"))
    return " ".join(str(word).strip() for word in said if word) or MISSING


def _number(value: object) -> float | None:
    """Return a number above 0; None for anything else that a sidecar may hold."""
    number = _float(value)
    return number if number is not None and 0 < number < float("inf") else None


def _float(value: object) -> float | None:
    """Return what JSON or a table has as a number; None where it is none."""
    try:
        return float(value) if isinstance(value, str | int | float) else None
    except (ValueError, OverflowError):
        return None


def _texts(rows: Sequence[Mapping[str, object]]) -> list[list[str]]:
    """Return cells as they are compared: numbers of a table and of a sidecar alike."""
    return [[_text(row.get(column)) for column in ACQUISITION] for row in rows]


def _text(value: object) -> str:
    if value in (None, "", MISSING):
        return MISSING
    number = _float(value)
    return " ".join(str(value).split()) if number is None else f"{number:.6g}"


def _read(path: Path) -> list[dict[str, str]]:
    try:
        return read_tsv(path)
    except (OSError, ValueError):
        return []
