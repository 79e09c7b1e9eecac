"""The group level from the command line: settings to what it takes."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from ctwml_bids import __version__, templates
from ctwml_bids.bids.dataset import is_made_from, said_of
from ctwml_bids.bids.exclusions import excluded
from ctwml_bids.bids.labels import subjects_of
from ctwml_bids.bids.participants import TABLE, refresh_participants
from ctwml_bids.bids.people import read_people
from ctwml_bids.bids.people_tables import Sources
from ctwml_bids.bids.status import UnitStatus, collect, rebuild_table
from ctwml_bids.bids.unit_folders import refused_in, units_in
from ctwml_bids.group.summary import UNNAMED, GroupOptions, dataset_name, run_group
from ctwml_bids.run.preflight import Ready

LOG = logging.getLogger("ctwml_bids")


def summarise(ready: Ready) -> Path:
    """Write the group's tables, figures and report (raises as `run_group`).

    Parameters
    ----------
    ready
        The run, after `preflight`.

    Returns
    -------
    Path
        The report.
    """
    settings = ready.settings
    exclude = excluded(settings.exclude)
    if told := copy_people(settings.output_dir, settings.bids_dir):
        LOG.warning("group: %s", told)
    report = run_group(
        settings.output_dir,
        version=__version__,
        options=GroupOptions(
            include_failed_qc=settings.include_failed_qc,
            exclude=exclude,
            sources=Sources(
                settings.participants_file, settings.fazekas_file, settings.fazekas_column
            ),
            thresholds=ready.fazekas,
            model_label=settings.model_label,
        ),
        find_template=template_t1w,
    )
    rebuild_table(settings.output_dir)
    for status in collect(settings.output_dir):
        if status.model_label == settings.model_label and status.state != "done":
            LOG.warning("group: %s is missing, %s", status.label, _why(status))
    return report


def copy_people(output_dir: Path, bids_dir: Path) -> str:
    """Copy participants.tsv anew: it may have been corrected since the participant level did.

    The output knows its data set by the way there, which is another one where either was moved,
    linked or mounted elsewhere. A data set of the same name that has all of its subjects, by
    folder or by table, is the same one.

    Parameters
    ----------
    output_dir, bids_dir
        The derivative data set; and what was given as the raw one, which need not be there.

    Returns
    -------
    str
        A warning where a table is there and is not used; empty otherwise.

    Raises
    ------
    BadDataError
        The table cannot be understood.
    """
    table, copy = bids_dir / TABLE, output_dir / TABLE
    if not os.path.lexists(table) or (copy.exists() and os.path.samefile(bids_dir, output_dir)):
        return ""
    if is_made_from(output_dir, bids_dir) or not (why := _is_another(output_dir, bids_dir)):
        refresh_participants(output_dir, bids_dir)
        return ""
    instead = f"{copy} is, as it was copied" if copy.exists() else f"there is no {copy}"
    return (
        f"{table} is not used: {why}; {instead}. Give the data set that {output_dir} was made "
        "from, or the table with --participants-file."
    )


def _is_another(output_dir: Path, bids_dir: Path) -> str:
    """Say why a folder is not the data set that results were made from; empty where it may be."""
    made_from, name = dataset_name(output_dir), str(said_of(bids_dir).get("Name", ""))
    if UNNAMED != made_from != name and name:
        return f"its data set is named {name!r}, and the results are of {made_from!r}"
    subjects = subjects_of(units_in(output_dir))
    listed = read_people(bids_dir / TABLE, refused=refused_in(bids_dir)).people
    there = subjects_of(units_in(bids_dir))
    if subjects <= listed or subjects <= there:
        return ""
    missing = sorted(subjects - (listed | there)) or sorted(subjects - listed)
    return f"it lacks subjects that have results ({', '.join(missing[:3])})"


def _why(status: UnitStatus) -> str:
    reason = f": {status.reason}" if status.reason else ""
    if status.state == "running" and not reason:
        reason = ": its run did not come to an end, or is still at it"
    return f"{status.state}{reason}"


def template_t1w(name: str) -> Path:
    """Find the T1w image of a template by its name in file names, a cohort after a plus sign."""
    return templates.get(name.replace("+", ":cohort-")).t1w
