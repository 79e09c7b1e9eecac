from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path

import pytest

from ctwml_bids.bids.fingerprints import fingerprint, is_same_file
from ctwml_bids.bids.status import (
    Request,
    UnitStatus,
    collect,
    read_status,
    rebuild_table,
    statuses,
    what_differs,
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


@pytest.fixture
def finished(tmp_path):
    """A function that says what differs from a finished unit, with what may be changed of it."""
    bids_dir, out = tmp_path / "bids", tmp_path / "out"
    ct, flair = bids_dir / "sub-01/ct/sub-01_ct.nii", bids_dir / "sub-01/anat/sub-01_FLAIR.nii"
    for path, content in ((ct, b"abc"), (flair, b"def"), (out / "sub-01.html", b"")):
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    asked = Request((ct, flair), "m", ("MNI",))
    request = asked.described(bids_dir)
    status = dataclasses.replace(DONE, request=request, outputs=["sub-01.html"])
    write_status(out / "status.json", status)

    def differs(hashes=HASHES, **changed):
        read = read_status(out / "status.json")
        return what_differs(read, hashes, dataclasses.replace(asked, **changed), out, bids_dir)

    differs.images = (ct, flair)
    return differs


def test_what_is_asked_for_again_is_done_and_what_differs_is_named(finished):
    ct, _ = finished.images
    assert finished() == []
    assert finished({**HASHES, "segmentation": "c"}) == ["other settings"]
    assert finished(images=(ct,)) == ["sub-01/anat/sub-01_FLAIR.nii is used no longer"]
    ct.write_bytes(b"abd")
    assert finished() == ["sub-01/ct/sub-01_ct.nii has changed"]
    assert finished(metadata="n")[1:] == ["what is used of its sidecar or scans.tsv has changed"]


def test_fewer_output_spaces_are_done_and_more_are_not(finished):
    assert finished(output_spaces=()) == []
    assert finished(output_spaces=("MNI", "other")) == ["maps in other are asked for"]


def test_a_unit_whose_files_are_gone_is_not_done(finished, tmp_path):
    (tmp_path / "out/sub-01.html").unlink()
    assert finished() == ["sub-01.html is gone"]


def test_a_copied_image_with_another_time_is_the_same(finished):
    for image in finished.images:
        os.utime(image, ns=(1, 1))
    assert finished() == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"state": "done"}', '"done"'])
def test_a_damaged_status_is_not_done(tmp_path, content):
    path = tmp_path / "status.json"
    path.write_text(content)
    assert read_status(path) is None


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


def test_a_young_table_of_many_units_is_left_to_the_group_level(tmp_path, monkeypatch):
    monkeypatch.setattr("ctwml_bids.bids.status.MANY", 2)
    for label in ("sub-01", "sub-02"):
        write_status(tmp_path / f"logs/{label}/status.json", UnitStatus(label, "queued"))
    table = rebuild_table(tmp_path)
    write_status(tmp_path / "logs/sub-02/status.json", UnitStatus("sub-02", "running"))
    assert "running" not in rebuild_table(tmp_path, lazy=True).read_text()
    os.utime(table, (1, 1))
    assert "running" in rebuild_table(tmp_path, lazy=True).read_text()
    write_status(tmp_path / "logs/sub-02/status.json", UnitStatus("sub-02", "failed"))
    assert "failed" in rebuild_table(tmp_path).read_text()
    monkeypatch.setattr("ctwml_bids.bids.status.MANY", 3)
    write_status(tmp_path / "logs/sub-01/status.json", UnitStatus("sub-01", "failed"))
    assert "queued" not in rebuild_table(tmp_path, lazy=True).read_text()


def test_statuses_are_read_one_by_one(tmp_path, monkeypatch):
    for label in ("sub-01", "sub-02", "sub-03"):
        write_status(tmp_path / f"logs/{label}/status.json", UnitStatus(label, "done"))
    read = []
    original = read_status
    monkeypatch.setattr(
        "ctwml_bids.bids.status.read_status",
        lambda path: read.append(path) or original(path),
    )
    assert next(statuses(tmp_path)).label == "sub-01"
    assert len(read) == 1


def test_an_image_is_known_by_size_and_time_and_else_by_content(tmp_path):
    image = tmp_path / "x.nii"
    image.write_bytes(b"abc")
    size, changed, digest = before = fingerprint(image)
    assert (size, digest) == (3, hashlib.sha256(b"abc").hexdigest())
    assert is_same_file(image, before)
    assert is_same_file(image, json.loads(json.dumps(before)))
    assert is_same_file(image, [size, changed, "not read"])
    assert not is_same_file(image, [size, changed, "another"], by_content=True)
    assert is_same_file(image, [size, changed], by_content=True)
    assert is_same_file(image, [size, 0, digest])
    assert not is_same_file(image, [size, 0])
    image.write_bytes(b"abcd")
    assert not is_same_file(image, before)
    assert not is_same_file(tmp_path / "none.nii", before)


def test_a_file_that_cannot_be_read_never_counts_as_the_same(tmp_path, monkeypatch):
    image = tmp_path / "a.nii.gz"
    image.write_bytes(b"0123")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", str(image))

    monkeypatch.setattr(Path, "open", refuse)
    facts = fingerprint(image)
    assert facts[0] == 4
    assert not is_same_file(image, facts, by_content=True)


ODD = {
    "label": ["", "../sub-01", "a/b", "/", 3, None],
    "state": [None, 3, ["done"]],
    "exit_code": ["0", None, 1.5],
    "seconds": ["3", [], 10**400],
    "outputs": [None, "sub-01.html", {"a": 1}, [3], ["../x"], ["/etc/passwd"], ["a" * 70_000]],
    "hashes": [None, [], "a"],
    "versions": [3],
    "request": [
        None,
        [],
        {"inputs": []},
        {"inputs": {"/dev/zero": [0, 0, ""]}},
        {"inputs": {"../../x": [0, 0, ""]}},
        {"inputs": {"a": None}},
        {"inputs": {"a": []}},
        {"inputs": {"a": ["1", 2, "3"]}},
        {"inputs": {"a": [1, 2, 3]}},
        {"inputs": {"a": [1, 2, ""]}, "output_spaces": 3},
    ],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in ODD.items() for value in values]
)
def test_a_status_with_a_value_that_none_has_cannot_be_read(tmp_path, field, value):
    path = tmp_path / "logs/sub-01/status.json"
    write_status(path, DONE)
    path.write_text(json.dumps({**dataclasses.asdict(DONE), field: value}))
    assert read_status(path) is None


def test_a_status_that_is_nested_deeply_cannot_be_read(tmp_path):
    path = tmp_path / "status.json"
    path.write_text('{"request": ' + "[" * 100_000)
    assert read_status(path) is None
