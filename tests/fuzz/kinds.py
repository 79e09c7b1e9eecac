"""The kinds of generated inputs, and each one's share of a long run."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz import kinds_images, kinds_results, kinds_settings, kinds_tables
from tests.fuzz.case import Case

# Strategy, and how many of 10,000 inputs are of it.
KINDS: dict[str, tuple[st.SearchStrategy[Case], int]] = {
    "headers": (kinds_images.headers(), 1400),
    "streams": (kinds_images.streams(), 700),
    "trees": (kinds_images.trees(), 1000),
    "sidecars": (kinds_images.sidecars(), 900),
    "scans": (kinds_tables.scans(), 900),
    "participants": (kinds_tables.participants(), 700),
    "lists": (kinds_tables.lists(), 400),
    "filters": (kinds_settings.filters(), 600),
    "configurations": (kinds_settings.configurations(), 700),
    "plugins": (kinds_settings.plugins(), 400),
    "models": (kinds_settings.model_folders(), 700),
    "thresholds": (kinds_settings.thresholds(), 500),
    "statuses": (kinds_results.statuses(), 600),
    "failing units": (kinds_results.failing_units(), 350),
    "unit tables": (kinds_results.unit_tables(), 400),
    "trainings": (kinds_results.trainings(), 350),
    "words": (kinds_settings.words(), 500),
}
