"""The copy of participants.tsv in the output folder."""

from __future__ import annotations

import pytest

from ctwml_bids.bids.participants import refresh_participants, what_to_know
from ctwml_bids.errors import BadDataError

OLD = "participant_id\tfazekas\nsub-01\t1\nsub-02\t2\n"


@pytest.fixture
def output(raw, tmp_path):
    """Results of two subjects, and a copy of a table that is corrected then."""
    out = tmp_path / "out"
    for name in ("sub-01", "sub-02"):
        (raw.root / name / "ct").mkdir(parents=True)
        (out / name / "anat").mkdir(parents=True)
    raw.text("participants.tsv", OLD)
    refresh_participants(out, raw.root)
    assert (out / "participants.tsv").read_text() == OLD
    return out


@pytest.mark.parametrize(
    "content",
    [
        b"participant_id\tfazekas\nsub-01\t3\nsub-02\t2\n",
        b"participant_id\tfazekas\r\n01\t3\r\n02\t2\r\n",
        b"\xef\xbb\xbfParticipant_ID\tfazekas\nsub-01 \t 3\n sub-02\t2\n",
        b'"participant_id"\t"fazekas"\n"sub-01"\t"3"\n"sub-02"\t"2"\n',
        b"participant_id\tfazekas\nSUB-01\t3\nsub-77\t1\nsub-02\t2\n",
        b"participant_id\tfazekas\t\nsub-01\t3\t\nsub-02\t2\t\n\n",
    ],
)
def test_a_correction_takes_the_place_of_the_old_copy(raw, output, content):
    (raw.root / "participants.tsv").write_bytes(content)
    refresh_participants(output, raw.root)
    said = (output / "participants.tsv").read_text()
    assert said == "participant_id\tfazekas\nsub-01\t3\nsub-02\t2\n"


@pytest.mark.parametrize(
    "content",
    [
        "participant_id\tfazekas\tsite\nsub-01\t3\tMünster\n".encode("latin-1"),
        "participant_id\tfazekas\nsub-01\t3\n".encode("utf-16"),
        b"participant_id,fazekas\nsub-01,3\n",
        b"participant_id\tfazekas\nsub-1\t3\nsub-02\t2\n",
        b"participant_id\tfazekas\nsub-01\t3\nsub-01\t2\n",
        b"participant_id\tfazekas\nsub-01\t3\tx\n",
        b"subject\tfazekas\nsub-01\t3\n",
    ],
)
def test_a_table_that_cannot_be_read_does_not_pass_for_the_old_copy(raw, output, content):
    (raw.root / "participants.tsv").write_bytes(content)
    with pytest.raises(BadDataError, match=r"raw/participants\.tsv"):
        refresh_participants(output, raw.root)
    with pytest.raises(BadDataError, match=r"raw/participants\.tsv"):
        what_to_know(raw.root, output)


def test_a_quote_does_not_take_the_next_rows_in(raw, output):
    raw.text("participants.tsv", 'participant_id\tnote\nsub-01\t"tall\nsub-02\tsmall\n')
    refresh_participants(output, raw.root)
    said = (output / "participants.tsv").read_text()
    assert said == 'participant_id\tnote\nsub-01\t"tall\nsub-02\tsmall\n'


def test_rows_of_sessions_are_carried_over(raw, output):
    (raw.root / "sub-02/ses-a").mkdir()
    raw.text("participants.tsv", "participant_id\tSession_ID\tage\n01\tn/a\t70\n02\ta\t71\n")
    refresh_participants(output, raw.root)
    said = (output / "participants.tsv").read_text()
    assert said == "participant_id\tsession_id\tage\nsub-01\tn/a\t70\nsub-02\tses-a\t71\n"


def test_people_besides_the_data_set_are_counted_and_a_lost_table_is_told(raw, output):
    assert what_to_know(raw.root, output) == ""
    raw.text("participants.tsv", OLD + "sub-77\t1\nsub-78\t1\n")
    said = "participants.tsv lists 2 people who are not in the data set"
    assert what_to_know(raw.root, output) == said
    (raw.root / "participants.tsv").unlink()
    refresh_participants(output, raw.root)
    assert (output / "participants.tsv").read_text() == OLD
    assert "has no participants.tsv, so this copy stays" in what_to_know(raw.root, output)
    (output / "participants.tsv").unlink()
    assert what_to_know(raw.root, output) == ""


@pytest.mark.parametrize("content", ["{", "[]", "[" * 100_000, "3", "\x80"])
def test_a_description_of_the_columns_that_is_no_json_is_told_and_not_copied(raw, output, content):
    (raw.root / "participants.json").write_text(content, encoding="latin-1")
    refresh_participants(output, raw.root)
    assert not (output / "participants.json").exists()
    assert "participants.json: is not copied" in what_to_know(raw.root, output)
    (raw.root / "participants.json").write_text('\ufeff{"age": {"Units": "year"}}', "utf-8")
    refresh_participants(output, raw.root)
    assert (output / "participants.json").read_text() == '{"age": {"Units": "year"}}'
    assert what_to_know(raw.root, output) == ""
