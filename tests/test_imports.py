"""The design's one-way imports, read from the source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "ctwml_bids"
SCIENCE = ("preprocessing", "segmentation", "simulation", "statistics", "reports")

# The parts of bids that need no PyBIDS: names, units, atomic writers.
WRITING = ("bids.names", "bids.units", "bids.files", "bids.dataset")
# Readers of small tables that the group level needs, too.
READING = ("bids.people", "bids.tables", "bids.exclusions")

# What each folder may import of the package; errors, geometry and __version__ are open to all.
ALLOWED = {
    "bids": set(),
    "geometry": set(),
    "templates": set(),
    "settings": set(),
    "preprocessing": set(),
    "segmentation": {"preprocessing", "simulation"},
    "simulation": set(),
    "statistics": set(),
    "reports": set(),
    "execution": {"bids.files"},
    "interfaces": {
        "preprocessing",
        "segmentation",
        "statistics",
        "reports",
        *WRITING,
    },
    "workflows": {
        "interfaces",
        "settings",
        "preprocessing",
        "statistics",
        "reports",
        *WRITING,
        *READING,
    },
    # ``python -m ctwml_bids``
    "__main__": {"cli"},
    "cli": {
        "workflows",
        "bids",
        "execution",
        "templates",
        "settings",
        "simulation",
        "segmentation.model_store",
        "segmentation.train_cli",
    },
}
# Libraries that only one place may import.
ONLY_IN = {
    "torch": ("segmentation/",),
    "ants": ("preprocessing/",),
    "bids": ("bids/query.py",),
    "templateflow": ("templates.py",),
    "nipype": ("interfaces/", "workflows/", "execution/", "cli/"),
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> list[str]:
    """Absolute dotted names imported anywhere in a file, functions included."""
    here = ("ctwml_bids", *path.relative_to(PACKAGE).parts[:-1])
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: len(here) - node.level + 1]) if node.level else ""
            stem = ".".join(part for part in (base, node.module or "") if part)
            names += [f"{stem}.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    relative = path.relative_to(PACKAGE)
    folder = relative.parts[0].removesuffix(".py")
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "ctwml_bids" or len(parts) == 1:
            continue
        target = parts[1]
        if target in (folder, "errors", "geometry", "__version__"):
            continue
        allowed = ALLOWED.get(folder, set())
        assert target in allowed or ".".join(parts[1:3]) in allowed, f"{relative} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_libraries_stay_in_their_place(path):
    relative = str(path.relative_to(PACKAGE))
    for name in imports(path):
        places = ONLY_IN.get(name.split(".")[0])
        assert places is None or relative.startswith(places), f"{relative} imports {name}"
