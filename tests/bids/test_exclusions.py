"""Who is left out, by the column of a table and by lists."""

from __future__ import annotations

import pytest

from ctwml_bids.bids.exclusions import Exclusions, left_out, read_list, strangers
from ctwml_bids.bids.people import read_people
from ctwml_bids.errors import BadDataError, InvalidInputError

UNITS = ("sub-01", "sub-03", "sub-A1", "sub-05_ses-a", "sub-05_ses-b")


def from_column(tmp_path, text):
    path = tmp_path / "participants.tsv"
    path.write_text(text)
    return left_out(read_people(path, units=UNITS), UNITS)


def listed(tmp_path, content):
    path = tmp_path / "list.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_list(path)


@pytest.mark.parametrize("session", ["ses-3", "3", "ses-a2"])
def test_a_visit_that_is_not_here_is_no_other_name_of_a_subject_with_sessions(tmp_path, session):
    path = tmp_path / "participants.tsv"
    path.write_text(f"participant_id\tsession_id\texclude\nsub-05\t{session}\tmoved\n")
    units = {*UNITS, "sub-05"}
    found = left_out(read_people(path, units=units), units)
    (label,) = found.reasons
    assert list(strangers(found, units)) == [label]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("sub-03\ttumour", ": tumour"),
        ("sub-03 \tyes", ""),
        ("03\tTRUE", ""),
        ("SUB-03\t1", ""),
        ('"sub-03"\t"tumour, left"', ": tumour, left"),
        ('sub-03\t"tumour', ': "tumour'),
        ("sub-03\tmaybe", ": maybe"),
    ],
)
def test_a_person_is_left_out_however_the_row_is_written(tmp_path, row, why):
    found = from_column(tmp_path, f"Participant_ID\tEXCLUDE \n{row}\nsub-01\tn/a\n")
    assert found.reasons == {"sub-03": f"excluded in participants.tsv{why}"}
    assert found.places["sub-03"].endswith("participants.tsv, line 2")


@pytest.mark.parametrize(
    "cell", ["no", "No", "n", "FALSE", "F", "0", "0.0", "n/a", "N/A", "", '""']
)
def test_words_that_keep_a_person_in(tmp_path, cell):
    text = f"participant_id\texclude\tage\nsub-03\t{cell}\t70\n"
    assert from_column(tmp_path, text).reasons == {}


@pytest.mark.parametrize("cell", ["nan", "NA", "None", "?", "-"])
def test_words_that_say_neither_are_refused_with_their_line(tmp_path, cell):
    with pytest.raises(BadDataError, match=r"line 2: the exclude of sub-03: .*says neither"):
        from_column(tmp_path, f"participant_id\texclude\nsub-03\t{cell}\n")


@pytest.mark.parametrize(
    ("written", "there"),
    [
        ("sub-3", "sub-03"),
        ("003", "sub-03"),
        ("sub-a1", "sub-A1"),
        ("1", "sub-01"),
        ("sub-a01", "sub-A1"),
        ("1.0", "sub-01"),
        ("sub_03", "sub-03"),
    ],
)
@pytest.mark.parametrize("own_row", [True, False])
def test_who_is_left_out_under_a_near_label_stops_with_both(tmp_path, written, there, own_row):
    own = f"{there}\tno\n" if own_row else ""
    with pytest.raises(BadDataError, match=rf"line {2 + own_row}: .*{there}"):
        from_column(tmp_path, f"participant_id\texclude\n{own}{written}\ttumour\n")


def test_who_is_left_out_and_is_nobody_here_is_kept_with_the_place(tmp_path):
    found = from_column(tmp_path, "participant_id\texclude\nsub-77\ttumour\n")
    assert strangers(found, UNITS) == {"sub-77": "excluded in participants.tsv: tumour"}


@pytest.mark.parametrize("name", ["excluded", "Excluded", "exclusion", "EXCL", "exclude?d"])
def test_a_column_that_may_have_been_meant_is_refused(tmp_path, name):
    with pytest.raises(BadDataError, match=rf"has a column {name[:4]}.*Rename it"):
        from_column(tmp_path, f"participant_id\t{name}\nsub-03\tyes\n")


