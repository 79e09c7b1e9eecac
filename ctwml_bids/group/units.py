"""What every unit left in an output folder, read for the group level: small tables, no images."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ctwml_bids.bids import names
from ctwml_bids.bids.exclusions import why_left_out
from ctwml_bids.bids.files import read_tsv
from ctwml_bids.bids.labels import first_of
from ctwml_bids.bids.status import read_status
from ctwml_bids.bids.unit_folders import unit_of, units_in
from ctwml_bids.errors import BadDataError, InvalidInputError
from ctwml_bids.group.cross_validated import input_images, preferred
from ctwml_bids.reading import read_json
from ctwml_bids.settings import differences
from ctwml_bids.statistics.columns import NOT_NUMBERS, unit_columns
from ctwml_bids.statistics.gates.gate import ORDER
from ctwml_bids.statistics.tables import MISSING

SHOWN = 10  # names in a message; the tables have them all
# What of a unit's images is copied from their sidecars: column of units.tsv → image, column.
ORIGIN = {
    "ct_scanner": ("ct", "scanner"),
    "flair_scanner": ("flair", "scanner"),
    "ct_slice_thickness_mm": ("ct", "slice_thickness_mm"),
    "flair_slice_thickness_mm": ("flair", "slice_thickness_mm"),
    "days_apart": ("ct", "days_apart"),
}
Failure = dict[str, str]
# A row of units.tsv, and one cell of a table that it is put together from.
Row = Mapping[str, Any]
Cell = float | str
# Content of the JSON file beside a table.
Sidecar = dict[str, Any]
# "hashes" of the settings, and what was "said" of them.
MadeWith = Mapping[str, Mapping[str, object]]


def read_units(
    output_dir: Path, model_label: str = "", exclude: Mapping[str, str] | None = None
) -> tuple[list[Row], list[Failure]]:
    """Read what every unit left in an output folder.

    Parameters
    ----------
    output_dir
        The derivative data set.
    model_label
        The ``--desc`` of the run whose tables are read.
    exclude
        Units and subjects that are going to be left out → why: their settings may differ.

    Returns
    -------
    units
        One row per finished unit: names, quality, and the columns of its statistics table with
        ``ct_`` and ``flair_`` before those of one image.
    failures
        ``unit``, ``state`` and ``reason`` of the others.

    Raises
    ------
    InvalidInputError
        The units were not made with the same settings.
    """
    failures, void = _unfinished(output_dir, model_label)
    units, settings = [], {}
    pattern = f"*_desc-wml{names.check_model_label(model_label)}_stats.tsv"
    tables = [*output_dir.glob(f"sub-*/anat/{pattern}")]
    tables += output_dir.glob(f"sub-*/ses-*/anat/{pattern}")
    for table in sorted(tables):
        unit = table.name.split("_desc-")[0]
        if unit in void:
            continue
        failures.pop(unit, None)
        try:
            row, made_with = _read_unit(output_dir, unit, table, model_label)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            what = error if isinstance(error, ValueError) else repr(error)
            reason = f"its table {table.relative_to(output_dir)} cannot be read: {what}"
            failures[unit] = {"unit": unit, "state": "unreadable", "reason": reason}
            continue
        units.append(row)
        if not why_left_out(exclude or {}, unit, row["images"]):
            settings[unit] = made_with
    _require_same_settings(output_dir, settings)
    return units, [failures[unit] for unit in sorted(failures)]


def units_there(output_dir: Path) -> set[str]:
    """Return the labels of all units that an output folder has anything of.

    With those of the sessions that a CT has its FLAIR from: they can be left out, too.
    """
    labels = {path.name for path in output_dir.glob("logs/sub-*") if path.is_dir()}
    images = {
        image for path in output_dir.glob("logs/*/status*.json") for image in input_images(path)
    }
    return labels | {unit_of(image) for image in images} - {""} | units_in(output_dir)


def _unfinished(output_dir: Path, model_label: str) -> tuple[dict[str, Failure], set[str]]:
    """Return the units whose status file says something else than done.

    Returns
    -------
    failures
        By label. Those that are said to be done are there too, for whoever finds no table of
        theirs.
    void
        Labels of those of which a table that is there does not count: a later run failed, is not
        at its end, or refused the images that the table is of. One that found no images, for
        instance by its filters, takes nothing back.
    """
    name = names.status("X", None, model_label=model_label).name
    found, void = {}, set()
    for path in sorted(output_dir.glob(f"logs/*/{name}")):
        status = read_status(path)
        code = None if status is None else status.exit_code
        if status is None:
            unit, state, reason = path.parent.name, "unknown", "its status file cannot be read"
        else:
            unit, state, reason = status.label, status.state, status.reason
        if state == "running":
            reason = reason or "it was interrupted, or is still running"
        if state == "done":
            state, reason = "missing", "its results are gone: run `participant` again for it"
        found[unit] = {"unit": unit, "state": state, "reason": reason}
        page = names.report(*labels_of(unit), model_label=model_label)
        if state == "failed" and (output_dir / page).is_file():
            found[unit]["report"] = str(page)
        refused = state == "skipped" and code == BadDataError.exit_code
        if refused or state in ("failed", "running"):
            void.add(unit)
    return found, void


def labels_of(unit: str) -> tuple[str, str | None]:
    """Return the labels of a unit's subject and session: ``X`` and ``Y`` of ``sub-X_ses-Y``."""
    subject, _, session = unit.removeprefix("sub-").partition("_ses-")
    return subject, session or None


