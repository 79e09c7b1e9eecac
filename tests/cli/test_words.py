"""Words of the command line: their spelling, their order, and what is said of wrong ones."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

from ctwml_bids.cli import simulate, slurm_options
from ctwml_bids.cli.options import build_parser
from ctwml_bids.cli.parser import UnknownLevelError, parse
from ctwml_bids.errors import UsageError
from ctwml_bids.settings import OPTIONS

PLAIN = ["bids", "out", "participant"]


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--participant-labels", "01", "02"], "participant_labels", ("01", "02")),
        (["--participant_labels=01"], "participant_labels", ("01",)),
        (["--session_labels", "a"], "session_labels", ("a",)),
        (["--n_procs", "3"], "nprocs", 3),
        (["--n-procs=3"], "nprocs", 3),
        (["--omp_nthreads", "2"], "omp_nthreads", 2),
        (["--mem_gb", "16"], "mem_gb", 16.0),
        (["--mem-gb=2.5"], "mem_gb", 2.5),
        (["--mem-gb", "2000M"], "mem_gb", 2000 / 1024),
        (["--mem_mb", "2048"], "mem_gb", 2.0),
        (["--random_seed", "7"], "random_seed", 7),
        (["--boilerplate_only"], "boilerplate_only", True),
        (["--skip_bids-validation"], "skip_bids_validation", True),
        (["-v", "-v"], "verbose", 2),
        (["--dry_run", "--dry-run"], "dry_run", True),
        (["--nprocs", "2", "--nprocs", "4"], "nprocs", 4),
    ],
)
def test_a_spelling_means_what_it_says(words, name, value):
    assert getattr(parse([*PLAIN, *words]), name) == pytest.approx(value)
    assert getattr(parse([*words, "--notrack", *PLAIN]), name) == pytest.approx(value)


def test_files_have_their_other_names_too():
    for flag in ("--nipype-plugin-file", "--use_plugin", "--nipype_plugin-file"):
        assert parse([*PLAIN, flag, "p.yml"]).use_plugin.name == "p.yml"
    assert parse([*PLAIN, "--bids_filter_file", "my_filter.json"]).bids_filter_file.name == (
        "my_filter.json"
    )


@pytest.mark.parametrize("make", [build_parser, slurm_options.build_parser, simulate.build_parser])
def test_every_long_option_of_every_program_may_have_underscores(make):
    known = make()._option_string_actions
    mixed = [flag for flag in known if flag.startswith("--") and flag.count("-") > 3]
    for flag in (flag for flag in known if flag.startswith("--") and "-" in flag[2:]):
        assert make()._spelled("--" + flag[2:].replace("-", "_")) == flag
    for flag in mixed:
        assert make()._spelled("--" + flag[2:].replace("-", "_", 1)) == flag


def test_a_value_keeps_its_underscores():
    assert parse([*PLAIN, "--work_dir=my_work"]).work_dir.name == "my_work"


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("--participant", "--participant-label"),
        ("--particpant-label", "--participant-label"),
        ("--dryrun", "--dry-run"),
        ("--normalise", "--normalisation"),
        ("--output-space", "--output-spaces"),
        ("--mem-g", "--mem-gb"),
        ("--work", "--work-dir"),
        ("--bids-filter", "--bids-filter-file"),
    ],
)
def test_an_unknown_option_is_told_which_one_may_be_meant(word, meant):
    with pytest.raises(UsageError, match=f"did you mean .*{meant}") as caught:
        parse([*PLAIN, word, "01"])
    assert word in str(caught.value)


@pytest.mark.parametrize(
    "word", ["-work-dir", "-participant_label", "-desc", "-dry-run", "-mem=4G"]
)
def test_a_long_option_with_one_dash_is_not_taken_for_a_short_one(word):
    with pytest.raises(UsageError, match="did you mean --"):
        parse([*PLAIN, word, "x"])


@pytest.mark.parametrize(
    "words",
    [
        ["participant", "bids", "out"],
        ["bids", "participant", "out"],
        ["group", "out"],
        ["bids", "out"],
        ["bids", "participant", "group"],
        ["train", "out", "group"],
        ["bids", "out", "participant", "there"],
    ],
)
def test_words_in_the_wrong_order_are_told_the_right_one(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UsageError, UnknownLevelError)) as caught:
        parse(words)
    assert "The order is bids_dir output_dir analysis_level" in str(caught.value)


def test_a_folder_may_be_called_like_a_level(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse(["bids", "./group", "participant"]).output_dir == tmp_path / "group"
    (tmp_path / "participant").mkdir()
    assert parse(["bids", "participant", "participant"]).output_dir == tmp_path / "participant"


@pytest.mark.parametrize("text", ["16", "0.5", "100", "300M", "409", "0.3G"])
def test_memory_that_no_step_fits_into_is_refused(text):
    with pytest.raises(UsageError, match="no step fits into less than 410 MB") as caught:
        parse([*PLAIN, "--mem", text])
    assert (f"did you mean {text}G?" in str(caught.value)) == text.replace(".", "").isdigit()


@pytest.mark.parametrize("text", ["500", "2G", "410", "0.5G", "1T"])
def test_memory_that_the_smallest_step_fits_into_is_taken(text):
    assert parse([*PLAIN, "--mem", text]).mem_gb > 0.4


@pytest.mark.parametrize("text", ["01,02", "sub-01,02", "01;02", "0 1", ""])
def test_a_list_in_one_word_is_no_label(text):
    with pytest.raises(UsageError, match="is no label") as caught:
        parse([*PLAIN, "--participant-label", text])
    assert ("one after the other: 01 02" in str(caught.value)) == ("," in text)


def test_a_name_that_is_no_text_in_this_system_is_refused_with_what_helps():
    with pytest.raises(UsageError, match="PYTHONUTF8=1"):
        parse(["bids\udcff", "out", "participant"])


def test_flags_are_unique_and_every_option_has_help():
    flags = list(itertools.chain.from_iterable(one.flags for one in OPTIONS.values()))
    assert len(flags) == len(set(flags))
    assert all(one.help for one in OPTIONS.values())


def test_the_package_runs_as_a_module():
    answer = subprocess.run(
        [sys.executable, "-m", "ctwml_bids", "bids", "out", "nonsense"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 17
    assert answer.stderr.startswith("ctwml_bids: error: unknown analysis level nonsense")
