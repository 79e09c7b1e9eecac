from __future__ import annotations

import os
from pathlib import Path

import pytest

from ctwml_bids.cli.parser import UnknownLevelError, parse
from ctwml_bids.errors import InvalidInputError, UsageError
from ctwml_bids.settings import to_toml

PLAIN = ["bids", "out", "participant"]


def test_order_and_levels_are_kept():
    settings = parse(["bids", "out", "participant", "group"])
    assert settings.bids_dir == Path.cwd() / "bids"
    assert settings.output_dir == Path.cwd() / "out"
    assert settings.analysis_levels == ("participant", "group")


@pytest.mark.parametrize(
    "argv",
    [
        ["--nprocs", "3", "bids", "out", "participant"],
        ["bids", "--nprocs", "3", "out", "participant"],
        ["bids", "out", "--nprocs", "3", "participant"],
    ],
)
def test_options_may_stand_anywhere(argv):
    settings = parse(argv)
    assert (settings.nprocs, settings.analysis_levels) == (3, ("participant",))


def test_group_is_never_implied():
    assert parse(PLAIN).analysis_levels == ("participant",)


@pytest.mark.parametrize("option", ["--participant-label", "--participant_label"])
def test_labels_lose_their_prefix_and_add_up(option):
    settings = parse([*PLAIN, option, "sub-01", "02", option, "sub-01", "ab"])
    assert settings.participant_labels == ("01", "02", "ab")


@pytest.mark.parametrize("text", ["03", "sub-03", "SUB-03", "Sub-03", " 03 "])
def test_labels_are_read_as_in_lists(text):
    assert parse([*PLAIN, "--participant-label", text]).participant_labels == ("03",)
    assert parse([*PLAIN, "--rerun", text]).rerun == ("sub-03",)
    group = ["bids", "out", "group"]
    assert parse([*group, "--exclude", text]).exclude == ("sub-03",)
    assert parse([*group, "--exclude", f"{text.strip()}_SES-a"]).exclude == ("sub-03_ses-a",)
    ses = text.lower().replace("sub", "SES")
    assert parse([*PLAIN, "--session-label", ses]).session_labels == ("03",)


@pytest.mark.parametrize(
    "option", ["--session-label", "--session_label", "--session-id", "--session_id"]
)
def test_sessions_have_their_aliases(option):
    assert parse([*PLAIN, option, "ses-1", "2"]).session_labels == ("1", "2")


@pytest.mark.parametrize("option", ["--nprocs", "--n-cpus", "--n_cpus", "--nthreads"])
def test_cpus_have_their_aliases(option):
    assert parse([*PLAIN, option, "3"]).nprocs == 3


@pytest.mark.parametrize(
    ("text", "gib"),
    [("8192", 8.0), ("4G", 4.0), ("1.5G", 1.5), ("512M", 0.5), ("4GB", 4.0), ("4gib", 4.0)],
)
def test_memory_is_megabytes_unless_it_has_a_unit(text, gib):
    assert parse([*PLAIN, "--mem", text]).mem_gb == pytest.approx(gib)


def test_defaults_use_what_this_process_may_use():
    settings = parse(PLAIN)
    assert 1 <= settings.nprocs <= len(os.sched_getaffinity(0))
    assert settings.mem_gb > 0
    assert settings.work_dir.is_absolute()
    assert settings.work_dir != Path.cwd()
    assert not settings.work_dir.exists()


def test_each_output_folder_has_its_own_work_folder():
    assert parse(PLAIN).work_dir != parse(["bids", "out2", "participant"]).work_dir
    assert parse(PLAIN).work_dir == parse(["other", "out", "participant"]).work_dir


def test_everything_else_arrives():
    settings = parse(
        [
            *PLAIN,
            *("--normalisation", "syn", "--template", "MNI152NLin6Asym", "--device", "cpu"),
            *("--model", "m1", "m2", "--desc", "other2", "--output-spaces", "CT", "FLAIR"),
            *("-d", "fmriprep=deriv", "--keep-work", "never", "--clean-workdir", "-vv"),
            *("--random-seed", "7", "--omp-nthreads", "2", "-w", "scratch", "--notrack"),
            *("--bids-filter-file", "f.json", "--skip-bids-validation", "--dry-run"),
            *("--reports-only", "--boilerplate-only", "--stop-on-first-crash"),
            *("--use-plugin", "p.json"),
        ]
    )
    here = Path.cwd()
    assert (settings.normalisation, settings.template) == ("syn", "MNI152NLin6Asym")
    assert settings.models == (here / "m1", here / "m2")
    assert settings.derivatives == {"fmriprep": here / "deriv"}
    assert (settings.keep_work, settings.verbose, settings.random_seed) == ("never", 2, 7)
    assert settings.work_dir == here / "scratch"
    assert settings.bids_filter_file == here / "f.json"
    assert settings.use_plugin == here / "p.json"
    assert all(
        (
            settings.clean_workdir,
            settings.skip_bids_validation,
            settings.dry_run,
            settings.reports_only,
            settings.boilerplate_only,
            settings.stop_on_first_crash,
        )
    )


