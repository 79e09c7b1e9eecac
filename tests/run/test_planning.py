"""What a run is asked to leave out (--ignore), and what to do once more (--rerun)."""

from __future__ import annotations

import dataclasses
import json

import pytest

from ctwml_bids.bids.filters import matches, parse_filters
from ctwml_bids.bids.status import read_status
from ctwml_bids.bids.units import Skipped
from ctwml_bids.cli.parser import parse
from ctwml_bids.errors import NothingMatchedError, UsageError
from ctwml_bids.run.planning import plan_run
from ctwml_bids.run.preflight import SCRATCH, Ready
from ctwml_bids.run.rerun import why_to_run
from tests.bids.planned import plan
from tests.cli.conftest import write_image
from tests.execution import steps
from tests.run.toy_run import run


def asked(ready, **fields):
    return Ready(dataclasses.replace(ready.settings, **fields), cards=ready.cards)


@pytest.fixture
def sessions(tmp_path):
    """BIDS: a subject of each kind of pairing, in sessions and without."""
    root = tmp_path / "sessions"
    for name in (
        "sub-pair/anat/sub-pair_CT",
        "sub-pair/anat/sub-pair_FLAIR",
        "sub-ct/ct/sub-ct_ct",
        "sub-flair/anat/sub-flair_FLAIR",
        "sub-two/ses-1/ct/sub-two_ses-1_ct",
        "sub-two/ses-2/anat/sub-two_ses-2_FLAIR",
        "sub-many/ses-1/ct/sub-many_ses-1_ct",
        "sub-many/ses-1/anat/sub-many_ses-1_acq-a_FLAIR",
        "sub-many/ses-1/anat/sub-many_ses-1_acq-b_FLAIR",
    ):
        write_image(root / f"{name}.nii.gz")
    # A sidecar that is not JSON makes its subject unusable, as long as it is read at all.
    write_image(root / "sub-broken/ct/sub-broken_ct.nii.gz")
    write_image(root / "sub-broken/anat/sub-broken_FLAIR.nii.gz")
    (root / "sub-broken/anat/sub-broken_FLAIR.json").write_text("{")
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.11.1"}')
    return root


@pytest.mark.parametrize(
    ("label", "ignore", "units"),
    [
        ("pair", "flair", [("sub-pair", True, False)]),
        ("pair", "ct", [("sub-pair", False, True)]),
        ("ct", "flair", [("sub-ct", True, False)]),
        ("flair", "ct", [("sub-flair", False, True)]),
        ("two", "flair", [("sub-two_ses-1", True, False)]),
        ("two", "ct", [("sub-two_ses-2", False, True)]),
        # Which of two FLAIRs is meant does not matter then.
        ("many", "flair", [("sub-many_ses-1", True, False)]),
        ("broken", "flair", [("sub-broken", True, False)]),
    ],
)
def test_what_is_ignored_is_as_if_it_was_not_there(sessions, tmp_path, label, ignore, units):
    words = [str(sessions), str(tmp_path / "out"), "participant", "--participant-label", label]
    planned = plan_run(parse([*words, "--ignore", ignore]))
    assert planned.skipped == []
    assert [(u.label, u.ct is not None, u.flair is not None) for u in planned.units] == units
    for unit in planned.units:
        assert f"--ignore {ignore} leaves out all {ignore.upper()} images" in unit.notes


@pytest.mark.parametrize(("label", "ignore"), [("ct", "ct"), ("flair", "flair")])
def test_a_subject_without_anything_else_is_skipped_with_the_reason(
    sessions, tmp_path, label, ignore
):
    words = [str(sessions), str(tmp_path / "out"), "participant", "--participant-label", label]
    planned = plan_run(parse([*words, "--ignore", ignore]))
    (skipped,) = planned.skipped
    assert planned.units == []
    assert skipped.exit_code == 66
    assert f"--ignore {ignore}" in skipped.reason


@pytest.mark.parametrize(
    "words", [["ct", "flair"], ["flair", "ct", "ct"], ["t1w"], ["CT"], ["ct", "--ignore", "flair"]]
)
def test_not_everything_and_nothing_else_is_ignored(words):
    with pytest.raises(UsageError, match="--ignore"):
        parse(["bids", "out", "participant", "--ignore", *words])


@pytest.mark.usefixtures("light_workers")
def test_a_unit_that_was_a_pair_runs_again_without_its_flair(dataset, units, ready):
    run(units[:1], ready, lambda label: steps.Succeed())
    (alone,) = plan_run(asked(ready, ignore=("flair",), participant_labels=("01",)).settings).units
    assert why_to_run(alone, ready) == ["sub-01/anat/sub-01_FLAIR.nii.gz is used no longer"]


