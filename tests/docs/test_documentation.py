"""What README and docs/ say is there, and what is there is said."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest

from ctwml_bids import errors
from ctwml_bids.bids.filters import load_filters
from ctwml_bids.cli import main as app
from ctwml_bids.cli import options, parser, simulate, slurm_options
from ctwml_bids.modality import IMAGES
from ctwml_bids.run.plugin_file import read_plugin
from ctwml_bids.segmentation import model_store
from ctwml_bids.settings import ANALYSIS_LEVELS, OPTIONS
from ctwml_bids.statistics.columns import COLUMNS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(DOCS.glob("*.md")))
OPTIONS_PAGE, OUTPUTS, REFUSED = DOCS / "options.md", DOCS / "outputs.md", DOCS / "refused.md"
# What a user types is on these; other pages may name options of other programs.
OF_USE = (DOCS / "first-run.md", OPTIONS_PAGE, DOCS / "group.md", DOCS / "training.md", REFUSED)
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
each_linked_page = pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CHANGES.md"], ids=lambda path: path.name
)


def quoted(page: Path) -> list[str]:
    """Return what a page sets as code: inline pieces, and lines of blocks."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```.*?\n(.*?)^```", text, flags=re.M | re.S)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    inline = [" ".join(piece.split()) for piece in re.findall(r"`([^`]+)`", rest)]
    return inline + [line for block in blocks for line in block.splitlines()]


def block_of(page: Path, language: str) -> str:
    """Return the only code block of a language."""
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.M | re.S)
    return block


def headings(page: Path) -> list[tuple[int, str]]:
    """Return level and text of a page's headings, in their order."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    found = re.findall(r"^(#+) (.+)$", text, flags=re.M)
    return [(len(marks), heading) for marks, heading in found]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub names them."""
    found = (heading.lower() for _, heading in headings(page))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in found}


def commands(page: Path, pattern: str) -> list[tuple[str, list[str]]]:
    """Return quoted commands: what `pattern` captures, and the words after it."""
    found = []
    for piece in quoted(page):
        if match := re.match(pattern, piece.split("  #")[0].strip()):
            found.append((match[1], shlex.split(piece[match.end() :], comments=True)))
    return found


def divided(words: list[str]) -> tuple[list[str], list[str]]:
    """Part words at two dashes, without those that are options for another program."""
    cut = words.index("--") if "--" in words else len(words)
    passed_on = ("--sbatch", "--apptainer")
    mine = [word for at, word in enumerate(words[:cut]) if words[max(at - 1, 0)] not in passed_on]
    return mine, words[cut + 1 :]


def asked_in(words: list[str]) -> set[str]:
    return {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}


def option_strings(built: argparse.ArgumentParser) -> set[str]:
    return {string for action in built._actions for string in action.option_strings}


@each_page
def test_a_page_begins_with_its_only_title_and_skips_no_level(page):
    levels = [level for level, _ in headings(page)]
    assert page.read_text(encoding="utf-8").startswith("# ")
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@each_page
def test_no_two_headings_of_a_page_have_one_anchor(page):
    assert len(anchors(page)) == len(headings(page))


def test_the_index_lists_every_page_once():
    links = re.findall(r"\]\(([\w-]+\.md)\)", (DOCS / "index.md").read_text(encoding="utf-8"))
    assert sorted(links) == sorted(page.name for page in DOCS.glob("*.md") if page.stem != "index")


@each_linked_page
def test_relative_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'<a href="([^"]+)"', text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = unquote(target).partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        assert path.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(path), target


@each_page
def test_modules_that_are_named_exist(page):
    places = [ROOT, ROOT / "ctwml_bids", *(ROOT / "ctwml_bids").iterdir()]
    for piece in quoted(page):
        if re.fullmatch(r"[\w./]+\.py", piece):
            assert any((place / piece).is_file() for place in places), piece


@each_page
def test_quoted_commands_exist_with_their_options(page):
    for script, words in commands(page, r"python (\S+\.py)\b"):
        path = ROOT / script
        assert path.is_file(), script
        if script != "run.py":
            source = path.read_text(encoding="utf-8")
            for word in words:
                assert not word.startswith("--") or f'"{word.split("=")[0]}"' in source, word
    for module, _ in commands(page, r"python -m (ctwml_bids\S*)"):
        assert importlib.util.find_spec(module), module
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target, _ in commands(page, r"make (\w+)"):
        assert re.search(rf"^{target}:", makefile, flags=re.M), target


@each_page
def test_options_of_quoted_commands_are_the_programs(page):
    known_to_the_program = option_strings(options.build_parser())
    known = {
        r"(?:python )?(run\.py|ctwml_bids)(?= )": known_to_the_program,
        r"(ctwml-simulate)\b": option_strings(simulate.build_parser()),
        r"(ctwml-slurm)\b": option_strings(slurm_options.build_parser()),
    }
    for pattern, strings in known.items():
        for program, words in commands(page, pattern):
            mine, after = divided(words)
            assert asked_in(mine) <= strings, (program, words)
            assert asked_in(after) <= known_to_the_program, (program, words)


