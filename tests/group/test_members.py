"""Who takes part in the results of a cohort, and who is left out by name."""

from __future__ import annotations

import json

import pytest

from ctwml_bids.bids import names
from ctwml_bids.errors import BadDataError, InvalidInputError, NoInputError, NothingMatchedError
from tests.group.cohorts import add_people, add_status, add_unit, estimates, page_of, run, table


def test_a_unit_that_failed_quality_control_stays_out_by_name(cohort):
    add_unit(cohort, "66", 500.0, 1.0, qc="fail")
    page = page_of(cohort)
    assert estimates(cohort)["pairs"]["value"] == "5"
    assert page.index("300 mL, which no complete adult brain has") < page.index('id="cohort"')
    sidecar = json.loads((cohort / "group/agreement.json").read_text())
    assert sidecar["Agreement"]["NotCompared"] == {"sub-66": "failed a quality gate"}
    (row,) = table(cohort / "group/excluded.tsv")
    assert (row["unit"], row["why"]) == ("sub-66", "quality")
    run(cohort, include_failed_qc=True)
    assert estimates(cohort)["pairs"]["value"] == "6"


def test_excluded_units_are_named_and_take_part_in_nothing(cohort):
    add_unit(cohort, "08", 3.0, 3.0, session="a")
    add_unit(cohort, "08", 3.5, 3.0, session="b")
    page = page_of(cohort, exclude=("sub-02", "sub-08_ses-b"))
    rows = {row["unit"]: row for row in table(cohort / "group/units.tsv")}
    assert rows["sub-02"]["included"] == "no: excluded by name"
    assert rows["sub-08_ses-a"]["included"] == "yes"
    assert estimates(cohort)["pairs"]["value"] == "5"
    listed = table(cohort / "group/excluded.tsv")
    assert [(row["unit"], row["why"]) for row in listed] == [
        ("sub-02", "excluded"),
        ("sub-08_ses-b", "excluded"),
    ]
    assert "2 units were left out by name" in page
    assert ">sub-08_ses-b</a>: excluded by --exclude" in page


@pytest.mark.parametrize(
    ("column", "row"),
    [
        ("exclude", "sub-02\ttumour"),
        ("Exclude", "sub-02 \t tumour"),
        ("EXCLUDE ", "02\ttumour"),
        ("exclude", '"sub-02"\t"tumour"'),
        ("exclude", "SUB-02\ttumour\t"),
    ],
)
def test_the_column_exclude_leaves_out_as_in_train(cohort, column, row):
    text = f"participant_id\t{column}\nsub-01\tno\n{row}\nsub-99\tn/a\n"
    (cohort / "participants.tsv").write_text(text)
    page = page_of(cohort)
    (left_out,) = table(cohort / "group/excluded.tsv")
    assert left_out["unit"] == "sub-02"
    assert left_out["reason"] == "excluded in participants.tsv: tumour"
    assert "excluded in participants.tsv: tumour" in page
    assert "participants.tsv lists 1 person who is without results here" in page
    assert estimates(cohort)["pairs"]["value"] == "4"


def test_the_copied_column_counts_where_another_table_has_none(cohort, tmp_path_factory):
    (cohort / "participants.tsv").write_text("participant_id\texclude\nsub-02\tyes\n")
    people = [{"participant_id": f"sub-0{n}", "age": 60 + n} for n in range(1, 6)]
    folder = tmp_path_factory.mktemp("tables")
    run(cohort, participants_file=add_people(folder, people))
    assert [row["unit"] for row in table(cohort / "group/excluded.tsv")] == ["sub-02"]
    people[1]["exclude"] = "no"
    run(cohort, participants_file=add_people(folder, people))
    assert table(cohort / "group/excluded.tsv") == []


