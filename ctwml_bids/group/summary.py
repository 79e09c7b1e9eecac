"""The group level: reads results and tables of people, compares CT with FLAIR over all units.

Plain functions without Nipype: there is nothing to distribute in reading a few small tables.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ctwml_bids.bids import names
from ctwml_bids.bids.dataset import said_of
from ctwml_bids.bids.exclusions import Exclusions, strangers
from ctwml_bids.bids.files import write_bytes, write_text
from ctwml_bids.bids.people_tables import Sources, read_sources
from ctwml_bids.bids.unit_folders import refused_in
from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.group.fazekas import write_thresholds
from ctwml_bids.group.figures import figures, rated, why_no_pairs
from ctwml_bids.group.maps import FrequencyMap, frequency_maps
from ctwml_bids.group.page import (
    cohort_notes,
    confusion_tables,
    measure_table,
    strata_rows,
    unit_labels,
)
from ctwml_bids.group.people import COPIED, add_people, not_here
from ctwml_bids.group.roles import excluded_rows, left_out, with_roles
from ctwml_bids.group.tables import table_1, write_tables
from ctwml_bids.group.units import nothing_finished, read_units, units_there
from ctwml_bids.image_files import load_nifti
from ctwml_bids.modality import IMAGES
from ctwml_bids.reports.frequency import frequency_figure
from ctwml_bids.reports.group import GroupFigure, GroupReport, render_group
from ctwml_bids.statistics.cohort import Cohort, analyse
from ctwml_bids.statistics.columns import unit_column
from ctwml_bids.statistics.outliers import outliers
from ctwml_bids.statistics.resampling import DRAWS
from ctwml_bids.statistics.strata import ALL, STRATA
from ctwml_bids.statistics.tables import MISSING
from ctwml_bids.statistics.thresholds import ThresholdSet

LOG = logging.getLogger("ctwml_bids")
FIGURES = "figures"
MAPS = "maps"
UNNAMED = "an unnamed data set"
OWN_THRESHOLDS = (
    "The Fazekas thresholds (--fazekas-thresholds) were fitted to a data set of the same name: "
    "judged by the units that they were fitted to, thresholds look better than they are. Leave the "
    "option out to have them cross-validated."
)


@dataclass(frozen=True)
class GroupOptions:
    """What a group run was asked for.

    Attributes
    ----------
    include_failed_qc
        Keep units with a failed quality gate.
    exclude
        Subjects and units to leave out.
    sources
        Tables of people and ratings.
    thresholds
        Of another cohort, judged in place of fitting.
    model_label
        The ``--desc`` of the run whose tables are read.
    draws
        Of the bootstrap.
    """

    include_failed_qc: bool = False
    exclude: Exclusions = field(default_factory=Exclusions)
    sources: Sources = field(default_factory=Sources)
    thresholds: ThresholdSet | None = None
    model_label: str = ""
    draws: int = DRAWS


def run_group(
    output_dir: Path,
    *,
    version: str,
    options: GroupOptions | None = None,
    find_template: Callable[[str], Path] | None = None,
) -> Path:
    """Write the group's tables, figures, maps and report from what the units left.

    Parameters
    ----------
    output_dir
        The derivative data set; the raw one is not read here (`cli.group` copies its table).
    version
        Of ctwml_bids, for the page.
    options
        What was asked for.
    find_template
        Gives the T1w image of a template from its name, for the lesion maps; None: no maps.

    Returns
    -------
    Path
        ``group.html`` in the output folder (``group_desc-LABEL.html`` with a label).

    Raises
    ------
    NoInputError
        No unit has finished.
    InvalidInputError
        Units were made with different settings.
    NothingMatchedError
        Nobody is left.
    BadDataError
        A table of people or ratings cannot be understood.
    """
    options = options or GroupOptions()
    there = units_there(output_dir)
    own, refused = output_dir / "participants.tsv", refused_in(output_dir)
    people = read_sources(own, options.sources, there, COPIED, refused)
    exclude = people.excluded | options.exclude
    absent = strangers(exclude, there)
    units, failures = read_units(output_dir, options.model_label, exclude.reasons)
    if not units:
        raise NoInputError(nothing_finished(output_dir, failures))
    units, source, notes = add_people(units, people)
    notes += not_here(absent)
    units = with_roles(
        units,
        output_dir,
        exclude=exclude,
        include_failed_qc=options.include_failed_qc,
    )
    cohort = analyse(units, thresholds=options.thresholds, draws=options.draws)
    cohort = _with_reason(cohort)
    notes += cohort_notes(cohort)
    folder = output_dir / names.group_folder(options.model_label)
    excluded = excluded_rows(cohort.units, failures, exclude)
    write_tables(folder, cohort, excluded, _about(cohort))
    dataset = dataset_name(output_dir)
    if (used := options.thresholds) is None:
        path, models = folder / "fazekas_thresholds.json", _models(cohort)
        used = write_thresholds(
            path, cohort, dataset=dataset, source=source, models=models, version=version
        )
    elif used.name == dataset != UNNAMED:
        notes.append(OWN_THRESHOLDS)
    origin = used.cohort if used else ""
    drawn = figures(cohort, output_dir, source=origin, model_label=options.model_label)
    maps, problems = _maps(cohort, output_dir, folder, options.model_label, find_template)
    _write_figures(folder / FIGURES, [*drawn, *maps])
    for line in (*left_out(excluded), *notes, *problems):
        LOG.warning("group: %s", line)
    apart = outliers(cohort.rows(), cohort.whole.agreement)
    report = GroupReport(
        version=version,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        units=cohort.units,
        columns=unit_labels(),
        failures=tuple(failures),
        excluded=tuple(row for row in excluded if row["why"] == "excluded"),
        outliers=tuple(asdict(outlier) for outlier in apart),
        notes=(*notes, *problems),
        demographics=tuple(table_1(cohort)),
        measures=measure_table(cohort),
        confusion=confusion_tables(cohort),
        strata=tuple(strata_rows(cohort, {by: text for by, (_, _, text) in STRATA.items()})),
        figures=(*drawn, *maps),
        include_failed_qc=options.include_failed_qc,
        folder=str(names.group_folder(options.model_label)),
    )
    return write_text(output_dir / names.group_report(options.model_label), render_group(report))


def _with_reason(cohort: Cohort) -> Cohort:
    """Say why there is no agreement in terms of what the units have."""
    if not (reason := why_no_pairs(cohort)):
        return cohort
    whole = replace(cohort.whole, agreement=replace(cohort.whole.agreement, note=reason))
    return replace(cohort, parts=(whole, *cohort.parts[1:]))


def _about(cohort: Cohort) -> dict[str, object]:
    rows = cohort.units
    return {
        "Description": "Lesion volumes from CT (y) against FLAIR (x), both in FLAIR space; "
        "differences are CT - FLAIR",
        "Note": cohort.whole.agreement.note,
        "Compared": [row["unit"] for row in rows if row["in_agreement"] == "yes"],
        "NotCompared": {
            row["unit"]: row["in_agreement"].removeprefix("no: ")
            for row in rows
            if row["in_agreement"] != "yes"
        },
    }


def _models(cohort: Cohort) -> dict[str, str]:
    """Return the model of each image, of units that were all made with the same settings."""
    found = {}
    for image in IMAGES:
        models = {row[unit_column(image, "model")] for row in cohort.rows()} - {MISSING}
        if len(models) == 1:
            found[image] = str(models.pop())
    return found


def dataset_name(output_dir: Path) -> str:
    """Return what the input data set calls itself, as the output's description repeats it."""
    name = str(said_of(output_dir).get("Name", ""))
    return name.rpartition("white matter lesions of ")[2] or UNNAMED


