"""The kinds of generated inputs, and each one's share of a long run."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz import kinds_images, kinds_results, kinds_settings, kinds_tables
from tests.fuzz.case import Case

# Strategy, and how many of 10,000 inputs are of it.
KINDS: dict[str, tuple[st.SearchStrategy[Case], int]] = {
    "headers": (kinds_images.headers(), 1200),
    "streams": (kinds_images.streams(), 600),
    "trees": (kinds_images.trees(), 900),
    "sidecars": (kinds_images.sidecars(), 800),
    "scans": (kinds_tables.scans(), 750),
    "participants": (kinds_tables.participants(), 600),
    "lists": (kinds_tables.lists(), 400),
    "filters": (kinds_settings.filters(), 550),
    "configurations": (kinds_settings.configurations(), 600),
    "plugins": (kinds_settings.plugins(), 400),
    "models": (kinds_settings.model_folders(), 650),
    "thresholds": (kinds_settings.thresholds(), 450),
    "statuses": (kinds_results.statuses(), 600),
    "failing units": (kinds_results.failing_units(), 350),
    "unit tables": (kinds_results.unit_tables(), 400),
    "trainings": (kinds_results.trainings(), 350),
    "words": (kinds_settings.words(), 400),
}
