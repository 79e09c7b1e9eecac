"""Another threshold than a model's own: on the command line, in the record, and in the masks."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from pathlib import Path

import pytest

from ctwml_bids.bids.status import UnitStatus, write_status
from ctwml_bids.cli.parser import parse
from ctwml_bids.errors import CannotCreateError, InvalidInputError, UsageError
from ctwml_bids.reports.methods import methods
from ctwml_bids.run.preflight import Ready, choose_models
from ctwml_bids.run.provenance import check_same_run, hashes, write_record
from ctwml_bids.run.resources import other_thresholds, resources_of, seen_by_steps
from ctwml_bids.segmentation import networks
from ctwml_bids.settings import from_toml, to_toml
from ctwml_bids.templates import packaged
from ctwml_bids.training.setup import settle
from tests.bids.planned import plan

# That of both models of the tests.
OWN = 0.3


@pytest.fixture
def ready_with(ready, models):
    """Make a run with words of the command line."""

    def make(*words, label=None):
        where = (str(ready.settings.bids_dir), str(ready.settings.output_dir), "participant")
        settings = parse([*where, "--model", *map(str, models), *words])
        settings = dataclasses.replace(settings, desc=label)
        settings, cards = choose_models(settings)
        return Ready(settings, packaged(), cards)

    return make


@pytest.mark.parametrize(
    ("words", "ct", "flair"),
    [
        ((), OWN, OWN),
        (("--threshold", "0.4"), 0.4, 0.4),
        (("--threshold", "ct=0.4"), 0.4, OWN),
        (("--threshold", "flair=.6"), OWN, 0.6),
        (("--threshold", "ct=0.4", "flair=0.6"), 0.4, 0.6),
        (("--threshold", "flair=0.6", "--threshold", "ct=0.4"), 0.4, 0.6),
        (("--threshold", "0.4", "ct=0.4"), 0.4, 0.4),
        (("--threshold", "ct=0.3"), OWN, OWN),
    ],
)
def test_the_threshold_is_that_of_every_step_and_every_statement(ready_with, words, ct, flair):
    run = ready_with(*words)
    cards = resources_of(run).run.cards
    assert {name: card.threshold for name, card in cards.items()} == {"ct": ct, "flair": flair}
    said = methods(
        version="1",
        networks=dict.fromkeys(cards, networks.ARCHITECTURES[networks.DEFAULT]),
        template="T",
        normalisation="nine",
        models={name: dataclasses.asdict(card) for name, card in cards.items()},
    ).text()
    assert f"voxels above {ct:g} counted" in said
    assert f"voxels above {flair:g} counted" in said


def test_a_unit_says_that_its_threshold_is_another(ready_with):
    run = ready_with("--threshold", "ct=0.4", "flair=0.3")
    for unit, told in zip(plan(run.settings.bids_dir)[:2], (1, 1), strict=True):
        notes = [note for note in seen_by_steps(unit, run).notes if "--threshold" in note]
        assert len(notes) == told
        assert notes[0].startswith("Lesions on CT are what lies above 0.4")
    (unit,) = [item for item in plan(run.settings.bids_dir) if item.label == "sub-02"]
    run = ready_with("--threshold", "flair=0.4")
    # It has no FLAIR.
    assert not [note for note in seen_by_steps(unit, run).notes if "--threshold" in note]


def test_of_a_model_that_tells_infarcts_the_threshold_is_said_to_be_of_wml_alone(ready_with):
    run = ready_with("--threshold", "ct=0.4")
    (unit,) = [item for item in plan(run.settings.bids_dir) if item.label == "sub-02"]
    three = dataclasses.replace(
        run.cards["ct"], classes=("background", "WML", "infarct"), infarct_threshold=0.4
    )
    for card, is_said in ((run.cards["ct"], False), (three, True)):
        (note,) = other_thresholds(unit, {"ct": 0.4}, {"ct": card})
        assert ("of white matter lesions alone" in note) == is_said


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ((), ("0.4",)),
        ((), ("ct=0.4",)),
        (("ct=0.4",), ("ct=0.5",)),
        (("flair=0.4",), ("ct=0.4",)),
        (("0.4",), ()),
    ],
)
def test_another_threshold_needs_a_label_of_its_own(ready_with, before, now):
    words = [("--threshold", *given) if given else () for given in (before, now)]
    first, second = (ready_with(*given) for given in words)
    write_record(first, datetime(2026, 1, 1), {})
    status = UnitStatus("sub-01", "done", hashes=hashes(first))
    write_status(first.settings.output_dir / "logs/sub-01/status.json", status)
    check_same_run(first)
    with pytest.raises(CannotCreateError, match=r"threshold_.* before, .*--desc"):
        check_same_run(second)
    check_same_run(ready_with(*words[1], label="other"))


def test_the_models_own_threshold_may_be_named(ready_with):
    assert hashes(ready_with("--threshold", "0.3")) == hashes(ready_with())


@pytest.mark.parametrize("text", ["0", "1", "-0.1", "25", "nan", "inf", "half", "ct=", "pet=0.4"])
def test_what_is_no_probability_is_refused(text):
    for level in ("participant", "train"):
        with pytest.raises(UsageError, match="threshold"):
            parse(["bids", "out", level, f"--threshold={text}"])


@pytest.mark.parametrize(
    "words", [("ct=0.4", "ct=0.5"), ("0.4", "flair=0.5"), ("0.4", "0.5"), ("ct=.4", "0.5")]
)
def test_two_thresholds_of_one_image_are_refused(words):
    with pytest.raises(UsageError, match="is given as"):
        parse(["bids", "out", "participant", "--threshold", *words])


def test_a_threshold_of_an_image_that_is_ignored_is_refused():
    with pytest.raises(UsageError, match="--threshold ct: --ignore"):
        parse(["bids", "out", "participant", "--threshold", "ct=0.4", "--ignore", "ct"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("threshold = 0.4", {"ct": 0.4, "flair": 0.4}),
        ("threshold = {ct = 0.4}", {"ct": 0.4}),
        ("[threshold]\nflair = 0.6", {"flair": 0.6}),
        ("threshold = {}", {}),
        ("[threshold]\nct = 0.4\nflair = 0.6", {"ct": 0.4, "flair": 0.6}),
    ],
)
def test_a_configuration_file_has_it_in_the_same_forms(text, found):
    assert from_toml(text) == {"threshold": found}
    settings = dataclasses.replace(parse(["bids", "out", "participant"]), threshold=found)
    assert from_toml(to_toml(settings))["threshold"] == found


@pytest.mark.parametrize(
    "text",
    ["threshold = 0", "threshold = {ct = 1.0}", "threshold = {pet = 0.4}", "threshold = true"],
)
def test_a_wrong_one_in_a_file_is_refused(text):
    with pytest.raises(InvalidInputError, match="threshold"):
        from_toml(text)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), 0.25),
        (("--threshold", "0.4"), 0.4),
        (("--threshold", "ct=0.4"), 0.4),
        (("--threshold", "ct=0.4", "flair=0.6"), 0.4),
        (("--init", "shipped"), 0.55),
        (("--init", "shipped", "--threshold", "ct=0.4"), 0.4),
    ],
)
def test_a_training_takes_that_of_its_image(tmp_path: Path, words, expected):
    settings = parse([str(tmp_path), str(tmp_path / "out"), "train", "--dry-run", *words])
    assert settle(settings).recipe.threshold == expected


def test_a_training_refuses_that_of_the_other_image(tmp_path):
    words = ("train", "--dry-run", "--threshold", "flair=0.4")
    with pytest.raises(UsageError, match="--threshold flair: the networks see the CT"):
        settle(parse([str(tmp_path), str(tmp_path / "out"), *words]))
