"""What the page of a unit that failed shows of its images."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.bids.units import Unit
from ctwml_bids.unit import failing
from ctwml_bids.unit.failing import Failed, look_at, report_failed


@pytest.fixture
def ct(tmp_path):
    path = tmp_path / "bids/sub-01/ct/sub-01_ct.nii.gz"
    path.parent.mkdir(parents=True)
    voxels = np.random.default_rng(0).normal(30, 5, (30, 40, 12)).astype(np.float32)
    nib.save(nib.Nifti1Image(voxels, np.diag([-2.0, 2.0, 5.0, 1.0])), path)
    return path


def test_an_image_is_described_as_its_header_says_and_shown(ct, tmp_path):
    about, figure = look_at("ct", ct, tmp_path / "bids")
    assert about["File"] == "sub-01/ct/sub-01_ct.nii.gz"
    assert about["Voxels"] == "30 × 40 × 12"
    assert about["Voxel size (mm)"] == "2.00 × 2.00 × 5.00"
    assert (about["Orientation"], about["Could be read"]) == ("LAS", "yes")
    assert figure.title == "CT as it was read"


def test_a_truncated_image_is_described_by_its_header(ct, tmp_path):
    ct.write_bytes(ct.read_bytes()[:20_000])
    about, figure = look_at("ct", ct, tmp_path / "bids")
    assert about["Voxels"] == "30 × 40 × 12"
    assert about["Could be read"].startswith("the header alone: ")
    assert figure is None


@pytest.mark.parametrize("content", [b"", b"no image at all", None])
def test_what_is_no_image_is_told_and_raises_nothing(ct, tmp_path, content):
    ct.unlink() if content is None else ct.write_bytes(content)
    about, figure = look_at("ct", ct, tmp_path / "bids")
    assert about["Could be read"].startswith("no: ")
    assert str(tmp_path) not in about["Could be read"]
    assert figure is None


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4, 5)])
def test_what_is_no_volume_is_not_shown(ct, tmp_path, shape):
    nib.save(nib.Nifti1Image(np.zeros(shape, np.int16), np.eye(4)), ct)
    about, figure = look_at("ct", ct, tmp_path / "bids")
    assert (about["Could be read"], figure) == ("the header; not shown", None)


def test_an_image_that_would_fill_the_memory_is_not_shown(ct, tmp_path, monkeypatch):
    monkeypatch.setattr(failing, "MOST_BYTES", 30 * 40 * 12 * 4)
    assert look_at("ct", ct, tmp_path / "bids")[1] is not None
    monkeypatch.setattr(failing, "MOST_BYTES", 30 * 40 * 12 * 4 - 1)
    about, figure = look_at("ct", ct, tmp_path / "bids")
    assert (about["Could be read"], figure) == ("the header; not shown", None)


def test_the_page_links_to_the_crash_files_that_are_there(ct, tmp_path):
    out = tmp_path / "out"
    (out / "logs/sub-01").mkdir(parents=True)
    (out / "logs/sub-01/crash-1.txt").write_text("Traceback")
    failed = Failed("read_ct", "It is bad.", "BadDataError", 65, "2026-01-01T00:00:00+00:00")
    page = report_failed(
        Unit("01", None, ct, None),
        failed,
        bids_dir=tmp_path / "bids",
        output_dir=out,
        version="0.2.0",
    )
    assert 'href="logs/sub-01/crash-1.txt"' in page
    assert page.count("data:image/png") == 1
    assert str(tmp_path) not in page
