"""Who is to be left out is left out of training, or the run stops; ratings are read as in group."""

from __future__ import annotations

import json
import re

import pytest

from tests.training import trainable
from tests.training.training import train

PEOPLE = ["sub-01", "sub-02", "sub-03", "sub-04", "sub-05"]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Nothing is trained in it: dry runs write nothing."""
    root = tmp_path_factory.mktemp("tables")
    trainable.make(root)
    return root


@pytest.fixture
def dry(small, capsys):
    """Write participants.tsv and run dry; returns the exit code and what was said."""

    def run(table, *options):
        path = small / "bids/participants.tsv"
        path.write_bytes(table if isinstance(table, bytes) else table.encode())
        code = train(small, *options, "--dry-run")
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out + said.err

    run.root = small
    return run


def table_of(column, cells, head="participant_id", labels=PEOPLE):
    rows = [f"{head}\t{column}"]
    rows += [f"{who}\t{cell}" for who, cell in zip(labels, cells, strict=True)]
    return "\n".join(rows) + "\n"


OUT = ["no", "n/a", "tumour", "0", ""]
LEFT_OUT = table_of("exclude", OUT)


@pytest.mark.parametrize(
    "content",
    [
        LEFT_OUT,
        LEFT_OUT.encode("utf-8-sig"),
        LEFT_OUT.replace("\n", "\r\n"),
        LEFT_OUT.replace("sub-03", "sub-03 "),
        LEFT_OUT.replace("sub-03", "03"),
        LEFT_OUT.replace("exclude", " Exclude"),
        LEFT_OUT.replace("participant_id", "Participant_ID").replace("exclude", "EXCLUDE"),
        LEFT_OUT.replace("tumour", '"tumour"').replace("sub-03", '"sub-03"'),
        LEFT_OUT.replace("sub-01\tno", 'sub-01\tno\nsub-99\t"tall'),
    ],
)
def test_a_row_that_is_written_in_another_way_leaves_its_person_out(dry, content):
    code, said = dry(content)
    assert code == 0
    assert "sub-03: left out: excluded in participants.tsv: tumour" in said
    assert "4 subjects (5 images" in said


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (LEFT_OUT.replace("tumour", "tumör").encode("latin-1"), "line 4: .*not in UTF-8"),
        (LEFT_OUT.encode("utf-16"), "UTF-16"),
        (LEFT_OUT.replace("\t", ","), "has commas between its columns"),
        (LEFT_OUT.replace("sub-03", "sub-3"), "line 4: sub-3 is not here, and sub-03 is"),
        (LEFT_OUT.replace("sub-03", "3.0"), "line 4: .*'3.0' is no label.*sub-03"),
        (LEFT_OUT.replace("exclude", "excluded"), "has a column excluded"),
        (LEFT_OUT.replace("exclude", "exclude?"), "has a column exclude"),
        (LEFT_OUT.replace("tumour", "nein"), "line 4: .*'nein' says neither"),
        ("/annex/objects/MD5E-s12--0123.tsv\n", "not fetched.*datalad get"),
        (LEFT_OUT.replace("sub-03\ttumour", "sub-03"), "line 4: has 1 cell"),
        (LEFT_OUT + "03\tno\n", "sub-03 has two rows, in lines 4 and 7"),
        (LEFT_OUT.replace("tumour", "nan"), "line 4: the exclude of sub-03: 'nan' says neither"),
    ],
)
def test_a_table_that_cannot_be_understood_stops_the_training(dry, content, found):
    code, said = dry(content)
    assert code == 65
    assert "participants.tsv" in said
    assert re.search(found, said)


def test_who_is_to_be_left_out_and_has_no_images_is_listed_and_others_are_counted(dry):
    listed = dry.root / "list.csv"
    listed.write_text("sub-77;moved\n02;MS, diffuse\n")
    table = LEFT_OUT + "sub-88\ttumour\nsub-89\tno\n"
    code, said = dry(table, "--exclude", listed)
    assert code == 0
    assert "2 left out" in said
    assert "sub-77: to be left out (excluded by list.csv: moved), not in the data set" in said
    assert "sub-88: to be left out (excluded in participants.tsv: tumour), not in" in said
    assert "sub-02: left out: excluded by list.csv: MS, diffuse" in said
    assert "participants.tsv lists 2 people who are not in the data set" in said


@pytest.mark.parametrize("written", ["sub-3", "003", "3", "sub-3\ttumour", "5_ses-b", "05_ses-B"])
def test_a_near_label_in_a_list_stops_the_training(dry, written):
    listed = dry.root / "list.txt"
    listed.write_text(f"{written}\n")
    code, said = dry(LEFT_OUT, "--exclude", listed)
    assert code == 16
    assert "list.txt, line 1: sub-" in said


@pytest.mark.parametrize(
    "line", ["sub-03,sub-04", "03,04", "sub-05,ses-a,motion", "05;b", "sub-03,no", "sub-03\tkeep"]
)
def test_a_line_of_a_list_with_two_meanings_stops_the_training(dry, line):
    listed = dry.root / "list.txt"
    listed.write_text(f"# remark\n{line}\n")
    code, said = dry(LEFT_OUT, "--exclude", listed)
    assert code == 16
    assert "list.txt, line 2: " in said


def test_a_label_that_is_typed_and_near_one_that_is_there_is_refused(dry):
    code, said = dry(LEFT_OUT, "--exclude", "1")
    assert code == 16
    assert "sub-1 is to be left out and is not here, and sub-01 is" in said


def test_a_session_is_left_out_alone(dry):
    code, said = dry("participant_id\tsession_id\texclude\n05\ta\tMS\n", "--exclude", "01")
    assert code == 0
    assert "sub-05_ses-a: left out: excluded in participants.tsv: MS" in said
    assert "4 subjects (4 images" in said


@pytest.mark.parametrize(
    ("column", "options"),
    [
        ("fazekas", ()),
        ("Fazekas", ()),
        ("fazekas_score", ()),
        ("Visual", ("--fazekas-column", "visual")),
        ("WMH grade ", ("--fazekas-column", "WMH grade")),
    ],
)
def test_the_column_of_ratings_counts_as_in_group(dry, column, options):
    code, said = dry(table_of(column, ["1", "3", "0-1", "3.0", " 2"]), *options)
    assert code == 0
    assert "stratified by Fazekas group" in said


def test_ratings_of_other_tables_count_and_what_is_not_rated_is_said(dry):
    phenotype = dry.root / "phenotype.tsv"
    phenotype.write_text(table_of("fazekas", ["1", "3", "0", "3", "2"]))
    assert "by Fazekas group" in dry(LEFT_OUT, "--fazekas-file", phenotype)[1]
    phenotype.write_text(table_of("fazekas", ["1", "3", "0", "3", "N/A"]))
    code, said = dry(LEFT_OUT, "--participants-file", phenotype)
    assert code == 0
    # The data set's own column exclude counts where the other table has none.
    assert "sub-03: left out" in said
    assert "2 of 5 images have no Fazekas grade (column fazekas: sub-05_ses-a, " in said
    assert "stratified by lesion volume" in said


@pytest.mark.parametrize(
    ("cell", "options", "code", "found"),
    [
        ("severe", (), 65, "line 3: the fazekas of sub-02: 'severe' is no Fazekas grade"),
        ("2,0", (), 65, "'2,0' is no Fazekas grade"),
        ('"2', (), 65, "line 3"),
        ("2", ("--fazekas-column", "wmh"), 16, "no column 'wmh'"),
        ("2", ("--fazekas-file", "/no/such.tsv"), 66, "/no/such.tsv"),
    ],
)
def test_ratings_that_cannot_be_understood_stop_the_training(dry, cell, options, code, found):
    ended, said = dry(table_of("fazekas", ["1", cell, "0", "3", "2"]), *options)
    assert ended == code
    assert found in said


def test_a_person_who_is_left_out_is_not_in_the_plan(tmp_path):
    trainable.make(tmp_path)
    (tmp_path / "bids/participants.tsv").write_text(LEFT_OUT.replace("sub-03", "03 "))
    assert train(tmp_path, "--only", "heads") == 0
    plan = json.loads((tmp_path / "out/train/ct/plan.json").read_text())
    assert "sub-03" not in plan["cases"]
    assert plan["left_out"] == {"sub-03": "excluded in participants.tsv: tumour"}


RATED = "participant_id\tfazekas\t{}\nsub-01\t1\tno\nsub-02\t2\tn/a\n{}\nsub-04\t3\t0\n"


@pytest.mark.parametrize(
    ("column", "row"),
    [
        ("exclude", "sub-03\t3\ttumour"),
        ("Exclude ", "03\t3\ttumour"),
        ("EXCLUDE", 'SUB-03\tn/a\t"tumour"'),
    ],
)
@pytest.mark.parametrize("own", [table_of("exclude", ["no"] * 5), table_of("age", "12345")])
def test_the_column_exclude_of_the_ratings_counts(dry, tmp_path, column, row, own):
    rated = tmp_path / "fazekas.tsv"
    rated.write_text(RATED.format(column, row))
    code, said = dry(own, "--fazekas-file", rated)
    assert code == 0
    assert "1 left out" in said
    assert "sub-03: left out: excluded in fazekas.tsv: tumour" in said


@pytest.mark.parametrize("column", ["excluded", "include", "exclude?"])
def test_a_column_of_the_ratings_like_exclude_is_refused(dry, tmp_path, column):
    rated = tmp_path / "fazekas.tsv"
    rated.write_text(RATED.format(column, "sub-03\t3\ttumour"))
    code, said = dry(table_of("age", "12345"), "--fazekas-file", rated)
    assert code == 65
    assert f"fazekas.tsv: has a column {column}" in said


def test_columns_of_all_tables_count_together(dry, tmp_path):
    rated, people = tmp_path / "fazekas.tsv", tmp_path / "people.tsv"
    rated.write_text(RATED.format("exclude", "sub-03\t3\ttumour"))
    people.write_text(table_of("exclude", ["moved", "no", "no", "no", "no"]))
    code, said = dry(
        table_of("exclude", ["no", "yes", "", "", ""]),
        *("--fazekas-file", rated, "--participants-file", people),
    )
    assert code == 0
    assert "sub-01: left out: excluded in people.tsv: moved" in said
    assert "sub-03: left out: excluded in fazekas.tsv: tumour" in said
    assert "2 left out" in said