def _read_unit(output_dir: Path, unit: str, table: Path, model_label: str) -> tuple[Row, MadeWith]:
    """Return a unit's row, and what it was made with as far as its sidecar says."""
    who = labels_of(unit)
    # That of the run that the table is of: an out-of-fold one has the settings of another.
    made_with = _made_with(_sidecar(names.sidecar(table)))
    table, out_of_fold = preferred(output_dir, table, *who, model_label)
    rows = {row.get("image"): row for row in read_tsv(table)}
    if not rows.keys() & {"ct", "flair"}:
        raise ValueError("it has no row for ct or flair")
    for row in rows.values():
        _require_known(row, "qc", ORDER)
        _require_known(row, "both_empty", ("true", "false", MISSING))
    sidecar = _sidecar(names.sidecar(table))
    images = input_images(output_dir / names.status(*who, model_label=model_label))
    any_row = next(iter(rows.values()))
    report = names.report(*who, model_label=model_label)
    subject, session = who
    found: dict[str, object] = {
        "unit": unit,
        "participant_id": f"sub-{subject}",
        "session_id": f"ses-{session}" if session else MISSING,
        "qc": any_row["qc"],
        "qc_reason": _flagged(sidecar, any_row["qc"]),
        "images": tuple(images or _raw_sources(sidecar)),
        "report": str(report) if (output_dir / report).is_file() else "",
        "template": sidecar.get("Settings", {}).get("template") or "",
        "out_of_fold": " ".join(sorted(out_of_fold)) or MISSING,
        "out_of_fold_label": "".join(set(out_of_fold.values())),
    }
    measured = {
        name: _value(rows.get(image, {}).get(column), column, image)
        for name, (image, column) in unit_columns().items()
    }
    found |= measured
    found["ct_in_flair_ml"] = _sum(measured["true_positive_ml"], measured["ct_only_ml"])
    found |= _origin(output_dir / names.acquisition(*who))
    return found, made_with


def _origin(table: Path) -> dict[str, Cell]:
    """Read where a unit's images are from; former versions of the program did not say."""
    rows = {row["image"]: row for row in read_tsv(table)} if table.is_file() else {}
    return {
        name: _value(rows.get(image, {}).get(column), column, image)
        for name, (image, column) in ORIGIN.items()
    }


def _sidecar(path: Path) -> Sidecar:
    content = read_json(path) if path.is_file() else {}
    return content if isinstance(content, dict) else {}


def _raw_sources(sidecar: Sidecar) -> list[str]:
    """Return the URIs of the input images that a table was measured on."""
    sources = sidecar.get("Sources", [])
    return [uri for uri in sources if str(uri).startswith("bids:raw:")]


