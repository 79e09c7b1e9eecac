from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import pytest

from ctwml_bids.cli.values import unit_label
from ctwml_bids.errors import (
    BadDataError,
    CannotCreateError,
    InputOutputError,
    InvalidInputError,
    NoInputError,
    UsageError,
)
from ctwml_bids.run import preflight as checks
from ctwml_bids.settings import Settings


@pytest.fixture
def settings(dataset, models, tmp_path):
    return Settings(
        bids_dir=dataset,
        output_dir=tmp_path / "out",
        analysis_levels=("participant",),
        work_dir=tmp_path / "work",
        models=tuple(models),
        device="cpu",
    )


def refused(settings, kind, said, **fields):
    with pytest.raises(kind, match=said):
        checks.preflight(dataclasses.replace(settings, **fields))


def test_a_run_that_may_start_has_everything_settled_and_nothing_created(settings):
    ready = checks.preflight(settings)
    assert ready.settings.model_ct == settings.models[0]
    assert ready.settings.model_flair == settings.models[1]
    assert ready.template.brain_mask.is_file()
    assert ready.template.ventricles.is_file()
    assert {name: len(value) for name, value in ready.checksums.items()} == {"ct": 64, "flair": 64}
    assert not settings.output_dir.exists()
    assert not settings.work_dir.exists()
    checks.make_folders(settings)
    assert settings.output_dir.is_dir()
    assert settings.work_dir.is_dir()


def test_missing_inputs_are_named(settings, tmp_path):
    none = tmp_path / "none"
    refused(settings, NoInputError, "none", bids_dir=none)
    refused(settings, NoInputError, "none", bids_filter_file=none)
    refused(settings, NoInputError, "none", use_plugin=none)
    refused(settings, NoInputError, "fmriprep", derivatives={"fmriprep": none})
    refused(settings, NoInputError, "none", models=(none,))


def test_the_group_level_needs_results_but_no_data_set(settings, tmp_path):
    group = dataclasses.replace(
        settings, bids_dir=tmp_path / "gone", analysis_levels=("group",), models=()
    )
    refused(group, NoInputError, "participant level")
    group.output_dir.mkdir()
    assert checks.preflight(group).template is None


def test_output_may_not_be_the_data_set_or_among_its_raw_files(settings):
    raw = settings.bids_dir
    refused(settings, InvalidInputError, "input data set", output_dir=raw)
    refused(settings, InvalidInputError, "inside", output_dir=raw / "sub-01" / "out")
    inside = dataclasses.replace(settings, output_dir=raw / "derivatives" / "ctwml_bids")
    assert checks.preflight(inside).settings.output_dir == inside.output_dir


def test_scratch_is_never_in_the_data_set_or_the_current_folder(settings, monkeypatch, tmp_path):
    refused(settings, CannotCreateError, "inside the data set", work_dir=settings.bids_dir / "w")
    monkeypatch.chdir(tmp_path)
    refused(settings, CannotCreateError, "current folder", work_dir=tmp_path)