def test_console_scripts_are_the_programs_that_the_pages_name():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["scripts"]) == {"ctwml_bids", "ctwml-simulate", "ctwml-slurm"}
    for script in project["scripts"]:
        assert any(script in piece for page in PAGES for piece in quoted(page)), script
    assert project["version"] == app.__version__


ACTIONS = [action for action in options.build_parser()._actions if action.option_strings]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.option_strings[0])
def test_every_option_is_on_the_options_page(action):
    words = {word for piece in quoted(OPTIONS_PAGE) for word in re.split(r"[\s,]+", piece)}
    assert words & set(action.option_strings), action.option_strings


@pytest.mark.parametrize("page", OF_USE, ids=lambda path: path.name)
def test_every_option_on_the_pages_of_use_is_the_programs(page):
    words = {word for piece in quoted(page) for word in re.split(r"[\s,]+", piece)}
    asked = {word.split("=")[0] for word in words if re.fullmatch(r"--?[a-z][\w=-]*", word)}
    # Apptainer's own, and -v twice.
    assert asked - {"--nv", "-vv"} <= option_strings(options.build_parser())


def test_the_table_of_options_says_the_levels_that_are_declared():
    rows = re.findall(r"^\| (`--?[a-z].+?) \| ([a-z, ]+) \|", OPTIONS_PAGE.read_text(), flags=re.M)
    told = {flag: said for flags, said in rows for flag in re.findall(r"`(--?[a-z][\w-]*)", flags)}
    for declared in OPTIONS.values():
        levels = declared.levels
        said = "all" if levels == ANALYSIS_LEVELS else ", ".join(levels)
        assert {told[flag] for flag in declared.flags if flag in told} == {said}, declared.flags


def test_every_choice_of_an_option_is_on_the_options_page():
    text = " ".join(quoted(OPTIONS_PAGE))
    for action in ACTIONS:
        for choice in action.choices or ():
            assert re.search(rf"(?<!\w){re.escape(str(choice))}(?!\w)", text), (
                action.option_strings,
                choice,
            )


def codes_of_errors() -> set[int]:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return {kind.exit_code for kind in (*kinds, parser.UnknownLevelError)}


def test_the_table_of_exit_codes_is_that_of_the_errors():
    rows = re.findall(r"^\| (\d+) \| .+ \|$", REFUSED.read_text(encoding="utf-8"), flags=re.M)
    codes = [int(code) for code in rows]
    assert codes == sorted(set(codes))
    assert set(codes) == codes_of_errors() | {0, app.INTERRUPTED, app.TERMINATED}


def test_the_help_names_the_same_exit_codes_as_the_table():
    said = {int(code) for code in re.findall(r"(?<!\d)(\d+) [a-z]", options.EPILOG)}
    assert said == codes_of_errors() | {0, app.INTERRUPTED, app.TERMINATED}


def test_the_filter_on_the_options_page_is_accepted(tmp_path):
    path = tmp_path / "filter.json"
    path.write_text(block_of(OPTIONS_PAGE, "json"))
    filters = load_filters(path)
    assert set(json.loads(path.read_text())) == {"ct", "flair"}
    assert filters


def test_the_plugin_file_on_the_options_page_is_accepted(tmp_path, monkeypatch):
    # It asks whether the cluster's command is there.
    (tmp_path / "sbatch").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    path = tmp_path / "plugin.yaml"
    path.write_text(block_of(OPTIONS_PAGE, "yaml"))
    assert read_plugin(path)


def test_every_column_of_the_statistics_table_is_on_the_outputs_page_and_no_other():
    text = OUTPUTS.read_text(encoding="utf-8")
    section = text.split("## `desc-wml_stats.tsv`")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.+?`) \|", section, flags=re.M)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(COLUMNS)


@pytest.mark.parametrize("modality", IMAGES)
def test_what_was_measured_on_the_shipped_models_is_in_their_cards_and_on_the_page(modality):
    card = model_store.load_card(model_store.default(modality))
    results = ROOT / "benchmarks/results"
    cohort = json.loads((results / "cohort_whole.json").read_text())["result"]
    assert cohort["models"][modality] == [card.name, card.checksum]
    images = {"ct": "CT", "flair": "FLAIR"}
    in_card = card.accuracy["simulated cohort, anatomies and seeds not trained on"]
    assert in_card["volume r"] == cohort["volumes"][f"{images[modality]} against truth"]["r"]
    assert in_card["dice, all"] == cohort["dice"][f"{images[modality]} against truth"]["all"]
    page = (DOCS / "validation.md").read_text(encoding="utf-8")
    section = page.split("## Simulated heads, truth known")[1].split("\n### Dice")[0]
    assert card.name in section
    assert f"| {images[modality]} against truth | {in_card['volume r']:.3f} |" in section


def test_tables_of_the_pages_are_what_they_are_made_of():
    made = subprocess.run(
        [sys.executable, "-m", "benchmarks.page", "--check"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert made.returncode == 0, made.stderr