def _value(text: str | None, column: str, image: str) -> Cell:
    """Return a cell of a table: a number but for the columns that hold text."""
    if text is None or text in ("", MISSING):
        return MISSING
    if column in (*NOT_NUMBERS, "scanner"):
        return text
    try:
        number = int(text) if text.isdecimal() else float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{column} of {image} is {text!r}, not a number")
    if number < 0:
        raise ValueError(
            f"{column} of {image} is {text}, which it cannot be: no measure is below 0"
        )
    return number


def _require_known(row: Mapping[str, str], column: str, known: Sequence[str]) -> None:
    if (value := row.get(column)) not in known:
        raise ValueError(f"{column} of {row['image']} is {value!r}, not one of {', '.join(known)}")


def _sum(*values: Cell) -> Cell:
    numbers = [value for value in values if not isinstance(value, str)]
    return sum(numbers) if len(numbers) == len(values) else MISSING


def _flagged(sidecar: Sidecar, status: str) -> str:
    """Return the messages of the gates with the unit's overall status, unless it passed."""
    if status == "pass":
        return ""
    gates = sidecar.get("QualityGates", [])
    return " ".join(gate["message"] for gate in gates if gate["status"] == status)


def _made_with(sidecar: Sidecar) -> MadeWith:
    """Return hashes of the settings, and in words what they are hashes of."""
    said = {key: sidecar.get("Settings", {}).get(key) for key in ("template", "normalisation")}
    said["random seed"] = sidecar.get("Settings", {}).get("seed")
    said["ctwml_bids"] = sidecar.get("Software", {}).get("ctwml_bids")
    for image, card in sidecar.get("Models", {}).items():
        said[f"model for {image.upper()}"] = card.get("name")
        said[f"threshold for {image.upper()}"] = card.get("threshold")
        said[f"infarct threshold for {image.upper()}"] = card.get("infarct_threshold")
        said[f"least infarct for {image.upper()} (mL)"] = card.get("infarct_least_ml")
    return {"hashes": sidecar.get("SettingsHashes") or {}, "said": said}


def _require_same_settings(output_dir: Path, settings: Mapping[str, MadeWith]) -> None:
    """Refuse units of different settings: their volumes are not of one method.

    A unit whose sidecar has no hashes says nothing, and is not held against the others.
    """
    keys = {
        unit: json.dumps(made["hashes"], sort_keys=True)
        for unit, made in settings.items()
        if made["hashes"]
    }
    kinds = Counter(keys.values()).most_common()
    if len(kinds) < 2:
        return
    usual = kinds[0][0]
    typical = settings[next(unit for unit, key in keys.items() if key == usual)]
    texts = []
    for kind, count in kinds[1:]:
        members = [unit for unit, key in keys.items() if key == kind]
        texts.append(
            f"{first_of(members, SHOWN)} ({count}): {_what_differs(typical, settings[members[0]])}"
        )
    raise InvalidInputError(
        f"{output_dir}: its units were made with different settings, so their volumes cannot be "
        f"compared. {kinds[0][1]} units agree; others are {'; '.join(texts)}. Run the participant "
        "level again for them with the same settings, or leave them out with --exclude."
    )


def _what_differs(typical: MadeWith, other: MadeWith) -> str:
    # A unit without a FLAIR names no model for it.
    common = typical["said"].keys() & other["said"].keys()
    parts = [
        text.replace(" before, ", " of most, ").removesuffix(" now") + " here"
        for text in differences(
            *({k: made["said"][k] for k in common} for made in (typical, other))
        )
    ]
    if parts:
        return "; ".join(parts)
    halves = differences(typical["hashes"], other["hashes"])
    return f"the hash of {' and of '.join(half.split(':')[0] for half in halves)} settings"


def nothing_finished(output_dir: Path, failures: Sequence[Failure]) -> str:
    """Say that no unit has finished, and how those that there are stand."""
    text = f"{output_dir}: no unit has finished here, so there is nothing to compare; run "
    text += "the participant level into this folder first."
    if failures:
        text += " Unfinished: " + "; ".join(
            f"{failure['unit']} ({failure['state']})" for failure in failures[:SHOWN]
        )
        text += f" and {len(failures) - SHOWN} more" if len(failures) > SHOWN else ""
    return text
