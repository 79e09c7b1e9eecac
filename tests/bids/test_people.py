from __future__ import annotations

import pytest

from ctwml_bids.bids.people import age_of, read_people, sex_of
from ctwml_bids.bids.unit_folders import refused_in, units_in
from ctwml_bids.errors import BadDataError, NoInputError


def write(tmp_path, text):
    path = tmp_path / "participants.tsv"
    path.write_text(text, encoding="utf-8-sig")
    return path


def test_rows_are_found_with_and_without_prefix_and_columns_in_any_case(tmp_path):
    table = read_people(write(tmp_path, "participant_id\tAge\tSEX\n01\t70\tf\nsub-02\tn/a\tmale\n"))
    line, row = table.of("sub-01", None)
    assert (line, age_of(table, line, row), sex_of(table, row)) == (2, 70.0, "F")
    line, row = table.of("sub-02", "ses-a")
    assert (age_of(table, line, row), sex_of(table, row)) == (None, "M")
    assert table.of("sub-03", None) is None


def test_a_session_goes_before_its_participant(tmp_path):
    text = "participant_id\tsession_id\tage\nsub-01\tn/a\t70\nsub-01\tses-b\t72\n"
    table = read_people(write(tmp_path, text))
    assert age_of(table, *table.of("sub-01", "ses-b")) == 72.0
    assert age_of(table, *table.of("sub-01", "ses-a")) == 70.0


def test_capped_ages_count_as_their_number(tmp_path):
    table = read_people(write(tmp_path, "participant_id\tage\nsub-01\t89+\n"))
    assert age_of(table, *table.of("sub-01", None)) == 89.0


def test_an_age_in_words_is_refused_with_file_line_and_subject(tmp_path):
    table = read_people(write(tmp_path, "participant_id\tage\nsub-01\tseventy\n"))
    with pytest.raises(BadDataError, match=r"participants\.tsv, line 2: the age of sub-01"):
        age_of(table, *table.of("sub-01", None))


def test_two_rows_of_one_participant_are_refused_though_one_lacks_the_prefix(tmp_path):
    with pytest.raises(BadDataError, match="sub-01 has two rows, in lines 2 and 3"):
        read_people(write(tmp_path, "participant_id\tage\nsub-01\t70\n01\t71\n"))


@pytest.mark.parametrize(
    ("written", "there"),
    [
        ("sub-3", "sub-03"),
        ("003", "sub-03"),
        ("sub-a1", "sub-A1"),
        ("1.0", "sub-01"),
        ("1", "sub-01"),
    ],
)
def test_a_row_with_a_label_near_that_of_a_subject_without_one_is_refused(tmp_path, written, there):
    """Its age and its rating would be missing without a word."""
    units = {"sub-01", "sub-03", "sub-A1"}
    rows = "".join(f"{unit}\t70\n" for unit in sorted(units - {there}))
    path = write(tmp_path, f"participant_id\tage\n{rows}{written}\t71\n")
    with pytest.raises(BadDataError, match=rf"line 4: .*{there}"):
        read_people(path, units=units)


def test_people_without_images_are_counted_and_not_complained_of(tmp_path):
    rows = "".join(f"sub-{label}\t70\n" for label in ("01", "03", "003", "77", "B1"))
    table = read_people(write(tmp_path, f"participant_id\tage\n{rows}"), units={"sub-01", "sub-03"})
    assert table.told_strangers("elsewhere") == [
        "participants.tsv lists 3 people who are elsewhere"
    ]


@pytest.mark.parametrize("session", ["1", "ses-1", "001", "1.0"])
def test_a_session_that_is_written_in_another_way_is_refused(tmp_path, session):
    path = write(tmp_path, f"participant_id\tsession_id\tage\n01\t{session}\t70\n")
    with pytest.raises(BadDataError, match="line 2: "):
        read_people(path, units={"sub-01_ses-01"})


def test_sessions_in_a_table_of_subjects_without_sessions_are_refused(tmp_path):
    path = write(tmp_path, "participant_id\tsession_id\tage\n01\tbaseline\t70\n")
    with pytest.raises(BadDataError, match="sub-01_ses-baseline is not here, and sub-01 is"):
        read_people(path, units={"sub-01"})


@pytest.mark.parametrize(
    "folder", ["eeg", ".git/annex", ".datalad", "figures", "beh", "ses_old", "code"]
)
@pytest.mark.parametrize("sessions", [("1",), ("1", "2")])
def test_other_folders_beside_sessions_are_no_unit(tmp_path, folder, sessions):
    for session in sessions:
        (tmp_path / f"sub-01/ses-{session}/ct").mkdir(parents=True)
    (tmp_path / "sub-01" / folder).mkdir(parents=True)
    units = units_in(tmp_path)
    assert units == {f"sub-01_ses-{session}" for session in sessions}
    rows = "".join(f"sub-01\t{session}\t6{session}\n" for session in (*sessions, "3", "4"))
    path = write(tmp_path, f"participant_id\tsession_id\tage\n{rows}")
    table = read_people(path, units=units)
    assert age_of(table, *table.of("sub-01", "ses-1")) == 61.0
    assert table.told_strangers("elsewhere") == []


