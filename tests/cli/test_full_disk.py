from __future__ import annotations

import json

import pytest

from tests.small_disk import run_on_small_disk


@pytest.mark.parametrize("full", ["out", "work"])
def test_a_disk_without_room_for_a_subject_is_told_before_anything_is_done(dataset, tmp_path, full):
    folders = {name: tmp_path / name for name in ("out", "work")}
    arguments = (dataset, folders["out"], "participant", "-w", folders["work"])
    code, said, left = run_on_small_disk(folders[full], "1m", *arguments)
    assert code == 74
    assert f"{folders[full]}: 0.0 GB are free" in said
    assert "Make room" in said
    assert list(left.iterdir()) == []
    other = folders["work" if full == "out" else "out"]
    assert not other.exists()


def test_an_output_on_a_disk_that_may_only_be_read_is_told(dataset, tmp_path):
    out = tmp_path / "disk"
    arguments = (dataset, out / "out", "participant", "-w", tmp_path / "work")
    code, said, left = run_on_small_disk(out, "1g,ro", *arguments)
    assert code == 73
    assert f"{out / 'out'}: the folder cannot be created (Read-only file system)" in said
    assert "choose another folder" in said
    assert list(left.iterdir()) == []
    assert not (tmp_path / "work").exists()


def test_a_disk_that_others_fill_up_ends_the_run_and_says_so(dataset, tmp_path):
    out = tmp_path / "out"
    # The unit fails, as its image is no head; that cannot be written any more.
    arguments = (dataset, out, "participant", "--participant-label", "02", "-w", tmp_path / "work")
    code, said, left = run_on_small_disk(out, "1g", *arguments, label="sub-02")
    assert code == 74, said
    assert "Traceback" not in said
    assert "Logging error" not in said
    *_, message, entry = said.splitlines()
    assert "full" in message
    assert entry == "See docs/faq.md#exit-code-74"
    assert "make room" in message.lower()
    assert [path for path in left.rglob("*") if ".tmp" in path.name] == []
    # As it was before: whole, and not said to be done.
    assert json.loads((left / "logs/sub-02/status.json").read_text())["state"] == "running"
    assert not (left / "sub-02").exists()
