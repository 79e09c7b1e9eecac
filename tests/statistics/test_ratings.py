import pytest

from ctwml_bids.statistics.ratings import Rating, parse


@pytest.mark.parametrize(
    ("text", "group", "grade"),
    [("0", 0, 0), ("1", 0, 1), ("2", 1, 2), ("3.0", 2, 3), ("0-1", 0, None), ("0–1", 0, None)],
)
def test_grades_and_groups_are_read(text, group, grade):
    assert parse(text) == Rating(group, grade)


@pytest.mark.parametrize("text", ["", "n/a", "  "])
def test_no_rating_is_none(text):
    assert parse(text) is None


@pytest.mark.parametrize("text", ["severe", "4", "-1", "1.5", "2-3", "0-12"])
def test_what_is_no_rating_is_refused_by_its_text(text):
    with pytest.raises(ValueError, match="is no Fazekas grade"):
        parse(text)