@pytest.mark.parametrize("rows", ["ses-1\t60\n01\tses-3\t63", "1\t60\nsub-01\t3\t63"])
def test_a_visit_that_is_not_here_is_no_other_name_of_images_beside_the_sessions(tmp_path, rows):
    path = write(tmp_path, f"participant_id\tsession_id\tage\nsub-01\t{rows}\n")
    table = read_people(path, units={"sub-01", "sub-01_ses-1"})
    assert table.of("sub-01", None) is None
    assert age_of(table, *table.of("sub-01", "ses-1")) == 60.0


@pytest.mark.parametrize(
    ("ages", "age"),
    [(("60", "63"), None), (("60", "60", "63"), None), (("60", "60"), 60.0), (("60", "n/a"), None)],
)
def test_rows_by_visit_of_a_subject_without_sessions_stop_nothing(tmp_path, ages, age):
    rows = "".join(f"sub-01\tses-{n}\t{text}\n" for n, text in enumerate(ages))
    text = f"participant_id\tsession_id\tage\n{rows}sub-02\tn/a\t50\n"
    table = read_people(write(tmp_path, text), units={"sub-01", "sub-02"})
    found = table.of("sub-01", None)
    assert (found and age_of(table, *found)) == age
    told = table.told_strangers("elsewhere")
    assert len(told) == (age is None)
    assert age is not None or "of sub-01: none of these rows is used" in told[0]


@pytest.mark.parametrize("written", ["1", "001", "sub-1", "1.0"])
def test_rows_by_visit_under_another_label_are_refused(tmp_path, written):
    rows = "".join(f"{written}\tses-{n}\t60\n" for n in "ab")
    path = write(tmp_path, f"participant_id\tsession_id\tage\n{rows}")
    with pytest.raises(BadDataError, match="line 2: "):
        read_people(path, units={"sub-01"})


MISNAMED = ["sub-AB-7", "sub-AB_7", "sub_01", "Sub 01", "sub-ä", "sub-A.7", "SUB_7", "sub-01_ses-1"]


@pytest.mark.parametrize(
    ("name", "where"),
    # The logs of a unit are named as the last.
    [(name, "") for name in MISNAMED] + [(name, "logs") for name in MISNAMED[:-1]],
)
@pytest.mark.parametrize("prefix", [True, False])
def test_a_row_of_a_folder_that_is_refused_is_of_a_stranger(tmp_path, name, where, prefix):
    for folder in ("sub-01/ct", "sub-02/ct"):
        (tmp_path / folder).mkdir(parents=True)
    noted = f"sub-{name}" if where and not name.startswith("sub-") else name
    (tmp_path / where / noted / "ct").mkdir(parents=True)
    text = name if prefix else name.removeprefix("sub-")
    path = write(tmp_path, f"participant_id\tage\nsub-01\t60\n{text}\t63\nsub-02\t70\n")
    table = read_people(path, units=units_in(tmp_path), refused=refused_in(tmp_path))
    assert table.people == {"sub-01", "sub-02"}
    assert table.told_strangers("x") == ["participants.tsv lists 1 person who is x"]
    with pytest.raises(BadDataError, match="line 3: "):
        read_people(path, units=units_in(tmp_path), refused=())


@pytest.mark.parametrize("name", ["ses-2020-01-05", "ses-a_b", "ses_1", "ses-1.5"])
@pytest.mark.parametrize("prefix", [True, False])
def test_a_row_of_a_session_that_is_refused_stops_nothing(tmp_path, name, prefix):
    for folder in ("sub-01/ses-a/ct", f"sub-01/{name}/ct"):
        (tmp_path / folder).mkdir(parents=True)
    text = name if prefix else name.removeprefix("ses-")
    rows = f"sub-01\ta\t60\nsub-01\t{text}\t61\n"
    path = write(tmp_path, f"participant_id\tsession_id\tage\n{rows}")
    table = read_people(path, units=units_in(tmp_path), refused=refused_in(tmp_path))
    assert list(table.rows) == [("sub-01", "ses-a")]


def test_units_are_the_folders_of_a_data_set(tmp_path):
    for folder in ("sub-01/ct", "sub-02/ses-a/ct", "sub-02/ses-b", "sub-03/ses-a", "sub-03/anat"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "sub-04").touch()
    (tmp_path / "sub-05.html").touch()
    found = {"sub-01", "sub-02_ses-a", "sub-02_ses-b", "sub-03", "sub-03_ses-a"}
    assert units_in(tmp_path) == found
    assert units_in(tmp_path / "nowhere") == set()


def test_a_table_without_participant_id_is_refused_with_its_columns(tmp_path):
    with pytest.raises(BadDataError, match="its columns: subject, age"):
        read_people(write(tmp_path, "subject\tage\nsub-01\t70\n"))


@pytest.mark.parametrize("label", ["", "n/a", "sub 01", "sub_01", "sub-01_ses-a", "‑01"])
def test_a_row_of_nobody_is_refused_with_its_line(tmp_path, label):
    text = f"participant_id\tage\nsub-02\t70\n{label}\t71\n"
    with pytest.raises(BadDataError, match="line 3: "):
        read_people(write(tmp_path, text))


def test_a_table_that_is_not_there_is_no_input(tmp_path):
    with pytest.raises(NoInputError, match="there is no such table"):
        read_people(tmp_path / "missing.tsv")


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "participants.tsv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(BadDataError, match="cannot be read as a table"):
        read_people(tmp_path / "participants.tsv")