def test_a_work_folder_that_cannot_be_made_is_named(settings, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotCreateError, match="file"):
        checks.make_folders(dataclasses.replace(settings, work_dir=tmp_path / "file" / "work"))


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_an_output_folder_without_permission_is_named(settings, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(CannotCreateError, match="locked"):
        checks.make_folders(dataclasses.replace(settings, output_dir=locked / "out"))


def test_a_nearly_full_disk_is_found_before_the_run(settings, monkeypatch):
    monkeypatch.setattr(checks, "WORK_GB", 1e9)
    with pytest.raises(InputOutputError, match="are free"):
        checks.make_folders(settings)
    assert not settings.output_dir.exists()


def test_two_models_for_one_image_are_refused(settings, models, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(models[0], again)
    refused(settings, UsageError, "both", models=(*models, again))


def test_a_model_that_was_changed_is_refused(settings, models, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(models[0], copy)
    weights = next(copy.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes() + b"x")
    refused(settings, BadDataError, "checksum|SHA-256", models=(copy, models[1]))


def test_an_unknown_output_space_names_the_known_ones(settings):
    refused(settings, UsageError, "CT, FLAIR, MNI152NLin2009aSym", output_spaces=("MNI",))


def test_a_template_that_is_not_there_names_it(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(tmp_path / "templateflow"))
    refused(settings, NoInputError, "MNI152NLin6Asym", template="MNI152NLin6Asym")


def test_a_label_that_would_collide_with_our_own_names_is_refused(settings):
    refused(settings, InvalidInputError, "std", desc="mystd")


def test_cleaning_empties_only_our_own_folder(settings):
    ours, theirs = settings.work_dir / checks.SCRATCH / "x", settings.work_dir / "thesis"
    ours.mkdir(parents=True)
    theirs.mkdir()
    checks.make_folders(dataclasses.replace(settings, clean_workdir=True))
    assert theirs.is_dir()
    assert not ours.exists()


def test_a_home_that_cannot_be_written_is_left_behind(settings, monkeypatch):
    for name in ("TEMPLATEFLOW_HOME", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/nonexistent")
    checks.preflight(settings)
    assert Path(os.environ["TEMPLATEFLOW_HOME"]).is_relative_to(settings.work_dir)


def test_a_malformed_plugin_file_is_found_before_the_run(settings, tmp_path):
    plugin = tmp_path / "plugin.json"
    plugin.write_text('{"plugin_args": {}}')
    refused(settings, InvalidInputError, "plugin file", use_plugin=plugin)
    plugin.write_text('{"plugin": "SLURMGraph"}')
    refused(settings, UsageError, "SLURMGraph", use_plugin=plugin)


@pytest.mark.parametrize("label", ["3", "sub-3", "003", "SUB-003", "03_ses-1"])
@pytest.mark.parametrize("by", ["option", "list", "column"])
def test_a_near_label_to_leave_out_stops_before_the_participants(settings, tmp_path, label, by):
    """The group would refuse it after hours."""
    (settings.bids_dir / "sub-03/ct").mkdir(parents=True)
    fields = {"analysis_levels": ("participant", "group")}
    kind = InvalidInputError
    if by == "option":
        fields["exclude"] = (unit_label(label),)
    elif by == "list":
        (tmp_path / "list.txt").write_text(f"{label}\n")
        fields["exclude"] = (str(tmp_path / "list.txt"),)
    else:
        who, _, session = label.partition("_")
        rows = f"sub-03\tn/a\tno\n{who}\t{session or 'n/a'}\ttumour\n"
        (tmp_path / "people.tsv").write_text(f"participant_id\tsession_id\texclude\n{rows}")
        fields["participants_file"] = tmp_path / "people.tsv"
        kind = BadDataError
    refused(settings, kind, "is not here, and sub-03 is", **fields)
    assert not settings.output_dir.exists()


@pytest.mark.parametrize("label", ["03", "77", "77_ses-1"])
def test_who_is_there_or_nowhere_near_stops_nothing(settings, label):
    (settings.bids_dir / "sub-03/ct").mkdir(parents=True)
    both = dataclasses.replace(settings, analysis_levels=("participant", "group"))
    assert checks.preflight(dataclasses.replace(both, exclude=(unit_label(label),)))


def test_a_column_of_ratings_that_is_not_there_stops_before_the_participants(settings):
    (settings.bids_dir / "participants.tsv").write_text("participant_id\tage\n")
    fields = {"analysis_levels": ("participant", "group"), "fazekas_column": "score"}
    refused(settings, InvalidInputError, "has no column 'score'", **fields)


@pytest.mark.parametrize(
    ("ignored", "given"), [(("ct",), 0), (("flair",), 1), (("ct",), None), (("flair",), None)]
)
def test_a_model_of_images_that_are_left_out_is_refused(settings, models, ignored, given):
    some = tuple(models) if given is None else (models[given],)
    refused(settings, UsageError, f"--ignore {ignored[0]} leaves", models=some, ignore=ignored)
    other = tuple(model for model in models if model not in some)
    if other:
        assert checks.preflight(dataclasses.replace(settings, models=other, ignore=ignored))