def test_threads_of_registration_stay_one_unless_asked_for():
    settings = parse([*PLAIN, "--nprocs", "4"])
    assert (settings.registration_threads, settings.inference_threads) == (1, 4)
    settings = parse([*PLAIN, "--nprocs", "4", "--omp-nthreads", "2"])
    assert (settings.registration_threads, settings.inference_threads) == (2, 2)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--mem", "lots"], "lots"),
        (["--mem", "0"], "amount of memory"),
        (["--nprocs", "0"], "above 0"),
        (["--device", "gpu"], "gpu"),
        (["--participant-label", "a/b"], "a/b"),
        (["--desc", "a-b"], "a-b"),
        (["-d", "nothing"], "PACKAGE=PATH"),
        (["--no-such-option"], "no-such-option"),
        (["--participant"], "--participant"),
    ],
)
def test_wrong_usage_says_what_is_wrong(more, said):
    with pytest.raises(UsageError, match=said) as caught:
        parse([*PLAIN, *more])
    assert caught.value.exit_code == 64


def test_a_missing_word_gets_the_hint_that_options_swallow():
    with pytest.raises(UsageError, match="before all options"):
        parse(["--participant-label", "01", "bids", "out", "participant"])


def test_an_unknown_level_names_the_known_ones():
    with pytest.raises(UnknownLevelError, match="Known: participant, train, group") as caught:
        parse(["bids", "out", "particpant"])
    assert caught.value.exit_code == 17


def test_parts_of_a_training_are_read():
    argv = ["bids", "out", "train", "--only", "heads", "1:1", "10:10", "final:3", "merge"]
    assert parse(argv).only == ("heads", "1:1", "10:10", "final:3", "merge")


@pytest.mark.parametrize(
    "option",
    [
        ("--only", "0:1"),
        ("--only", "1"),
        ("--only", "final"),
        ("--only", "everything"),
        ("--folds", "0"),
        ("--threshold", "25"),
        ("--learning-rate", "0"),
        ("--labels", "ct"),
        ("--init", "mine"),
        ("--loss", "dice"),
        ("--network", "nnunet"),
        ("--context", "-1"),
    ],
)
def test_options_of_a_training_that_make_no_sense_are_refused(option):
    with pytest.raises(UsageError):
        parse(["bids", "out", "train", *option])


def test_the_command_line_wins_over_the_configuration_file(tmp_path):
    path = tmp_path / "run.toml"
    earlier = parse([*PLAIN, "--random-seed", "3", "--participant-label", "01", "--template", "A"])
    path.write_text(to_toml(earlier))
    again = parse(["--config-file", str(path), "--template", "B", "--participant-label", "02"])
    assert (again.bids_dir, again.output_dir) == (earlier.bids_dir, earlier.output_dir)
    assert again.analysis_levels == ("participant",)
    assert (again.random_seed, again.template) == (3, "B")
    assert again.participant_labels == ("02",)
    moved = parse(["other", "place", "group", "--config-file", str(path)])
    assert moved.bids_dir == Path.cwd() / "other"
    assert moved.analysis_levels == ("group",)


def test_another_machines_settings_are_not_replayed_unless_given_again(tmp_path):
    path = tmp_path / "run.toml"
    machine = ["--nprocs", "77", "--mem", "900G", "--omp-nthreads", "5", "--device", "cuda"]
    earlier = parse([*PLAIN, *machine, "-w", "/elsewhere", "--use-plugin", "slurm.json"])
    path.write_text(to_toml(earlier))
    again, here = parse(["--config-file", str(path)]), parse(PLAIN)
    assert again == here
    again = parse(["--config-file", str(path), *machine])
    assert (again.nprocs, again.mem_gb, again.omp_nthreads, again.device) == (77, 900, 5, "cuda")


def test_a_level_in_the_configuration_file_is_checked_too(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('analysis_levels = ["subject"]')
    with pytest.raises(UnknownLevelError):
        parse(["bids", "out", "--config-file", str(path)])


def test_choices_in_the_configuration_file_are_checked_too(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('device = "gpu"')
    with pytest.raises(InvalidInputError, match="device"):
        parse([*PLAIN, "--config-file", str(path)])


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_print_and_leave(option, capsys):
    with pytest.raises(SystemExit) as caught:
        parse([option])
    assert caught.value.code == 0
    assert "ctwml_bids" in capsys.readouterr().out


def test_parsing_has_no_side_effects(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    parse([*PLAIN, "-w", "work"])
    assert not list(tmp_path.iterdir())
    assert dict(os.environ) == before
    assert capsys.readouterr() == ("", "")
