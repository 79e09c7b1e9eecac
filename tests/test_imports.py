"""The design's one-way imports, read from the source."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest
from nipype.interfaces.base import BaseInterface

PACKAGE = Path(__file__).resolve().parents[1] / "ctwml_bids"
SCIENCE = ("preprocessing", "segmentation", "simulation", "statistics", "reports")

# The house from the top floor down: a folder imports of the package what lies below it. Two on one
# floor do not import each other.
FLOORS = (
    ("__main__",),
    ("cli",),
    ("group", "training"),
    ("run",),
    ("execution",),
    ("workflows",),
    ("interfaces",),
    ("unit",),
    ("bids",),
    SCIENCE,
    ("settings",),
    ("modality",),
    ("templates",),
    ("errors", "geometry", "image_files", "reading", "slices", "trilinear", "__version__"),
)
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
# Of the science folders one imports another, and none knows of the run or of what was asked for.
ACROSS = {("segmentation", "preprocessing")}
FORBIDDEN = {(folder, name) for folder in SCIENCE for name in ("settings", "templates")}
# Libraries that only some places may import.
ONLY_IN = {
    "torch": ("segmentation/", "training/"),
    "ants": ("preprocessing/",),
    "bids": ("bids/query.py",),
    "templateflow": ("templates.py",),
    "nipype": ("interfaces/", "workflows/", "execution/", "run/"),
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


def of_package(path: Path) -> list[str]:
    """Folders, or modules beside them, that a module of the package imports."""
    names = [name.split(".") for name in imports(path)]
    return [parts[1] for parts in names if parts[0] == "ctwml_bids" and len(parts) > 1]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_downwards(path):
    relative = path.relative_to(PACKAGE)
    folder = relative.parts[0].removesuffix(".py")
    if folder == "__init__":
        return
    for target in set(of_package(path)) - {folder}:
        assert FLOOR[target] > FLOOR[folder] or (folder, target) in ACROSS, (
            f"{relative} imports {target}"
        )
        assert (folder, target) not in FORBIDDEN, f"{relative} imports {target}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_libraries_stay_in_their_place(path):
    relative = str(path.relative_to(PACKAGE))
    for name in imports(path):
        places = ONLY_IN.get(name.split(".")[0])
        assert places is None or relative.startswith(places), f"{relative} imports {name}"


@pytest.mark.parametrize(
    "path",
    [path for name in ("interfaces", "workflows") for path in (PACKAGE / name).glob("[!_]*.py")],
    ids=lambda p: str(p.relative_to(PACKAGE)),
)
def test_interfaces_and_workflows_hold_nipype_alone(path):
    module = importlib.import_module(f"ctwml_bids.{path.parent.name}.{path.stem}")
    own = [value for value in vars(module).values() if inspect.getmodule(value) is module]
    if path.parent.name == "interfaces":
        assert any(inspect.isclass(value) and issubclass(value, BaseInterface) for value in own)
    else:
        makers = [value for value in own if re.fullmatch(r"init_\w+_wf", value.__name__)]
        assert makers
        for maker in makers:
            kinds = {one.kind for one in inspect.signature(maker).parameters.values()}
            assert kinds == {inspect.Parameter.KEYWORD_ONLY}
