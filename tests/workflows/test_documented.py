"""docs/outputs.md names every file that a run writes, and every column of every table."""

from __future__ import annotations

import csv
import json
import re
from itertools import product
from pathlib import Path

import pytest

from ctwml_bids.bids import names

TEXT = (Path(__file__).parents[2] / "docs/outputs.md").read_text(encoding="utf-8")
ANAT = "sub-X[/ses-Y]/anat/sub-X[_ses-Y]_"
IN_ANAT = TEXT[: TEXT.index("## Sidecars")]
TABLES = (
    "desc-wml_stats.tsv",
    "desc-wmllesions_stats.tsv",
    "desc-acquisition_stats.tsv",
    "group/units.tsv",
    "group/agreement.tsv",
    "group/measures.tsv",
    "group/demographics.tsv",
    "group/confusion.tsv",
    "group/excluded.tsv",
    "logs/status.tsv",
)


def expanded(pattern: str) -> list[str]:
    """Spell out the braces of a name: ``{a,b}c`` is ac and bc."""
    parts = [part.split(",") for part in re.split(r"[{}]", pattern)]
    # What stands outside of braces has no comma.
    return ["".join(choice) for choice in product(*parts)]


def named(text: str) -> list[str]:
    """Names in backticks in the first column of all tables, and after 'with --desc LABEL'."""
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    cells += re.findall(r"with `--desc LABEL` (.*?) \|$", text, flags=re.MULTILINE)
    return [
        name for cell in cells for found in re.findall("`(.+?)`", cell) for name in expanded(found)
    ]


def as_regex(name: str) -> str:
    """Turn a documented name into a regular expression for paths in the output folder."""
    regex = re.escape(name)
    for placeholder, meaning in (
        (r"\[/ses\-Y\]", r"(/ses-\w+)?"),
        (r"\[_ses\-Y\]", r"(_ses-[A-Za-z0-9]+)?"),
        (r"sub\-X", r"sub-[A-Za-z0-9]+"),
        ("<template>", r"[A-Za-z0-9+]+"),
        ("<model>", r"[A-Za-z0-9._-]+"),
        ("<unit>", r"sub-[A-Za-z0-9_-]+"),
        (r"\*", "[^/]*"),
        ("LABEL", "[A-Za-z0-9]+"),
    ):
        regex = regex.replace(placeholder, meaning)
    return regex


def documented() -> list[re.Pattern[str]]:
    files = named(TEXT[TEXT.index("## Elsewhere") :])
    files += [file.replace("group/", "group/desc-LABEL/") for file in files if "group/" in file]
    patterns = [as_regex(file) for file in files]
    for file in named(IN_ANAT):
        stem, dot, ending = file.partition(".")
        patterns.append(as_regex(f"{ANAT}{stem}") + re.escape(dot) + f"({re.escape(ending)}|json)")
    return [re.compile(pattern) for pattern in patterns]


def undocumented(paths: list[str]) -> list[str]:
    patterns = documented()
    return [path for path in paths if not any(pattern.fullmatch(path) for pattern in patterns)]


def section(heading: str) -> str:
    start = TEXT.index(f"## `{heading}`")
    return TEXT[start : TEXT.index("\n## ", start + 1)]


def header(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as opened:
        return next(csv.reader(opened, delimiter="\t"))


def test_every_file_of_a_run_is_documented(real_run):
    paths = [path for path in real_run.output_dir.rglob("*") if path.is_file()]
    written = [path.relative_to(real_run.output_dir).as_posix() for path in paths]
    assert len(written) > 80
    assert undocumented(written) == []


@pytest.mark.parametrize(
    "path",
    [
        names.xfm("1", "a", source="FLAIR", target="MNI+2", deformable=True),
        names.xfm("1", None, source="MNI+2", target="CT", deformable=True),
        names.report("1", "a", model_label="mine"),
        names.group_report("mine"),
        names.group_folder("mine") / "units.tsv",
        names.group_folder("mine") / "agreement.json",
        names.group_folder("mine") / "figures/figure-3a_scatter.svg",
        names.group_folder("mine") / "fazekas_thresholds.json",
        names.example("1", "a", model_label="mine"),
        names.example("1", "a", cross_validated=True),
        names.example("1", None, model_label="mine", cross_validated=True),
        names.wml("1", "a", space="CT", seen_in="ct", kind="cvstd"),
        names.wml("1", None, space="FLAIR", seen_in="ct", kind="cvmask"),
        names.cross_validated_stats("1", "a"),
        names.status("1", "a", model_label="mine"),
        names.notes("1", None),
        names.notes("1", None, model_label="mine"),
        names.run_lock(),
        names.in_use(),
        "logs/ctwml_20260101T000000-000001_traceback.txt",
        "logs/crash-20260101-000000-me-register-0123.txt",
    ],
    ids=str,
)
def test_files_of_other_runs_are_documented(path):
    assert undocumented([str(path)]) == []


@pytest.mark.parametrize("path", ["sub-1/anat/sub-1_desc-new_stats.tsv", "logs/new.txt"])
def test_a_new_file_would_be_noticed(path):
    assert undocumented([path]) == [path]


@pytest.mark.parametrize("table", TABLES)
def test_the_columns_of_every_table_are_documented(real_run, table):
    paths = [path for path in real_run.output_dir.rglob("*.tsv") if path.as_posix().endswith(table)]
    assert paths
    for path in paths:
        assert sorted(header(path)) == sorted(named(section(table)))


def test_every_table_has_its_section(real_run):
    found = [path for path in real_run.output_dir.rglob("*.tsv") if path.name != "participants.tsv"]
    assert [path for path in found if not path.as_posix().endswith(TABLES)] == []


def test_every_measure_of_agreement_is_documented(real_run):
    with (real_run.output_dir / "group/agreement.tsv").open(encoding="utf-8") as opened:
        measures = [row["measure"] for row in csv.DictReader(opened, delimiter="\t")]
    assert [name for name in measures if f"`{name}`" not in section("group/agreement.tsv")] == []


def test_every_field_of_a_sidecar_is_documented(real_run):
    text = TEXT[TEXT.index("## Sidecars") : TEXT.index("## Transforms")]
    columns = {name for table in TABLES[:3] for name in named(section(table))}
    for path in (real_run.output_dir / "sub-01/anat").glob("*.json"):
        fields = set(json.loads(path.read_text())) - columns
        assert [name for name in fields if f"`{name}`" not in text] == [], path.name