def _maps(
    cohort: Cohort,
    output_dir: Path,
    folder: Path,
    label: str,
    find_template: Callable[[str], Path] | None,
) -> tuple[list[GroupFigure], list[str]]:
    """Make the lesion frequency maps and their figures; without a template say why not."""
    rows = cohort.rows()
    template = next((row["template"] for row in rows if row.get("template")), "")
    if find_template is None or not template:
        return [], []
    try:
        t1w = find_template(template)
        maps, problems = frequency_maps(rows, output_dir, folder / MAPS, template, t1w, label)
    except (NoInputError, BadDataError) as error:
        return [], [f"No lesion maps: {error}"]
    image = load_nifti(t1w)
    background = np.asarray(image.dataobj, dtype=np.float32)
    return [
        _map_figure(name, [one for one in maps if one.image == name], background, image.affine)
        for name in IMAGES
        if any(one.image == name for one in maps)
    ], problems


def _map_figure(
    image: str, maps: Sequence[FrequencyMap], background: np.ndarray, affine: np.ndarray
) -> GroupFigure:
    shown = [(_map_label(one), one.share) for one in maps]
    peak = [
        (
            _map_label(one).replace("\n", " "),
            f"at most {100 * float(one.share.max()):.0f}% of units",
        )
        for one in maps
    ]
    whole = maps[0]
    return GroupFigure(
        f"figure-maps_{image}",
        f"Where lesions lie on {image.upper()}, by Fazekas group",
        "Share of units with a lesion, in template space; the maps themselves are in maps/. The "
        "patient's right is on the left.",
        f"Axial slices of the template with the lesion frequency on {image.upper()}",
        f"Lesion frequency maps of {len(whole.units)} units on {image.upper()}: at its most "
        f"frequent place {100 * float(whole.share.max()):.0f}% of units have a lesion.",
        tuple(peak),
        frequency_figure(shown, background, affine),
    )


def _map_label(one: FrequencyMap) -> str:
    name = "All" if one.group == ALL else rated(one.group)
    return f"{name}\n(n = {len(one.units)})"


def _write_figures(folder: Path, drawn: Sequence[GroupFigure]) -> None:
    """Write all figures in both formats, and remove those of a former run that are not made now."""
    kept = set()
    for figure in drawn:
        if figure.drawing is None:
            continue
        for ending, content in (("svg", figure.drawing.svg), ("png", figure.drawing.png)):
            kept.add(write_bytes(folder / f"{figure.stem}.{ending}", content).name)
    for old in folder.glob("figure-*"):
        if old.name not in kept:
            old.unlink(missing_ok=True)
