from __future__ import annotations

import pytest

from ctwml_bids.bids.files import COMPLETE, note
from ctwml_bids.bids.outputs import listed_by_others, read_notes, remove_old, written_before
from ctwml_bids.bids.status import UnitStatus, write_status


@pytest.fixture
def out(tmp_path):
    """An output folder with three files of a unit, beside a folder that is not ours."""
    for path in ("out/sub-01/anat/a", "out/sub-01/anat/b", "out/sub-01.html", "else/a"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    return tmp_path / "out"


def test_names_are_read_back_and_whether_they_are_all(out):
    notes = out / "logs/sub-01/written.txt"
    assert read_notes(notes) == ([], False)
    note(notes, "sub-01.html")
    note(notes, "sub-01/anat/a")
    assert read_notes(notes) == (["sub-01.html", "sub-01/anat/a"], False)
    note(notes, COMPLETE)
    assert read_notes(notes) == (["sub-01.html", "sub-01/anat/a"], True)


def test_a_line_that_a_kill_cut_off_is_no_name(out):
    notes = out / "written.txt"
    notes.write_text("sub-01/anat/a\nsub-01/anat")
    assert read_notes(notes) == (["sub-01/anat/a"], False)


def test_what_a_killed_run_wrote_counts_as_written_before(out):
    status, notes = out / "status.json", out / "written.txt"
    assert written_before(out, status, notes) == []
    write_status(status, UnitStatus("sub-01", "running", outputs=["sub-01/anat/a", "sub-01/gone"]))
    notes.write_text("sub-01/anat/b\nsub-01/anat/never-made\n")
    assert written_before(out, status, notes) == ["sub-01/anat/a", "sub-01/anat/b"]


def test_only_what_is_old_is_removed(out):
    removed = remove_old(out, ["sub-01/anat/a", "sub-01/anat/b"], ["sub-01/anat/b", "sub-01.html"])
    assert removed == ["sub-01/anat/a"]
    assert not (out / "sub-01/anat/a").exists()
    assert (out / "sub-01/anat/b").exists()


def test_a_list_never_reaches_out_of_the_output_folder(out):
    (out / "link").symlink_to(out.parent / "else")
    theirs = out.parent / "else/a"
    names = [str(theirs), "../else/a", "sub-01/../../else/a", "link/a", "sub-01/anat", "", "."]
    assert remove_old(out, names, []) == []
    assert theirs.exists()
    assert (out / "sub-01/anat/a").exists()


def test_a_link_to_an_annexed_file_is_removed_as_a_link(out):
    (out / "sub-01/anat/c").symlink_to(out.parent / "else/a")
    assert remove_old(out, ["sub-01/anat/c"], []) == ["sub-01/anat/c"]
    assert not (out / "sub-01/anat/c").is_symlink()
    assert (out.parent / "else/a").exists()


def test_files_of_the_same_unit_with_another_model_are_known(out):
    mine, notes = out / "logs/sub-01/status.json", out / "logs/sub-01/written.txt"
    write_status(mine, UnitStatus("sub-01", "done", outputs=["sub-01/anat/a"]))
    other = UnitStatus("sub-01", "done", model_label="x", outputs=["sub-01/anat/b"])
    write_status(mine.with_name("status_desc-x.json"), other)
    note(notes.with_name("written_desc-y.txt"), "sub-01.html")
    note(notes, "sub-01/anat/c")
    assert listed_by_others(mine, notes) == {"sub-01/anat/b", "sub-01.html"}
