from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from ctwml_bids.bids.filters import Filters, load_filters, matches, parse_filters, schema
from ctwml_bids.errors import InvalidInputError, NoInputError

TOP = Path(__file__).resolve().parents[2] / "bids_filter_schema.json"


def test_the_schema_at_the_top_is_the_packaged_one():
    assert json.loads(TOP.read_text()) == schema()


def test_the_schema_is_valid_and_so_are_its_examples():
    content = schema()
    jsonschema.Draft202012Validator.check_schema(content)
    assert content["$schema"].endswith("2020-12/schema")
    for example in content["examples"]:
        parse_filters(example)
    for kind in ("ct", "flair"):
        for example in content["properties"][kind]["examples"]:
            parse_filters({kind: example})


def test_every_entity_of_the_schema_is_described():
    conditions = schema()["$defs"]["conditions"]["properties"]
    assert all(entity["description"] for entity in conditions.values())


def test_without_a_file_everything_passes():
    assert load_filters(None) == Filters()
    assert not load_filters(None)
    assert matches({"suffix": "ct"}, Filters().ct)


@pytest.mark.parametrize(
    ("condition", "entities", "passes"),
    [
        ({"acquisition": "thin"}, {"acquisition": "thin"}, True),
        ({"acquisition": "thin"}, {"acquisition": "thick"}, False),
        ({"acquisition": "thin"}, {}, False),
        ({"acquisition": ["thin", "thick"]}, {"acquisition": "thick"}, True),
        ({"ceagent": None}, {}, True),
        ({"ceagent": None}, {"ceagent": "iohexol"}, False),
        ({"acquisition": [None, "thin"]}, {}, True),
        ({"acquisition": "*"}, {"acquisition": "x"}, True),
        ({"acquisition": "*"}, {}, False),
        ({"run": 1}, {"run": "1"}, True),
        ({"run": "01"}, {"run": "1"}, True),
        ({"session": "01"}, {"session": "1"}, False),
        ({"run": 1, "acquisition": "a"}, {"run": "1", "acquisition": "b"}, False),
    ],
)
def test_a_condition_passes_what_it_says(condition, entities, passes):
    assert matches(entities, parse_filters({"ct": condition}).ct) is passes


def test_filters_are_frozen_and_hashable():
    filters = parse_filters({"ct": {"run": [1, 2], "ceagent": None}})
    assert len({filters, filters}) == 1
    assert filters.ct == (("run", ("1", "2")), ("ceagent", (None,)))
    with pytest.raises(AttributeError):
        filters.ct = ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"ct": {', r"not JSON: .* line 1, column 9"),
        ('{"ct": {"run": 1, "run": 2}}', r"the key 'run' twice"),
        ("[]", r"top level: \[\] must be a JSON object"),
        ('{"bold": {}}', r"top level: 'bold' is not known; allowed are ct, flair"),
        ('{"ct": {"acq": "x"}}', r"ct: 'acq' is not known; allowed are acquisition,"),
        ('{"ct": {"session": "ses-1"}}', r'ct.session: "ses-1" is not allowed; .*without its'),
        ('{"flair": {"run": []}}', r"flair.run: \[\] is not allowed"),
        ('{"flair": {"run": 1.5}}', r"flair.run: 1.5 is not allowed"),
        ('{"flair": {"acquisition": ["a", "*"]}}', r"flair.acquisition: .* is not allowed"),
        ('{"ct": "axial"}', r'ct: "axial" must be a JSON object'),
        ('{"ct": {"extension": "nii"}}', r'ct.extension: "nii" .*"\.nii\.gz"'),
    ],
)
def test_a_bad_filter_file_says_where_and_what_is_allowed(tmp_path, text, told):
    path = tmp_path / "filter.json"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=told) as error:
        load_filters(path)
    assert str(path) in str(error.value)


def test_all_violations_are_told_at_once():
    with pytest.raises(InvalidInputError, match=r"ct.run.*flair.echo"):
        parse_filters({"ct": {"run": -1}, "flair": {"echo": {}}})


def test_a_filter_file_that_is_absent_or_binary_is_told(tmp_path):
    with pytest.raises(NoInputError, match=r"absent.json"):
        load_filters(tmp_path / "absent.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInputError, match="UTF-8"):
        load_filters(tmp_path / "binary.json")
