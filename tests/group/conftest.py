"""Results of cohorts, small and like the paper's."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from ctwml_bids.group import summary
from ctwml_bids.reports import plots, plots_groups
from ctwml_bids.reports.plots import Drawing
from tests.cli.conftest import dataset, light_workers, models, ready, units  # noqa: F401
from tests.group.cohorts import CT, DRAWN, FLAIR, add_unit, big_cohort
from tests.group.cohorts import run as summarise

FIGURES = (
    (plots, "scatter"),
    (plots, "bland_altman"),
    (plots_groups, "dice_by_volume"),
    (plots_groups, "correct_and_incorrect"),
    (plots_groups, "volume_by_group"),
    (summary, "frequency_figure"),
)


@pytest.fixture(autouse=True)
def _each_figure_drawn_once(monkeypatch):
    """Keep the drawings of the same numbers, which take most of a small cohort's time."""
    for module, name in FIGURES:
        monkeypatch.setattr(module, name, _drawn_once(getattr(module, name)))


def _drawn_once(draw: Callable[..., Drawing]) -> Callable[..., Drawing]:
    def drawn(*args, **options) -> Drawing:
        shown = pickle.dumps((draw.__name__, args, options))
        key = hashlib.sha256(shown).hexdigest()
        if key not in DRAWN:
            DRAWN[key] = draw(*args, **options)
        return DRAWN[key]

    return drawn


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Results of five units with CT and FLAIR."""
    for number, (ct, flair) in enumerate(zip(CT, FLAIR, strict=True), start=1):
        add_unit(tmp_path, f"{number:02d}", ct, flair)
    return tmp_path


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    """A cohort like the paper's, summarised once; only to be read."""
    out = big_cohort(tmp_path_factory.mktemp("cohort"), 60)
    summarise(out)
    return out
