from __future__ import annotations

import errno
import json
import subprocess
import sys
import textwrap

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.bids import files
from ctwml_bids.bids.files import read_tsv, write_tsv
from ctwml_bids.errors import BadDataError, CannotCreateError, InputOutputError


def test_files_are_written_whole_with_their_folders(tmp_path):
    path = tmp_path / "a" / "b" / "x.json"
    files.write_json(path, {"ä": [1.5, float("nan"), np.float32(2)], "n": np.int64(3)})
    assert json.loads(path.read_text(encoding="utf-8")) == {"ä": [1.5, None, 2.0], "n": 3}
    assert [entry.name for entry in path.parent.iterdir()] == ["x.json"]


def test_tables_have_na_for_what_is_missing_and_no_stray_tabs(tmp_path):
    rows = [{"id": "a\tb", "ml": 1 / 3, "ok": True}, {"id": "", "ml": float("nan")}]
    path = files.write_tsv(tmp_path / "t.tsv", rows)
    assert path.read_text() == "id\tml\tok\na b\t0.333333\ttrue\nn/a\tn/a\tn/a\n"
    files.write_tsv(path, [], ["id"])
    assert path.read_text() == "id\n"


@pytest.mark.parametrize(
    "cell", ['"quoted', '"whole"', "a 'b'", "5,1; 3", "Ä", 'GE "Optima" CT', "", "# no remark"]
)
def test_a_table_is_read_back_as_it_was_written(tmp_path, cell):
    """A scanner whose name begins with a quote took in the rows after it."""
    rows = [{"image": "ct", "scanner": cell}, {"image": "flair", "scanner": cell}]
    path = files.write_tsv(tmp_path / "a.tsv", rows)
    assert files.read_tsv(path) == [{**row, "scanner": cell or "n/a"} for row in rows]
    assert files.read_tsv(files.write_tsv(path, [], ["image", "scanner"])) == []
    path.write_text("image\tscanner\nct\n")
    with pytest.raises(ValueError, match="shorter"):
        files.read_tsv(path)


def test_an_image_comes_back_as_it_was_and_twice_the_same_bytes(tmp_path):
    data = np.arange(64, dtype=np.uint8).reshape(4, 4, 4)
    image = nib.Nifti1Image(data, np.diag([1, 2, 3, 1]))
    first = files.write_nifti(tmp_path / "a_mask.nii.gz", image)
    second = files.write_nifti(tmp_path / "b_mask.nii.gz", image)
    assert np.array_equal(np.asarray(nib.load(first).dataobj), data)
    assert first.read_bytes() == second.read_bytes()


def test_an_image_may_replace_the_file_that_it_was_read_from(tmp_path):
    path = tmp_path / "a.nii.gz"
    files.write_nifti(path, nib.Nifti1Image(np.ones((4, 4, 4), np.float32), np.eye(4)))
    files.write_nifti(path, nib.load(path))
    assert nib.load(path).get_fdata().sum() == 64


def test_a_failure_leaves_the_old_file_and_no_temporary(tmp_path):
    path = files.write_text(tmp_path / "x.txt", "old")
    for error in (RuntimeError, KeyboardInterrupt):

        def half(temporary, error=error):
            temporary.write_text("half")
            raise error

        with pytest.raises(error):
            files._atomically(path, half)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_grows_past_the_limit_of_the_system_is_a_full_disk(tmp_path):
    code = """
        import resource, signal, sys
        from pathlib import Path
        from ctwml_bids.bids.files import write_bytes
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write_bytes(Path(sys.argv[1]), b"x" * 5000)
        except Exception as error:
            sys.exit(f"{type(error).__name__} {error}")
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "big.bin")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "InputOutputError" in run.stderr
    assert "big.bin" in run.stderr
    assert "full" in run.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, InputOutputError),
        (errno.EDQUOT, InputOutputError),
        (errno.EIO, InputOutputError),
        (errno.EACCES, CannotCreateError),
        (errno.EROFS, CannotCreateError),
    ],
)
def test_failures_of_the_system_become_typed_errors(tmp_path, number, kind):
    error = files.explain_os_error(OSError(number, "told by the system"), tmp_path / "x")
    assert type(error) is kind
    assert str(tmp_path / "x") in str(error)


def test_a_file_where_a_folder_is_needed_cannot_be_created(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "x.txt", tmp_path / "file" / "deep" / "x.txt"):
        with pytest.raises(CannotCreateError):
            files.write_text(path, "x")


def test_a_copy_is_a_new_file_and_needs_its_source(tmp_path):
    source = files.write_text(tmp_path / "a", "content")
    copy = files.copy_into(source, tmp_path / "b" / "a")
    assert copy.read_text() == "content"
    assert not copy.is_symlink()
    with pytest.raises(BadDataError, match="absent"):
        files.copy_into(tmp_path / "absent", tmp_path / "c")


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("  @SUM(1)", "'@SUM(1)"),
        ("+1+cmd|x", "'+1+cmd|x"),
        ("-2+3", "'-2+3"),
        ("-x", "'-x"),
        ("'=1", "'=1"),
        ("-2.5", "-2.5"),
        ("+3", "+3"),
        ("-1e-05", "-1e-05"),
        ("-", "-"),
        ("a=b", "a=b"),
        (-0.5, "-0.5"),
    ],
)
def test_no_cell_is_a_formula_that_a_spreadsheet_runs(tmp_path, cell, written):
    path = write_tsv(tmp_path / "a.tsv", [{"a": cell}])
    assert path.read_text() == f"a\n{written}\n"
    # Written again, as a table that is brought up to date, it stays as it is.
    assert write_tsv(path, read_tsv(path)).read_text() == f"a\n{written}\n"
