from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest

from ctwml_bids.bids.files import write_tsv
from ctwml_bids.statistics.columns import (
    COLUMNS,
    LESION_COLUMNS,
    OVERLAP,
    group_labels,
    report_labels,
    unit_columns,
)
from ctwml_bids.statistics.gates.gate import ORDER
from ctwml_bids.statistics.overlap import compare
from ctwml_bids.statistics.regions import left_of_midline, measure
from ctwml_bids.statistics.tables import cell, lesion_rows, read_cell, unit_rows


@pytest.fixture
def lesions():
    array = np.zeros((10, 10, 10), dtype=bool)
    array[2:5, 2:5, 2:5] = True
    array[7:10, 7:10, 7:9] = True
    array[0, 0, 0] = True
    return array


@pytest.fixture
def measures(lesions):
    return measure(
        lesions,
        affine=np.eye(4),
        probability=lesions,
        brain=np.ones_like(lesions),
        ventricles=np.zeros_like(lesions),
        left=left_of_midline(lesions.shape, np.eye(4), np.eye(4)),
    )


def rows_of(measures, lesions, **images):
    return unit_rows(
        dict.fromkeys(images, measures),
        qc="warn",
        thresholds={"ct": 0.25, "flair": 0.5},
        models={"ct": "ct-a", "flair": "flair-b"},
        infarcts_ml=dict.fromkeys(images),
        pair=compare(lesions, lesions, affine=np.eye(4)) if len(images) == 2 else None,
    )


def test_a_pair_has_three_rows_with_all_columns(measures, lesions):
    rows = rows_of(measures, lesions, ct=1, flair=1)
    assert [row["image"] for row in rows] == ["ct", "flair", "pair"]
    assert all(list(row) == list(COLUMNS) for row in rows)
    assert rows[0]["wml_ml"] == 0.046
    assert (rows[0]["lesion_count"], rows[0]["speck_ml"]) == (2, 0.001)
    assert (rows[0]["threshold"], rows[1]["model"]) == (0.25, "flair-b")
    assert rows[0]["dice"] == "n/a"
    assert (rows[2]["dice"], rows[2]["wml_ml"]) == (1.0, "n/a")


def test_ct_alone_has_one_row_without_pair(measures, lesions):
    (row,) = rows_of(measures, lesions, ct=1)
    assert row["image"] == "ct"
    assert row["qc"] == "warn"
    # No ventricle mask: the split was not made.
    assert row["periventricular_ml"] == "n/a"


def test_rows_are_json_and_every_column_is_described(measures, lesions):
    json.dumps(rows_of(measures, lesions, ct=1, flair=1), allow_nan=False)
    assert all(about["Description"] for about in (*COLUMNS.values(), *LESION_COLUMNS.values()))
    assert list(lesion_rows("ct", measures)[0]) == list(LESION_COLUMNS)


def test_lesions_are_numbered_from_the_largest(measures):
    rows = lesion_rows("ct", measures)
    assert [row["lesion"] for row in rows] == [1, 2]
    assert rows[0]["volume_ml"] == 0.027
    assert (rows[1]["x_mm"], rows[1]["ventricle_distance_mm"]) == (8.0, "n/a")
    assert rows[1]["z_mm"] == 7.5


def test_levels_describe_every_value_that_the_column_can_have(measures, lesions):
    images = {row["image"] for row in rows_of(measures, lesions, ct=1, flair=1)}
    assert set(COLUMNS["image"]["Levels"]) == images
    assert set(COLUMNS["qc"]["Levels"]) == set(ORDER)
    meanings = [about["Levels"].values() for about in COLUMNS.values() if "Levels" in about]
    assert all(all(texts) for texts in meanings)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (math.nan, "n/a"),
        (math.inf, "n/a"),
        (None, "n/a"),
        (np.float32(math.nan), "n/a"),
        (np.float64(1.23456789), 1.2346),
        (np.int64(3), 3),
        ("text", "text"),
        (np.float64(1432.12345), 1432.12),
    ],
)
def test_cells(value, written):
    assert cell(value) == written


def test_numbers_come_back_from_a_table_as_they_went(tmp_path, measures, lesions):
    path = tmp_path / "x.tsv"
    for rows in (rows_of(measures, lesions, ct=1), lesion_rows("ct", measures)):
        write_tsv(path, rows)
        with path.open(encoding="utf-8", newline="") as opened:
            (back, *_) = csv.DictReader(opened, delimiter="\t")
        found = {name: read_cell(name, text) for name, text in back.items()}
        assert found == rows[0]
        assert [*map(type, found.values())] == [*map(type, rows[0].values())]


def test_reports_show_every_measure_by_a_label(measures):
    of_image, of_pair = report_labels()
    measured = {name for name in COLUMNS if hasattr(measures, name)}
    assert measured <= set(of_image)
    assert {"dice", *OVERLAP} == set(of_pair)
    assert {
        *("ct_wml_ml", "flair_wml_ml", "ct_infarct_ml", "flair_infarct_ml"),
        *of_pair,
    } == set(group_labels())
    assert group_labels()["ct_only_ml"] == ("CT only (mL)", 1)


def test_unit_columns_name_the_image_but_for_the_pair():
    columns = unit_columns()
    assert columns["ct_wml_ml"] == ("ct", "wml_ml")
    assert columns["flair_model"] == ("flair", "model")
    assert columns["dice"] == ("pair", "dice")
    assert "ct_dice" not in columns
