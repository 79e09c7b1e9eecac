"""Who is left out: labels, and files that list them."""

from __future__ import annotations

import pytest

from ctwml_bids.bids.exclusions import excluded
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
