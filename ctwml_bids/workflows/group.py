"""The group level: reads the output folder alone, compares CT with FLAIR over all units.

Plain functions without Nipype: there is nothing to distribute in reading a few small tables.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ctwml_bids.bids import names
from ctwml_bids.bids.dataset import write_json, write_text, write_tsv
from ctwml_bids.errors import NoInputError
from ctwml_bids.reports import plots
from ctwml_bids.reports.group import GroupReport, render_group
from ctwml_bids.reports.subject import Figure
from ctwml_bids.statistics.agreement import Agreement, agreement
from ctwml_bids.statistics.tables import COLUMNS, MISSING, number_in, unit_columns
from ctwml_bids.workflows.cross_validated import preferred

AGREEMENT_COLUMNS = {
    "measure": {"Description": "What is estimated"},
    "value": {"Description": "The estimate"},
    "ci_low": {"Description": "Lower end of its 95% confidence interval"},
    "ci_high": {"Description": "Upper end of its 95% confidence interval"},
    "units": {"Description": "Unit of the estimate; n/a where it has none"},
}


def run_group(
    output_dir: Path, *, version: str, include_failed_qc: bool = False, model_label: str = ""
) -> Path:
    """Write the group's tables and report from the units' tables and status files.

    Parameters
    ----------
    output_dir
        The derivative data set; the raw one is not needed.
    version
        Of ctwml_bids, for the page.
    include_failed_qc
        Keep units with a failed quality gate in the agreement.
    model_label
        The ``--desc`` of the run whose tables are read.

    Returns
    -------
    Path
        ``group.html`` in the output folder (``group_desc-LABEL.html`` with a label).

    Raises
    ------
    NoInputError
        No unit has finished.
    """
    units, failures = read_units(output_dir, model_label)
    if not units:
        raise NoInputError(_nothing_finished(output_dir, failures))
    units = [{**row, "in_agreement": _role(row, include_failed_qc)} for row in units]
    compared = [row for row in units if row["in_agreement"] == "yes"]
    ct, flair = ([number_in(row[f"{image}_wml_ml"]) for row in compared] for image in _IMAGES)
    found = _with_reason(agreement(ct, flair), units)
    overlaps = [number_in(row["dice"]) for row in compared if row["both_empty"] == "false"]
    mean_dice = sum(overlaps) / len(overlaps) if overlaps else math.nan
    folder = output_dir / names.group_folder(model_label)
    _write_units(folder, units)
    _write_agreement(folder, found, mean_dice, units)
    report = GroupReport(
        version=version,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        units=tuple(units),
        failures=tuple(failures),
        agreement=asdict(found),
        mean_dice=mean_dice,
        both_empty=sum(row["both_empty"] == "true" for row in compared),
        figures=_figures(ct, flair, found),
        include_failed_qc=include_failed_qc,
    )
    return write_text(output_dir / names.group_report(model_label), render_group(report))


_IMAGES = ("ct", "flair")


def read_units(
    output_dir: Path, model_label: str = ""
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Read what every unit left in an output folder.

    Parameters
    ----------
    output_dir, model_label
        As in `run_group`.

    Returns
    -------
    units
        One row per finished unit: names, quality, and the columns of its statistics table with
        ``ct_`` and ``flair_`` before those of one image.
    failures
        ``unit``, ``state`` and ``reason`` of the others.
    """
    failures = _unfinished(output_dir, model_label)
    units = []
    pattern = f"*_desc-wml{names.check_model_label(model_label)}_stats.tsv"
    tables = [*output_dir.glob(f"sub-*/anat/{pattern}")]
    tables += output_dir.glob(f"sub-*/ses-*/anat/{pattern}")
    for table in sorted(tables):
        unit = table.name.split("_desc-")[0]
        if failures.get(unit, {}).get("state") in ("failed", "running"):
            continue
        failures.pop(unit, None)
        try:
            units.append(_read_unit(output_dir, unit, table, model_label))
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"its table {table.relative_to(output_dir)} cannot be read: {error!r}"
            failures[unit] = {"unit": unit, "state": "unreadable", "reason": reason}
    return units, [failures[unit] for unit in sorted(failures)]


def _unfinished(output_dir: Path, model_label: str) -> dict[str, dict[str, str]]:
    """Return the units whose status file says something else than done, by label.

    Those that are said to be done are there too, for whoever finds no table of theirs.
    """
    name = names.status("X", None, model_label=model_label).name
    found = {}
    for path in sorted(output_dir.glob(f"logs/*/{name}")):
        try:
            status = json.loads(path.read_text(encoding="utf-8"))
            unit, state, reason = status["label"], status["state"], status.get("reason", "")
        except (OSError, ValueError, KeyError, TypeError):
            unit, state, reason = path.parent.name, "unknown", "its status file cannot be read"
        if state == "running":
            reason = reason or "it was interrupted, or is still running"
        if state == "done":
            state, reason = "missing", "its results are gone: run `participant` again for it"
        found[unit] = {"unit": unit, "state": state, "reason": reason}
    return found


