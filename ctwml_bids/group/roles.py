"""Which units are used in which analysis, and why others are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ctwml_bids.bids.exclusions import Exclusions, why_left_out
from ctwml_bids.errors import NothingMatchedError
from ctwml_bids.group.units import SHOWN, Failure, Row
from ctwml_bids.modality import IMAGES
from ctwml_bids.statistics.columns import unit_column
from ctwml_bids.statistics.tables import MISSING

BY_NAME = "no: excluded by name"


def with_roles(
    units: Sequence[Row],
    output_dir: Path,
    *,
    exclude: Exclusions,
    include_failed_qc: bool = False,
) -> list[Row]:
    """Add ``included`` and ``in_agreement`` to every unit: ``yes``, or why not.

    Parameters
    ----------
    units, output_dir
        From `read_units`, and what it read.
    exclude
        Who is left out.
    include_failed_qc
        Keep units with a failed quality gate.

    Raises
    ------
    NothingMatchedError
        Nobody is left.
    """
    found = [_with_role(row, exclude, include_failed_qc) for row in units]
    if all(row["included"] == BY_NAME for row in found):
        raise NothingMatchedError(
            f"{output_dir}: --exclude, with the column exclude of participants.tsv, leaves no unit "
            "to summarise."
        )
    return found


def _with_role(row: Row, exclude: Exclusions, include_failed_qc: bool) -> Row:
    included = "yes"
    if why_left_out(exclude.reasons, row["unit"], row["images"]):
        included = BY_NAME
    elif row["qc"] == "fail" and not include_failed_qc:
        included = "no: failed a quality gate"
    missing = [image.upper() for image in IMAGES if row[unit_column(image, "wml_ml")] == MISSING]
    compared = included
    if missing:
        compared = f"no: without {missing[0]}"
    elif included == "yes" and MISSING in (row["ct_in_flair_ml"], row["dice"]):
        compared = "no: CT and FLAIR do not line up"
    return {**row, "included": included, "in_agreement": compared}


def excluded_rows(
    units: Sequence[Row], failures: Sequence[Failure], exclude: Exclusions
) -> list[dict[str, str]]:
    """Return the rows of excluded.tsv: who is left out of all analyses, and why.

    Parameters
    ----------
    units, failures
        From `with_roles` and `read_units`.
    exclude
        Who was left out.
    """
    rows = [
        {
            "unit": failure["unit"],
            "why": "unfinished",
            "reason": f"{failure['state']}: {failure['reason'] or 'no reason was recorded'}",
        }
        for failure in failures
    ]
    for row in units:
        if why := why_left_out(exclude.reasons, row["unit"], row["images"]):
            rows.append({"unit": row["unit"], "why": "excluded", "reason": why[1]})
        elif row["included"] != "yes":
            reason = row["qc_reason"] or "a quality gate failed"
            rows.append({"unit": row["unit"], "why": "quality", "reason": reason})
    return sorted(rows, key=lambda row: row["unit"])


def left_out(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Say in the log who is left out of all analyses, and why; the first ones of many."""
    lines = [f"{row['unit']} is left out of all analyses: {row['reason']}" for row in rows[:SHOWN]]
    if len(rows) > SHOWN:
        more = len(rows) - SHOWN
        lines.append(f"{more} more units are left out of all analyses, see excluded.tsv")
    return lines
