from __future__ import annotations

import dataclasses
import json
import os

import pytest

from ctwml_bids.execution.status import (
    UnitStatus,
    collect,
    fingerprint,
    is_done,
    read_status,
    rebuild_table,
    write_status,
)

HASHES = {"preprocessing": "a", "segmentation": "b"}
REQUEST = {"inputs": {"sub-01/ct/sub-01_ct.nii.gz": [3, 4]}, "output_spaces": []}
DONE = UnitStatus("sub-01", "done", seconds=12.34, hashes=HASHES, request=REQUEST, quality="warn")


def test_a_status_is_read_back_whole(tmp_path):
    write_status(tmp_path / "logs/sub-01/status.json", DONE)
    assert read_status(tmp_path / "logs/sub-01/status.json") == DONE


def test_a_failed_write_leaves_the_old_status_and_no_debris(tmp_path):
    path = tmp_path / "status.json"
    write_status(path, DONE)
    with pytest.raises(TypeError):
        write_status(path, dataclasses.replace(DONE, request={"inputs": object()}))
    assert read_status(path) == DONE
    assert os.listdir(tmp_path) == ["status.json"]


def test_only_the_same_settings_and_images_count_as_done(tmp_path):
    path = tmp_path / "status.json"
    assert not is_done(path, HASHES, REQUEST, tmp_path)
    write_status(path, DONE)
    assert is_done(path, HASHES, REQUEST, tmp_path)
    assert not is_done(path, {**HASHES, "segmentation": "c"}, REQUEST, tmp_path)
    assert not is_done(path, HASHES, REQUEST | {"inputs": {"sub-01_ct.nii.gz": [3, 5]}}, tmp_path)
    assert not is_done(path, HASHES, {**REQUEST, "output_spaces": ["FLAIR"]}, tmp_path)
    write_status(path, dataclasses.replace(DONE, state="failed"))
    assert not is_done(path, HASHES, REQUEST, tmp_path)


def test_a_unit_whose_files_are_gone_is_not_done(tmp_path):
    path = tmp_path / "logs/sub-01/status.json"
    write_status(path, dataclasses.replace(DONE, outputs=["sub-01.html"]))
    assert not is_done(path, HASHES, REQUEST, tmp_path)
    (tmp_path / "sub-01.html").touch()
    assert is_done(path, HASHES, REQUEST, tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"state": "done"}', '"done"'])
def test_a_damaged_status_is_not_done(tmp_path, content):
    path = tmp_path / "status.json"
    path.write_text(content)
    assert read_status(path) is None
    assert not is_done(path, HASHES, REQUEST, tmp_path)


def test_a_status_of_a_later_version_with_more_fields_is_read(tmp_path):
    path = tmp_path / "status.json"
    path.write_text(json.dumps({**dataclasses.asdict(DONE), "new": 1}))
    assert read_status(path) == DONE


def test_the_table_has_a_row_for_each_unit_and_model(tmp_path):
    write_status(tmp_path / "logs/sub-02/status.json", UnitStatus("sub-02", "failed", "a\tb\nc"))
    write_status(tmp_path / "logs/sub-01/status.json", DONE)
    other = dataclasses.replace(DONE, model_label="other")
    write_status(tmp_path / "logs/sub-01/status_desc-other.json", other)
    (tmp_path / "logs/sub-03").mkdir()
    (tmp_path / "logs/sub-03/status.json").write_text("{")
    lines = rebuild_table(tmp_path).read_text().splitlines()
    rows = [dict(zip(lines[0].split("\t"), line.split("\t"), strict=True)) for line in lines[1:]]
    assert [(row["unit"], row["model_label"], row["state"]) for row in rows] == [
        ("sub-01", "n/a", "done"),
        ("sub-01", "other", "done"),
        ("sub-02", "n/a", "failed"),
    ]
    assert rows[0]["seconds"] == "12.3"
    assert rows[0]["quality"] == "warn"
    assert rows[2]["reason"] == "a b c"
    assert len(collect(tmp_path)) == 3


def test_a_changed_image_has_another_fingerprint(tmp_path):
    image = tmp_path / "sub-01" / "x.nii"
    image.parent.mkdir()
    image.write_bytes(b"abc")
    before = fingerprint([image], tmp_path)
    assert list(before) == ["sub-01/x.nii"]
    assert fingerprint([image], tmp_path) == before
    image.write_bytes(b"abcd")
    assert fingerprint([image], tmp_path) != before