def test_a_row_with_a_session_leaves_out_that_session(tmp_path):
    text = "participant_id\tsession_id\texclude\n05\ta\tMS\n05\tses-b\tno\n"
    assert from_column(tmp_path, text).reasons == {
        "sub-05_ses-a": "excluded in participants.tsv: MS"
    }
    with pytest.raises(BadDataError, match="line 2: sub-05_ses-A is not here, and sub-05_ses-a is"):
        from_column(tmp_path, "participant_id\tsession_id\texclude\n05\tA\tMS\n05\tb\tno\n")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("sub-03\ttumour\n", "tumour"),
        ("03\n", ""),
        ("\ufeffsub-03;tumour, large\r\n", "tumour, large"),
        ('"sub-03","tumour, large"\n', "tumour, large"),
        ("# remark\n\n SUB-03 , tumour\n", "tumour"),
        ("Participant_ID,why\r03,tumour\r", "tumour"),
        ("reason;participant_id\ntumour;03\n", "tumour"),
        ("participant_id\texclude\n03\ttumour\n01\tno\n", "tumour"),
        ("participant_id\tage\treason\n03\t70\ttumour\n", "tumour"),
    ],
)
def test_lists_are_read_in_many_dresses(tmp_path, content, reason):
    said = f"excluded by list.txt{': ' if reason else ''}{reason}"
    assert listed(tmp_path, content).reasons == {"sub-03": said}


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        ("sub-03\tJä\n".encode("latin-1"), BadDataError, "line 1: .*Latin-1"),
        ("sub-03\n".encode("utf-16"), BadDataError, "UTF-16"),
        (b"PK\x03\x04", BadDataError, "spreadsheet"),
        ("01\nsubject four\n", InvalidInputError, "line 2: 'subject four' is no subject"),
        ("sub-01.5\n", InvalidInputError, "line 1: 'sub-01.5' is no subject"),
        (", tumour\n", InvalidInputError, "line 1: '' is no subject"),
        ("participant_id,exclude\n01,nan\n", InvalidInputError, "line 2: 'nan' says neither"),
    ],
)
def test_lists_that_cannot_be_read_are_refused(tmp_path, content, error, said):
    with pytest.raises(error, match=said):
        listed(tmp_path, content)


@pytest.mark.parametrize("written", ["sub-3", "3", "003", "sub-a1", "05_ses-A", "01_ses-a"])
def test_a_near_label_in_a_list_or_typed_stops_with_both(tmp_path, written):
    with pytest.raises(InvalidInputError, match=r"list\.txt, line 2: .*to be left out.* is: write"):
        strangers(listed(tmp_path, f"sub-03\n{written}\n"), UNITS)
    with pytest.raises(InvalidInputError, match=r"--exclude: sub-3 .*and sub-03 is"):
        strangers(Exclusions({"sub-3": "excluded by --exclude"}), UNITS)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "exclude?",
            "exclude_",
            "exclude_reason",
            "Exclude (y/n)",
            "e\u0301xclude",
            "exclude\u0301",
        ),
        *("QC_exclude", "exlcude", "exlude", "excl.", "include", "Included?", "inclusion"),
    ],
)
def test_a_column_near_exclude_is_refused_in_tables_and_lists(tmp_path, name):
    text = f"participant_id\t{name}\nsub-03\tyes\n"
    with pytest.raises(BadDataError, match="none of the name exclude"):
        from_column(tmp_path, text)
    with pytest.raises(InvalidInputError, match=r"list\.txt, line 1: .*none of the name exclude"):
        listed(tmp_path, text)


@pytest.mark.parametrize("name", ["exclude_reason", "include", "excluded_by"])
def test_beside_exclude_other_columns_are_free(tmp_path, name):
    text = f"participant_id\texclude\t{name}\nsub-03\tyes\tx\n"
    assert list(from_column(tmp_path, text).reasons) == ["sub-03"]


@pytest.mark.parametrize("name", ["age", "execute", "inclusion_date", "sex", "fazekas", "reason"])
def test_other_columns_leave_nobody_out(tmp_path, name):
    assert from_column(tmp_path, f"participant_id\t{name}\nsub-03\tyes\n").reasons == {}