@pytest.mark.parametrize("column", ["exclude", "Exclude", "EXCLUDE "])
@pytest.mark.parametrize("own", ["age", "exclude", None])
def test_the_column_exclude_of_the_ratings_counts(cohort, tmp_path_factory, column, own):
    if own:
        (cohort / "participants.tsv").write_text(f"participant_id\t{own}\nsub-01\tn/a\n")
    rated = tmp_path_factory.mktemp("tables") / "fazekas.tsv"
    rated.write_text(f"participant_id\tfazekas\t{column}\n02\t1\ttumour\nsub-03\t2\tno\n")
    run(cohort, fazekas_file=rated)
    (row,) = table(cohort / "group/excluded.tsv")
    assert (row["unit"], row["reason"]) == ("sub-02", "excluded in fazekas.tsv: tumour")


@pytest.mark.parametrize("written", ["sub-2", "002", "2", "sub-02_ses-a"])
def test_a_near_label_in_the_column_stops_the_group(cohort, written):
    who, _, session = written.partition("_ses-")
    rows = f"sub-01\tn/a\tno\n{who}\t{session or 'n/a'}\ttumour\n"
    (cohort / "participants.tsv").write_text(f"participant_id\tsession_id\texclude\n{rows}")
    with pytest.raises(
        BadDataError, match=r"participants\.tsv, line 3: .* is not here, and sub-02"
    ):
        run(cohort)


@pytest.mark.parametrize("words", [("w", "1"), ("W", "W"), ("female ", "weiblich")])
def test_sexes_in_other_words_are_told(cohort, words):
    rows = "".join(f"sub-0{n}\t{word}\n" for n, word in enumerate(words, 1))
    (cohort / "participants.tsv").write_text(f"participant_id\tsex\n{rows}")
    count = 1 if "female " in words else 2
    assert f"The sex of {count} units counts as not known" in page_of(cohort)


def test_excluding_who_is_not_there_is_said_and_a_label_near_one_that_is_there_is_an_error(cohort):
    page = page_of(cohort, exclude=("sub-77", "sub-02"))
    assert "To be left out, but without results here: sub-77 (excluded by --exclude)." in page
    assert [row["unit"] for row in table(cohort / "group/excluded.tsv")] == ["sub-02"]
    with pytest.raises(InvalidInputError, match="sub-2 is to be left out and is not here, and sub"):
        run(cohort, exclude=("sub-2",))


def test_excluding_everybody_is_an_error(cohort):
    with pytest.raises(NothingMatchedError, match="leaves no unit") as caught:
        run(cohort, exclude=tuple(f"sub-0{n}" for n in range(1, 6)))
    assert caught.value.exit_code == 18


def test_a_failed_unit_is_named_first_and_its_old_table_is_not_used(cohort):
    add_status(cohort, "02", "failed", "The CT is not in HU.")
    add_status(cohort, "99", "running")
    page = page_of(cohort)
    assert page.index("The CT is not in HU.") < page.index('id="cohort"')
    units = [row["unit"] for row in table(cohort / "group/units.tsv")]
    assert units == ["sub-01", "sub-03", "sub-04", "sub-05"]
    listed = {row["unit"]: row["why"] for row in table(cohort / "group/excluded.tsv")}
    assert listed == {"sub-02": "unfinished", "sub-99": "unfinished"}


@pytest.mark.parametrize(
    ("state", "code", "counts"),
    [
        ("skipped", 65, False),
        ("failed", 65, False),
        ("failed", 1, False),
        ("running", 0, False),
        ("skipped", 66, True),
        ("queued", 0, True),
    ],
)
@pytest.mark.parametrize("label", ["", "mine"])
def test_a_table_of_images_that_are_refused_now_is_not_used(cohort, state, code, counts, label):
    for number in range(1, 4):
        add_unit(cohort, f"0{number}", 3.0, 4.0, label=label)
    path = cohort / names.status("02", None, model_label=label)
    status = {**json.loads(path.read_text()), "state": state, "exit_code": code, "reason": "why"}
    path.write_text(json.dumps(status))
    page = page_of(cohort, model_label=label)
    folder = cohort / names.group_folder(label)
    units = [row["unit"] for row in table(folder / "units.tsv")]
    assert ("sub-02" in units) is counts
    if not counts:
        (row,) = table(folder / "excluded.tsv")
        assert (row["unit"], row["why"]) == ("sub-02", "unfinished")
        assert row["reason"].startswith(f"{state}: why")
        assert "why" in page


