"""Labels as people write them, and labels that only come near one."""

from __future__ import annotations

import pytest

from ctwml_bids.bids.labels import meant, near, read_label, read_unit


@pytest.mark.parametrize("text", ["sub-03", "03", " sub-03 ", "SUB-03", "Sub-03\u00a0"])
def test_a_prefix_and_spaces_do_not_count(text):
    assert read_label(text) == read_unit(text) == "sub-03"


@pytest.mark.parametrize("text", ["", "sub-", "sub_03", "3.0", "sub-03*", "sub‑03", "a b", "'03'"])
def test_what_is_no_label_is_refused_by_its_text(text):
    with pytest.raises(ValueError, match="is no label") as caught:
        read_label(text)
    assert repr(text) in str(caught.value)


def test_units_have_sessions():
    assert read_unit("03_ses-a") == read_unit("SUB-03_SES-a") == "sub-03_ses-a"
    assert read_label("b", "ses-") == read_label("ses-b", "ses-") == "ses-b"
    with pytest.raises(ValueError, match="no subject"):
        read_unit("03_a")


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ("sub-3", "sub-03"),
        ("sub-003", "sub-03"),
        ("sub-03", "sub-3"),
        ("sub-a1", "sub-A1"),
        ("sub-A01", "sub-a1"),
        ("1.0", "sub-01"),
        ("1.00E+05", "sub-1E5"),
        ("100000", "sub-1E5"),
        ("sub_03", "sub-03"),
        ("sub-sub03", "sub-03"),
        ("sub-03*", "sub-03"),
        ("sub-p003x", "sub-P3X"),
    ],
)
def test_near_forms_are_seen(written, label):
    assert near(written, [label, "sub-77"]) == [label]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sub-03", "sub-30"),
        ("sub-1", "sub-11"),
        ("sub-A1", "sub-B1"),
        ("sub-10", "sub-1"),
        ("sub-12345678901234567890", "sub-12345678901234567891"),
        ("sub-03_ses-a", "sub-03_ses-b"),
    ],
)
def test_other_labels_are_not_near(one, other):
    assert near(one, [other]) == near(other, [one]) == []


def test_a_label_that_is_there_means_itself():
    units = {"sub-3", "sub-03_ses-a", "sub-03_ses-b"}
    for label in ("sub-3", "sub-03", "sub-03_ses-a"):
        assert meant(label, units) == []
    assert meant("sub-003", units) == ["sub-03", "sub-3"]
    assert meant("sub-03_ses-A", units) == ["sub-03_ses-a", "sub-3"]
    assert meant("sub-03_ses-c", {"sub-03_ses-a"}) == []
    assert meant("sub-01_ses-1", {"sub-01"}) == ["sub-01"]
