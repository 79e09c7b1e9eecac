"""The group level from the command line: settings to what it takes."""

from __future__ import annotations

import logging
from pathlib import Path

from ctwml_bids import __version__, templates
from ctwml_bids.bids.dataset import is_made_from
from ctwml_bids.bids.exclusions import excluded
from ctwml_bids.bids.participants import refresh_participants
from ctwml_bids.bids.people_tables import Sources
from ctwml_bids.bids.status import UnitStatus, collect, rebuild_table
from ctwml_bids.group.summary import GroupOptions, run_group
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
    # The table may have been corrected since the participant level copied it.
    if is_made_from(settings.output_dir, settings.bids_dir):
        refresh_participants(settings.output_dir, settings.bids_dir)
    report = run_group(
        settings.output_dir,
        version=__version__,
        options=GroupOptions(
            include_failed_qc=settings.include_failed_qc,
            exclude=exclude.reasons,
            places=exclude.places,
            asides=exclude.asides,
            sources=Sources(
                settings.participants_file, settings.fazekas_file, settings.fazekas_column
            ),
            thresholds=ready.fazekas,
            model_label=settings.desc or "",
        ),
        find_template=template_t1w,
    )
    rebuild_table(settings.output_dir)
    for status in collect(settings.output_dir):
        if status.model_label == (settings.desc or "") and status.state != "done":
            LOG.warning("group: %s is missing, %s", status.label, _why(status))
    return report


def _why(status: UnitStatus) -> str:
    reason = f": {status.reason}" if status.reason else ""
    if status.state == "running" and not reason:
        reason = ": its run did not come to an end, or is still at it"
    return f"{status.state}{reason}"


def template_t1w(name: str) -> Path:
    """Find the T1w image of a template by its name in file names, a cohort after a plus sign."""
    return templates.get(name.replace("+", ":cohort-")).t1w