@pytest.mark.parametrize(
    "cell",
    [
        *("nein", "off", "00", "0,0", "keep", "include", "Included", "in", "no.", "n / a", "n.a."),
        *("stay", "non", "false!", "--", "+", "\u2713", "do not exclude", "OK"),
    ],
)
def test_other_words_for_no_are_refused_in_the_column_and_after_a_label(tmp_path, cell):
    with pytest.raises(BadDataError, match=r"line 2: the exclude of sub-03: .*says neither"):
        from_column(tmp_path, f"participant_id\texclude\nsub-03\t{cell}\n")
    with pytest.raises(InvalidInputError, match=r"list\.txt, line 1: "):
        listed(tmp_path, f"sub-03\t{cell}\n")


@pytest.mark.parametrize("cell", ["no", "N", "false", "0", "F"])
def test_a_list_that_names_somebody_to_stay_in_is_unclear(tmp_path, cell):
    with pytest.raises(InvalidInputError, match=r"line 1: .*may mean that it stays in"):
        listed(tmp_path, f"sub-03,{cell}\n")
    with pytest.raises(InvalidInputError, match=r"line 2: .*may mean that it stays in"):
        listed(tmp_path, f"participant_id;reason\n03;{cell}\n")


@pytest.mark.parametrize(
    "line",
    [
        *("sub-03,sub-04", "sub-03\tsub-04, sub-05", "sub-03;motion;sub-04", "03,SUB-4"),
        *("sub-05,ses-a,motion", "sub-05\tses-a", "05;Session 2", "sub-03,and sub-04"),
        *("sub-03,sub_04", "sub-03\tsub-04 sub-05", "sub-03,subject 4"),
    ],
)
def test_a_second_label_on_a_line_is_refused(tmp_path, line):
    with pytest.raises(InvalidInputError, match=r"list\.txt, line 2: .*one label on a line"):
        listed(tmp_path, f"# remark\n{line}\n")


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("sub-03,01", "sub-01"),
        ("03;1", "sub-01"),
        ("sub-03\tA1", "sub-A1"),
        ("sub-03,motion,a1", "sub-A1"),
        ("sub-05,a", "sub-05_ses-a"),
        ("05\tB\tmotion", "sub-05_ses-b"),
        ("participant_id\n03,01", "sub-01"),
        ("participant_id,reason\n03,motion,01", "sub-01"),
        ("sub-03,05_ses-a", "sub-05_ses-a"),
    ],
)
def test_a_reason_that_is_a_label_of_the_data_set_is_refused(tmp_path, line, other):
    found = listed(tmp_path, f"{line}\n")
    with pytest.raises(InvalidInputError, match=rf"list\.txt, line \d: .*{other}.* one label"):
        strangers(Exclusions() | found, UNITS)


@pytest.mark.parametrize(
    "line",
    [
        *("sub-03,sub-acute stroke", "sub-03;duplicate of sub-01", "sub-03,motion, left"),
        *("participant_id,reason\n03,01", "sub-03,subdural haematoma", "sub-05_ses-a,session lost"),
        *("sub-03,n/a", "sub-03,,"),
    ],
)
def test_reasons_that_are_no_labels_are_kept(tmp_path, line):
    found = listed(tmp_path, f"{line}\n")
    assert strangers(found, UNITS) == {}
    assert len(found.reasons) == 1


@pytest.mark.parametrize(
    "head", ["subject,reason", "ID", "participant;why", "Subject_ID", "participant id", "reason;id"]
)
def test_a_first_line_of_other_names_of_columns_is_nobody(tmp_path, head):
    with pytest.raises(InvalidInputError, match=r"line 1: .*write participant_id"):
        listed(tmp_path, f"{head}\nsub-03\n")
    assert list(listed(tmp_path, "sub-id\n").reasons) == ["sub-id"]


@pytest.mark.parametrize("name", ["session", "ses", "Session ID", "sessions", "session-id"])
def test_a_list_whose_sessions_would_not_count_is_refused(tmp_path, name):
    with pytest.raises(InvalidInputError, match="Rename it session_id"):
        listed(tmp_path, f"participant_id,{name},reason\n05,a,motion\n")


def test_a_session_of_who_has_none_is_told(tmp_path):
    with pytest.raises(InvalidInputError, match=r"sub-01 is: write sub-01 alone.* has no sessions"):
        strangers(listed(tmp_path, "participant_id,session_id\n01,1\n"), UNITS)
    with pytest.raises(BadDataError, match=r"sub-01 is: write sub-01 alone.* has no sessions"):
        from_column(tmp_path, "participant_id\tsession_id\texclude\n01\t1\tyes\n")
