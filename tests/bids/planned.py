"""The plan of a data set without what its filters matched, as most tests want it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctwml_bids.bids.query import plan_units
from ctwml_bids.bids.units import Skipped, Unit


def plan(bids_dir: Path, **options: Any) -> list[Unit | Skipped]:
    """List units and what is skipped; options as those of `plan_units`."""
    return plan_units(bids_dir, **options)[0]