def test_units_that_do_not_line_up_are_not_compared(cohort):
    add_unit(cohort, "66", 10.0, 10.0, pair=False, qc="fail")
    run(cohort, include_failed_qc=True)
    rows = {row["unit"]: row for row in table(cohort / "group/units.tsv")}
    assert rows["sub-66"]["in_agreement"] == "no: CT and FLAIR do not line up"


def test_a_unit_that_is_said_to_be_done_without_a_table_is_named(cohort):
    add_status(cohort, "99", "done")
    page = page_of(cohort)
    assert "sub-99" in page
    assert "its results are gone" in page
    assert len(table(cohort / "group/units.tsv")) == 5


def test_every_unit_failing_its_gates_is_said_and_nothing_is_computed(tmp_path):
    for number in range(3):
        add_unit(tmp_path, f"{number:02d}", 3.0, 4.0, qc="fail")
    page = page_of(tmp_path)
    assert "3 units failed a quality gate" in page
    assert "failed a quality gate, does not line up or was left out" in page
    assert estimates(tmp_path)["pairs"]["value"] == "0"


def test_no_finished_unit_is_no_input(tmp_path):
    add_status(tmp_path, "07", "failed", "truncated")
    with pytest.raises(NoInputError, match=r"sub-07 \(failed\)") as caught:
        run(tmp_path)
    assert caught.value.exit_code == 66
    assert not (tmp_path / "group.html").exists()


@pytest.fixture(params=["status", "sidecar"])
def lent(request, cohort):
    """A CT has the FLAIR of another session, as its status says, or its table's sidecar alone."""
    table = add_unit(cohort, "08", 3.0, 3.0, session="ct")
    images = ["sub-08/ses-ct/ct/sub-08_ses-ct_ct.nii", "sub-08/ses-mri/anat/sub-08_FLAIR.nii"]
    status = cohort / "logs/sub-08_ses-ct/status.json"
    if request.param == "status":
        inputs = {"inputs": {image: [1, 2, "0"] for image in images}}
        status.write_text(json.dumps({**json.loads(status.read_text()), "request": inputs}))
    else:
        sidecar = table.with_suffix(".json")
        sources = ["bids::sub-08/ses-ct/x.nii", *(f"bids:raw:{image}" for image in images)]
        sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "Sources": sources}))
    return cohort


@pytest.mark.parametrize("told", ["option", "column"])
def test_a_session_that_is_left_out_lends_no_flair(lent, told):
    if told == "column":
        (lent / "participants.tsv").write_text(
            "participant_id\tsession_id\texclude\nsub-08\tses-ct\tno\nsub-08\tmri\tmoved\n"
        )
    page = page_of(lent, exclude=("sub-08_ses-mri",) if told == "option" else ())
    (row,) = table(lent / "group/excluded.tsv")
    assert (row["unit"], row["why"]) == ("sub-08_ses-ct", "excluded")
    assert "its image sub-08_FLAIR.nii is of sub-08_ses-mri: excluded" in row["reason"]
    assert "is of sub-08_ses-mri: excluded" in page
    assert estimates(lent)["pairs"]["value"] == "5"


@pytest.mark.parametrize("lent", ["status"], indirect=True)
@pytest.mark.parametrize("typed", ["sub-08_ses-MRI", "sub-8_ses-mri", "sub-008_ses-mri"])
def test_a_session_that_lent_a_flair_has_a_label_to_come_near(lent, typed):
    with pytest.raises(InvalidInputError, match="is not here, and sub-08_ses-mri is"):
        run(lent, exclude=(typed,))