def _read_unit(output_dir: Path, unit: str, table: Path, model_label: str) -> dict[str, Any]:
    subject, _, session = unit.removeprefix("sub-").partition("_ses-")
    table = preferred(output_dir, table, subject, session or None, model_label)
    with table.open(encoding="utf-8", newline="") as opened:
        rows = {row["image"]: row for row in csv.DictReader(opened, delimiter="\t")}
    if not rows.keys() & {"ct", "flair"}:
        raise ValueError("it has no row for ct or flair")
    any_row = next(iter(rows.values()))
    report = names.report(subject, session or None, model_label=model_label)
    found = {
        "unit": unit,
        "participant_id": f"sub-{subject}",
        "session_id": f"ses-{session}" if session else MISSING,
        "qc": any_row["qc"],
        "qc_reason": _flagged(names.sidecar(table), any_row["qc"]),
        "report": str(report) if (output_dir / report).is_file() else "",
    }
    for name, (image, column) in unit_columns().items():
        found[name] = _value(rows.get(image, {}).get(column))
    return found


def _value(text: str | None) -> Any:
    """Return a cell of a table as a number where it is one."""
    if text in (None, "", MISSING):
        return MISSING
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return text


def _flagged(sidecar: Path, status: str) -> str:
    """Return the messages of the gates with the unit's overall status, unless it passed."""
    if status == "pass" or not sidecar.is_file():
        return ""
    gates = json.loads(sidecar.read_text(encoding="utf-8")).get("QualityGates", [])
    return " ".join(gate["message"] for gate in gates if gate["status"] == status)


def _role(row: Mapping[str, Any], include_failed_qc: bool) -> str:
    """Say whether a unit is in the agreement, and if not, why."""
    missing = [image.upper() for image in _IMAGES if row[f"{image}_wml_ml"] == MISSING]
    if missing:
        return f"no: without {missing[0]}"
    if row["qc"] == "fail" and not include_failed_qc:
        return "no: failed a quality gate"
    return "yes"


def _with_reason(found: Agreement, units: Sequence[Mapping[str, Any]]) -> Agreement:
    """Say why there is no agreement in terms of what the units have."""
    if found.pairs:
        return found
    roles = {row["in_agreement"] for row in units}
    if roles <= {"no: without FLAIR", "no: without CT"}:
        reason = "No unit has both a CT and a FLAIR, so there is nothing to compare."
    else:
        reason = "Every unit with CT and FLAIR failed a quality gate, so none is compared."
    return Agreement(pairs=0, note=reason)


def _write_units(folder: Path, units: Sequence[Mapping[str, Any]]) -> None:
    described = {
        "unit": {"Description": "Subject, or subject and session"},
        "participant_id": {"Description": "Subject"},
        "session_id": {"Description": "Session; n/a where there is none"},
        "qc": COLUMNS["qc"],
        "qc_reason": {"Description": "What the worst quality gates found"},
        "in_agreement": {"Description": "yes, or why the unit is not compared"},
    }
    for name, (image, column) in unit_columns().items():
        where = "" if image == "pair" else f" ({image.upper()})"
        about = COLUMNS[column]
        described[name] = {**about, "Description": about["Description"] + where}
    write_tsv(folder / "units.tsv", units, list(described))
    write_json(folder / "units.json", described)


def _write_agreement(
    folder: Path, found: Agreement, mean_dice: float, units: Sequence[Mapping[str, Any]]
) -> None:
    rows: list[dict[str, Any]] = [{"measure": "pairs", "value": found.pairs}]
    for name, measure, unit in (
        ("pearson_r", found.pearson, None),
        ("slope", found.slope, None),
        ("intercept", found.intercept, "mL"),
        ("bias", found.bias, "mL"),
        ("limit_of_agreement_lower", found.lower_limit, "mL"),
        ("limit_of_agreement_upper", found.upper_limit, "mL"),
    ):
        row = {"measure": name, "value": measure.value, "units": unit}
        rows.append({**row, "ci_low": measure.low, "ci_high": measure.high})
    rows.append({"measure": "difference_sd", "value": found.difference_sd, "units": "mL"})
    rows.append({"measure": "mean_dice", "value": mean_dice})
    write_tsv(folder / "agreement.tsv", rows, list(AGREEMENT_COLUMNS))
    about = {
        "Description": "Lesion volumes from CT (y) against FLAIR (x), each in its own space; "
        "differences are CT - FLAIR",
        "Note": found.note,
        "Compared": [row["unit"] for row in units if row["in_agreement"] == "yes"],
        "NotCompared": {
            row["unit"]: row["in_agreement"].removeprefix("no: ")
            for row in units
            if row["in_agreement"] != "yes"
        },
    }
    write_json(folder / "agreement.json", {**AGREEMENT_COLUMNS, "Agreement": about})


def _figures(ct: list[float], flair: list[float], found: Agreement) -> tuple[Figure, ...]:
    if not ct:
        return ()
    scatter = plots.scatter(flair, ct, slope=found.slope.value, intercept=found.intercept.value)
    differences = plots.bland_altman(
        flair,
        ct,
        bias=found.bias.value,
        lower=found.lower_limit.value,
        upper=found.upper_limit.value,
    )
    return (
        Figure(
            "Volumes",
            "Each circle is a unit; the dotted line is identity, the solid line the fit.",
            f"Scatter plot of lesion volumes from CT against FLAIR in {len(ct)} units",
            scatter,
        ),
        Figure(
            "Bland–Altman",
            "Difference CT − FLAIR against the mean of both, with bias and 95% limits.",
            f"Bland–Altman plot of lesion volumes from CT and FLAIR in {len(ct)} units",
            differences,
        ),
    )


def _nothing_finished(output_dir: Path, failures: Sequence[Mapping[str, str]]) -> str:
    text = f"{output_dir}: no unit has finished here, so there is nothing to compare; run "
    text += "the participant level into this folder first."
    if failures:
        text += " Unfinished: " + "; ".join(
            f"{failure['unit']} ({failure['state']})" for failure in failures
        )
    return text
