"""Every option at every level: used, or refused by name with the levels that it belongs to."""

from __future__ import annotations

import re

import pytest

from ctwml_bids.cli.options import CHOICES, of_level, without
from ctwml_bids.cli.parser import parse
from ctwml_bids.errors import InvalidInputError, UsageError
from ctwml_bids.settings import ANALYSIS_LEVELS, OPTIONS, Option, Settings, to_toml

# A value of each option that has no choices and is no number.
VALUES = {
    "derivatives": "masks=there",
    "mem_gb": "4G",
    "threshold": "0.4",
    "only": "heads",
    "learning_rate": "0.01",
    "fazekas_thresholds": "literature",
}
CHOSEN = {name: one.choices for name, one in OPTIONS.items() if one.choices} | CHOICES


def typed(name: str) -> list[str]:
    """Return an option as it is typed, with a value that it may have."""
    declared, default = OPTIONS[name], getattr(Settings, name, None)
    if declared.counted or isinstance(default, bool):
        return [declared.flags[0]]
    value = VALUES.get(name) or CHOSEN.get(name, ("1",))[0]
    return [declared.flags[0], value]


PAIRS = [(name, level) for name in OPTIONS for level in ANALYSIS_LEVELS]


@pytest.mark.parametrize(("name", "level"), PAIRS)
def test_an_option_is_taken_where_it_belongs_and_refused_elsewhere(name, level):
    argv = ["bids", "out", level, *typed(name)]
    if level in OPTIONS[name].levels:
        parse(argv)
        return
    with pytest.raises(UsageError) as caught:
        parse(argv)
    said = str(caught.value)
    assert f"{OPTIONS[name].flags[0]} is an option of " in said
    assert all(right in said for right in OPTIONS[name].levels)
    assert f"at the level {level}" in said
    assert caught.value.exit_code == 64


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("participant", ["--exclude", "01"]),
        ("participant", ["--modality", "ct"]),
        ("participant", ["--fazekas_column", "visual"]),
        ("participant", ["--keep-networks"]),
        ("group", ["--participant_label=01"]),
        ("group", ["--output-spaces", "CT"]),
        ("group", ["--threshold", "0.4"]),
        ("train", ["--model", "m"]),
        ("train", ["--ignore", "ct"]),
        ("participant", ["--participants-file", "p.tsv"]),
    ],
)
def test_however_it_is_spelled(level, words):
    with pytest.raises(UsageError, match="is an option of"):
        parse(["bids", "out", level, *words])
    with pytest.raises(UsageError, match="is an option of"):
        parse([*words, "--", "bids", "out", level])


def test_of_several_levels_one_that_uses_it_is_enough():
    settings = parse(["bids", "out", "participant", "group", "--exclude", "01", "--ignore", "ct"])
    assert settings.exclude == ("sub-01",)
    with pytest.raises(UsageError, match="--folds is an option of train"):
        parse(["bids", "out", "participant", "group", "--folds", "2"])


def test_all_options_of_other_levels_are_named_at_once():
    with pytest.raises(UsageError, match=r"--exclude is .*; --folds is "):
        parse(["bids", "out", "participant", "--folds", "2", "--exclude", "01"])


@pytest.mark.parametrize("level", ANALYSIS_LEVELS)
def test_a_configuration_file_may_have_what_other_levels_use(level, tmp_path):
    path = tmp_path / "shared.toml"
    every = [word for name in OPTIONS if name != "reports_only" for word in typed(name)]
    path.write_text(to_toml(parse(["bids", "out", *ANALYSIS_LEVELS, *every])))
    settings = parse(["bids", "out", level, "--config-file", str(path)])
    assert settings.analysis_levels == (level,)
    assert (settings.folds, settings.exclude) == (1, ("sub-1",))


def test_words_are_parted_by_level():
    words = (
        "-v",
        "--exclude",
        "01",
        "02",
        "-dmasks=m",
        "--model_x",
        "--model",
        "a",
        "b",
        "--mem=4G",
    )
    assert of_level(words, "group") == ("-v", "--exclude", "01", "02", "--model_x", "--mem=4G")
    assert of_level(words, "participant") == (
        *("-v", "-dmasks=m", "--model_x", "--model", "a", "b", "--mem=4G"),
    )
    assert without(words, "models") == (
        *("-v", "--exclude", "01", "02", "-dmasks=m", "--model_x", "--mem=4G"),
    )


def limits(declared):
    return [declared.above, declared.below, declared.lowest, declared.highest]


LIMITED = [n for n in OPTIONS if any(x is not None for x in limits(OPTIONS[n])) and n != "mem_gb"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"above": 0}, "above 0"),
        ({"below": 1}, "below 1"),
        ({"lowest": 0}, "at least 0"),
        ({"highest": 5}, "at most 5"),
        ({"above": 0, "highest": 5}, "above 0 and at most 5"),
        ({"above": 0, "below": 1}, "between 0 and 1"),
        ({"lowest": 1, "highest": 5}, "from 1 to 5"),
    ],
)
def test_every_limit_is_said(given, said):
    assert Option(("--x",), "", "data", **given).allowed == said


@pytest.mark.parametrize("name", LIMITED)
def test_a_limit_holds_on_the_command_line_and_in_a_file(name, tmp_path):
    declared = OPTIONS[name]
    below = declared.above if declared.above is not None else declared.lowest - 1
    above = declared.below if declared.below is not None else declared.highest
    wrong = [below] if above is None else [below, above + (declared.below is None)]
    for number in wrong:
        with pytest.raises(UsageError, match=declared.allowed):
            parse(["bids", "out", declared.levels[0], f"{declared.flags[0]}={number:g}"])
        path = tmp_path / "c.toml"
        path.write_text(f"{name} = {number:g}\n")
        with pytest.raises(InvalidInputError, match=declared.allowed):
            parse(["bids", "out", declared.levels[0], "--config-file", str(path)])


@pytest.mark.parametrize("name", CHOSEN)
def test_a_choice_holds_on_the_command_line_and_in_a_file(name, tmp_path):
    declared = OPTIONS[name]
    with pytest.raises(UsageError, match="neither"):
        parse(["bids", "out", declared.levels[0], declared.flags[0], "neither"])
    path = tmp_path / "c.toml"
    several = isinstance(getattr(Settings, name), tuple)
    path.write_text(f"{name} = " + ('["neither"]' if several else '"neither"') + "\n")
    with pytest.raises(InvalidInputError, match=", ".join(map(re.escape, CHOSEN[name]))):
        parse(["bids", "out", declared.levels[0], "--config-file", str(path)])
