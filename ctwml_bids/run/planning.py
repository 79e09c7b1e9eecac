"""The plan of a run: the units that its settings ask for, and what is not run, with the reason."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ctwml_bids.bids import names
from ctwml_bids.bids.filters import load_filters
from ctwml_bids.bids.query import plan_units
from ctwml_bids.bids.units import Skipped, Unit
from ctwml_bids.errors import NoInputError, NothingMatchedError
from ctwml_bids.settings import Settings


@dataclass(frozen=True)
class Planned:
    """What a run is to do.

    Attributes
    ----------
    units, skipped
        What can be run, and what cannot.
    matched
        What the filters let through, as text; empty without filters.
    """

    units: list[Unit]
    skipped: list[Skipped]
    matched: str


def plan_run(settings: Settings) -> Planned:
    """Plan the units of a run.

    Raises
    ------
    CtwmlError
        As `plan_units`; NothingMatchedError also for a ``--rerun`` of what the run does not have.
    """
    planned, matched = plan_units(
        settings.bids_dir,
        participant_labels=settings.participant_labels,
        session_labels=settings.session_labels,
        filters=load_filters(settings.bids_filter_file),
        skip_validation=settings.skip_bids_validation,
        ignore=settings.ignore,
    )
    told = [f"--ignore {kind} leaves out all {kind.upper()} images" for kind in settings.ignore]
    units = [
        replace(item, notes=(*item.notes, *told)) for item in planned if isinstance(item, Unit)
    ]
    skipped = [_told(item, told) for item in planned if isinstance(item, Skipped)]
    _check_rerun(settings, units, skipped)
    return Planned(units, skipped, matched)


def asked_again(unit: Unit, settings: Settings) -> bool:
    """Tell whether ``--rerun`` names a unit or its subject."""
    return not {unit.label, names.stem(unit.subject)}.isdisjoint(settings.rerun)


def _told(item: Skipped, ignored: list[str]) -> Skipped:
    if item.exit_code != NoInputError.exit_code:
        return item
    return replace(item, reason="; ".join((item.reason, *ignored)))


def _check_rerun(settings: Settings, units: list[Unit], skipped: list[Skipped]) -> None:
    there = {unit.label for unit in units} | {names.stem(unit.subject) for unit in units}
    unknown = [label for label in settings.rerun if label not in there]
    if not unknown:
        return
    why = {item.label: f"{item.label} cannot be run, {item.reason}" for item in skipped}
    shown = sorted(unit.label for unit in units)
    listed = ", ".join(shown[:20]) + (", ..." if len(shown) > 20 else "")
    known = f"there are {len(shown)}: {listed}" if shown else "there is none"
    raise NothingMatchedError(
        "; ".join(why.get(label, f"{label} is no subject or unit of this run") for label in unknown)
        + f" (--rerun); {known}"
    )