@pytest.mark.usefixtures("light_workers")
def test_a_unit_that_is_done_runs_again_if_it_is_asked_for_and_no_other(units, ready, tmp_path):
    marks = tmp_path / "marks"
    marks.touch()
    always = asked(ready, keep_work="always")
    run(units, always, lambda label: steps.Succeed(), marks)
    before = read_status(ready.settings.output_dir / "logs/sub-01/status.json")
    stale = ready.settings.work_dir / SCRATCH / "unit_sub_01" / "left"
    stale.touch()
    again = dataclasses.replace(always.settings, rerun=("sub-01",))
    results, screen = run(
        units, Ready(again, cards=ready.cards), lambda label: steps.Succeed(), marks
    )
    assert results["sub-02"].reason == "done before"
    assert results["sub-01"].reason == ""
    assert "sub-01: done in" in screen
    after = read_status(ready.settings.output_dir / "logs/sub-01/status.json")
    assert (before.state, after.state) == ("done", "done")
    assert (after.hashes, after.request) == (before.hashes, before.request)
    # From the start: nothing of the former run's scratch is taken.
    assert not stale.exists()


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("two", {"sub-two_ses-1"}),
        ("sub-two", {"sub-two_ses-1"}),
        ("two_ses-1", {"sub-two_ses-1"}),
        ("sub-two_ses-1", {"sub-two_ses-1"}),
        ("pair", {"sub-pair"}),
    ],
)
def test_a_unit_is_named_by_its_label_or_its_subjects(sessions, ready, tmp_path, typed, named):
    words = [str(sessions), str(tmp_path / "out"), "participant", "--rerun", typed]
    settings = parse([*words, "--participant-label", "two", "pair", "ct"])
    planned = plan_run(settings)
    for unit in planned.units:
        path = settings.output_dir / "logs" / unit.label / "status.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"label": unit.label, "state": "done"}))
    asked_for = Ready(settings, cards=ready.cards)
    again = {
        unit.label for unit in planned.units if "--rerun asks for it" in why_to_run(unit, asked_for)
    }
    assert again == named


@pytest.mark.parametrize("label", ["99", "two_ses-9", "ct_ses-1", "sub-99", "pair_ses-1"])
def test_a_label_that_the_run_does_not_have_is_an_error_with_its_name(sessions, tmp_path, label):
    words = [str(sessions), str(tmp_path / "out"), "participant", "--rerun", "pair", label]
    with pytest.raises(NothingMatchedError, match=label) as caught:
        plan_run(parse(words))
    assert "sub-two_ses-1" in str(caught.value)
    assert caught.value.exit_code == 18


def test_what_cannot_be_run_cannot_be_run_again_either(dataset, tmp_path):
    words = [str(dataset), str(tmp_path / "out"), "participant", "--rerun", "03"]
    with pytest.raises(NothingMatchedError, match=r"sub-03 cannot be run, no CT .*T1w"):
        plan_run(parse(words))
    with pytest.raises(NothingMatchedError, match="sub-02 is no subject or unit of this run"):
        plan_run(parse([*words[:-1], "02", "--participant-label", "01"]))


@pytest.mark.parametrize("words", [["--reports-only"], ["a/b"], ["x_y"], ["01_ses-"], ["01,02"]])
def test_a_rerun_that_makes_no_sense_is_refused(words):
    with pytest.raises(UsageError, match="--rerun"):
        parse(["bids", "out", "participant", "--rerun", "01", *words])


NAMES = {
    None: "sub-1/anat/sub-1_FLAIR",
    "a": "sub-1/ses-a/anat/sub-1_ses-a_FLAIR",
    "2": "sub-1/ses-2/anat/sub-1_ses-2_FLAIR",
    "b1": "sub-1/ses-b1/anat/sub-1_ses-b1_FLAIR",
    "None": "sub-1/ses-None/anat/sub-1_ses-None_FLAIR",
}


@pytest.mark.parametrize("first", NAMES)
def test_the_filter_that_is_advised_for_an_unclear_pair_matches_it(tmp_path, first):
    root = tmp_path / "bids"
    write_image(root / "sub-1/ses-ct/ct/sub-1_ses-ct_ct.nii.gz")
    for session in (first, "z"):
        name = NAMES.get(session, "sub-1/ses-z/anat/sub-1_ses-z_FLAIR")
        write_image(root / f"{name}.nii.gz")
    (skipped,) = plan(root, skip_validation=True)
    assert isinstance(skipped, Skipped)
    advised = parse_filters(json.loads(skipped.reason.partition("for instance ")[2]))
    entities = {} if first is None else {"session": first}
    assert matches(entities, advised.flair)
    assert not matches({"session": "z"}, advised.flair)
