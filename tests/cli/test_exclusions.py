"""Who is left out: labels, and files that list them."""

from __future__ import annotations

import argparse

import pytest

from ctwml_bids.bids.exclusions import excluded
from ctwml_bids.cli import main as app
from ctwml_bids.cli.values import label_or_file
from ctwml_bids.errors import InvalidInputError, NoInputError


def test_labels_and_files_are_read_together_with_their_reasons(tmp_path):
    listed = tmp_path / "tumours.tsv"
    listed.write_text("participant_id\treason\nsub-04\ttumour\n05\n# a remark\n06_ses-a,MS\n")
    found = excluded([label_or_file("01"), label_or_file(str(listed))])
    assert found.reasons == {
        "sub-01": "excluded by --exclude",
        "sub-04": "excluded by tumours.tsv: tumour",
        "sub-05": "excluded by tumours.tsv",
        "sub-06_ses-a": "excluded by tumours.tsv: MS",
    }


def test_labels_of_a_configuration_file_are_read_as_those_of_a_list():
    assert list(excluded(["03", "SUB-04_ses-a"]).reasons) == ["sub-03", "sub-04_ses-a"]
    with pytest.raises(InvalidInputError, match=r"--exclude: '3\.0'"):
        excluded(["3.0"])


def test_a_file_that_is_not_there_and_a_line_without_a_label_are_told(tmp_path):
    with pytest.raises(NoInputError, match=r"nowhere\.txt"):
        excluded([label_or_file("nowhere.txt")])
    wrong = tmp_path / "list.txt"
    wrong.write_text("subject four\n")
    with pytest.raises(InvalidInputError, match="subject four"):
        excluded([label_or_file(str(wrong))])


NAMES = ["excluded", "sub-list", "03", "sub-03", "leaveout_ses-a", "Tumours2020"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["file", "link", "dead link"])
def test_a_label_that_is_the_name_of_a_file_is_refused(tmp_path, monkeypatch, name, kind):
    monkeypatch.chdir(tmp_path)
    listed = tmp_path / (name if kind == "file" else "other.txt")
    if kind != "dead link":
        listed.write_text("sub-04\ttumour\n")
    if kind != "file":
        (tmp_path / name).symlink_to("other.txt")
    with pytest.raises(argparse.ArgumentTypeError, match=rf"write \./{name} for the list"):
        label_or_file(name)
    # As a configuration file has it.
    with pytest.raises(InvalidInputError, match=rf"--exclude: .*write \./{name} for the list"):
        excluded([name])
    if kind != "dead link":
        assert list(excluded([label_or_file(f"./{name}")]).reasons) == ["sub-04"]


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_a_subjects_name_is_no_list(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    label = label_or_file(name)
    assert list(excluded([label]).reasons) == [label]


@pytest.mark.parametrize("level", ["group", "train"])
@pytest.mark.parametrize("by", ["option", "config"])
def test_a_file_that_is_read_as_a_label_stops_the_run(tmp_path, monkeypatch, capsys, level, by):
    monkeypatch.chdir(tmp_path)
    for folder in ("bids", "out"):
        (tmp_path / folder).mkdir()
    (tmp_path / "excluded").write_text("sub-04\n")
    (tmp_path / "run.toml").write_text('exclude = ["excluded"]\n')
    options = {"option": ["--exclude", "excluded"], "config": ["--config-file", "run.toml"]}[by]
    assert app.main(["bids", "out", level, *options]) == {"option": 64, "config": 16}[by]
    assert "write ./excluded for the list" in capsys.readouterr().err
