"""Units and tables of people that cannot be taken as they are."""

from __future__ import annotations

import pytest

from ctwml_bids.bids import names
from ctwml_bids.errors import BadDataError, InvalidInputError, NoInputError
from tests.group.cohorts import (
    HASHES,
    SETTINGS,
    add_people,
    add_unit,
    estimates,
    page_of,
    run,
    table,
)


def test_units_of_different_settings_are_refused_with_what_differs(cohort):
    other = {**HASHES, "preprocessing": "c" * 64}
    add_unit(cohort, "04", 1.0, 1.0, hashes=other, settings={**SETTINGS, "normalisation": "syn"})
    with pytest.raises(InvalidInputError) as caught:
        run(cohort)
    text = str(caught.value)
    assert caught.value.exit_code == 16
    assert "sub-04" in text
    assert "normalisation: 'nine' of most, 'syn' here" in text
    assert not (cohort / "group.html").exists()
    run(cohort, exclude=("sub-04",))
    assert estimates(cohort)["pairs"]["value"] == "4"
    add_unit(cohort, "04", 1.0, 1.0, session="a", hashes=other)
    run(cohort, exclude=("sub-04",))
    assert estimates(cohort)["pairs"]["value"] == "4"


def test_units_of_another_model_are_refused_by_its_name(cohort):
    add_unit(
        cohort,
        "02",
        1.0,
        hashes={**HASHES, "segmentation": "d" * 64},
        models={"ct": "ct-mine"},
    )
    with pytest.raises(InvalidInputError, match="model for CT: 'ct-a' of most, 'ct-mine' here"):
        run(cohort)


def test_text_where_a_number_belongs_names_the_unit_its_table_and_the_column(cohort):
    add_unit(cohort, "03", 1.0, 1.0, cells={"ct": {"wml_ml": "much"}})
    page = page_of(cohort)
    assert "sub-03/anat/sub-03_desc-wml_stats.tsv cannot be read: wml_ml of ct is" in page
    assert "much" in page
    assert estimates(cohort)["pairs"]["value"] == "4"


@pytest.mark.parametrize(
    ("image", "column", "value", "said"),
    [
        ("ct", "wml_ml", -3, "wml_ml of ct is -3, which it cannot be: no measure is below 0"),
        ("pair", "both_empty", "maybe", "is &#39;maybe&#39;, not one of true, false, n/a"),
        ("ct", "qc", "good", "qc of ct is &#39;good&#39;, not one of pass, warn, fail"),
    ],
)
def test_what_a_column_cannot_hold_leaves_the_unit_out_by_name(cohort, image, column, value, said):
    add_unit(cohort, "03", 1.0, 1.0, cells={image: {column: value}})
    people = [{"participant_id": f"sub-0{n}", "fazekas": min(n, 3)} for n in range(1, 6)]
    add_people(cohort, people)
    assert said in page_of(cohort)
    assert estimates(cohort)["pairs"]["value"] == "4"


def test_a_table_of_nobody_here_is_told_with_whom_it_lists(cohort):
    add_people(cohort, [{"participant_id": "sub-91", "age": 50, "fazekas": 2}])
    said = "participants.tsv lists none of the units&#39; subjects (sub-01 and others)"
    assert f"{said}; it lists sub-91." in page_of(cohort)


def test_a_column_of_no_table_is_an_error(cohort):
    with pytest.raises(NoInputError, match=r"no participants.tsv that could have the column 'wmh'"):
        run(cohort, fazekas_column="wmh")


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("age", "-4", r"line 3: the age of sub-02 is '-4', not a number of years"),
        ("age", "nan", r"line 3: the age of sub-02 is 'nan', not a number of years"),
        ("fazekas", "severe", r"line 3: the fazekas of sub-02: 'severe' is no Fazekas grade"),
        ("age", "old", r"line 3: the age of sub-02 is 'old', not a number of years"),
    ],
)
def test_text_in_a_table_of_people_is_refused_with_its_line(cohort, column, value, said):
    people = [{"participant_id": f"sub-0{n}", "age": 70, "fazekas": 2} for n in (1, 2, 3)]
    people[1][column] = value
    add_people(cohort, people)
    with pytest.raises(BadDataError, match=said) as caught:
        run(cohort)
    assert caught.value.exit_code == 65


def test_duplicated_participants_are_refused_with_their_lines(cohort):
    people = [{"participant_id": f"sub-0{n}", "fazekas": 2} for n in (1, 2, 1)]
    add_people(cohort, people)
    with pytest.raises(BadDataError, match="sub-01 has two rows, in lines 2 and 4") as caught:
        run(cohort)
    assert "the input data set's and run the participant level again" in str(caught.value)


def test_another_table_of_people_takes_the_place_of_the_copied_one(cohort, tmp_path_factory):
    add_people(cohort, [{"participant_id": "sub-01", "age": 50, "fazekas": 1}])
    folder = tmp_path_factory.mktemp("tables")
    mine = add_people(
        folder, [{"participant_id": "01", "age": "89+", "sex": "female", "wml": "0-1"}]
    )
    run(cohort, participants_file=mine, fazekas_column="WML")
    row = table(cohort / "group/units.tsv")[0]
    assert (row["age"], row["sex"], row["fazekas_group"], row["fazekas_grade"]) == (
        "89",
        "F",
        "0-1",
        "n/a",
    )


def test_ratings_may_be_in_a_phenotype_file_by_session(tmp_path):
    add_unit(tmp_path, "01", 3.0, 4.0, session="a")
    add_unit(tmp_path, "01", 5.0, 4.5, session="b")
    add_people(tmp_path, [{"participant_id": "sub-01", "age": 71, "fazekas": 0}])
    rows = [
        {"participant_id": "sub-01", "session_id": f"ses-{s}", "score": n} for s, n in ("a1", "b3")
    ]
    phenotype = add_people(tmp_path, rows, "phenotype.tsv")
    run(tmp_path, fazekas_file=phenotype, fazekas_column="score")
    found = [(row["age"], row["fazekas_grade"]) for row in table(tmp_path / "group/units.tsv")]
    assert found == [("71", "1"), ("71", "3")]


def test_a_column_that_is_not_there_is_an_error_that_lists_those_there_are(cohort):
    add_people(cohort, [{"participant_id": "sub-01", "age": 50, "WMH": 1}])
    with pytest.raises(InvalidInputError, match=r"no column 'score'.*participant_id, age, WMH"):
        run(cohort, fazekas_column="score")


def test_an_unreadable_table_is_named_and_the_others_go_on(cohort):
    (cohort / names.stats("03", None)).write_bytes(b"\xff\xfe\x00nonsense")
    assert "sub-03_desc-wml_stats.tsv cannot be read" in page_of(cohort)
    assert estimates(cohort)["pairs"]["value"] == "4"
