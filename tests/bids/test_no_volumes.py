"""What is no volume of a head is never chosen, and stops nobody."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.bids.selection import geometry
from ctwml_bids.bids.units import Skipped
from tests.bids.planned import plan
from tests.bids.test_selection import DISPUTED, ct, taken


def test_localisers_and_time_series_are_no_choice(raw):
    ct(raw, "acq-scout", shape=(250, 250, 1))
    ct(raw, "acq-perfusion", shape=(8, 8, 8, 20))
    ct(raw, "acq-head", shape=(8, 8, 8))
    assert taken(raw) == "sub-01_acq-head_ct.nii.gz"


def test_an_unreadable_image_is_no_choice(raw):
    ct(raw, "run-1")
    raw.text("sub-01/ct/sub-01_run-2_ct.nii.gz", "not an image")
    assert taken(raw) == "sub-01_run-1_ct.nii.gz"


def test_damaged_headers_are_no_choice_and_stop_nobody(raw):
    ct(raw, "run-1")
    for run, at, byte in ((2, 71, 0x27), (3, 108, 0xFF)):
        path = raw.image(f"sub-01/ct/sub-01_run-{run}_ct.nii.gz")
        content = bytearray(gzip.decompress(path.read_bytes()))
        content[at : at + 4] = bytes([byte]) * 4
        path.write_bytes(gzip.compress(content))
    path = raw.image("sub-01/ct/sub-01_run-4_ct.nii.gz")
    path.write_bytes(path.read_bytes()[:12] + b"\xff" * 60)
    assert taken(raw) == "sub-01_run-1_ct.nii.gz"
    (raw.root / "sub-01/ct/sub-01_run-1_ct.nii.gz").unlink()
    (skipped,) = plan(raw.root)
    assert isinstance(skipped, Skipped)
    assert "can be read as a 3D volume" in skipped.reason


RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


def _empty(path):
    path.write_bytes(b"")


def _text(path):
    path.write_text("hello")


def _cut(path):
    path.write_bytes(path.read_bytes()[:200])


def _packed_text(path):
    path.write_bytes(gzip.compress(b"hello" * 200))


def _header(at, content):
    def spoil(path):
        whole = bytearray(gzip.decompress(path.read_bytes()))
        whole[at : at + len(content)] = content
        path.write_bytes(gzip.compress(bytes(whole)))

    return spoil


def _like(shape, dtype=np.int16):
    def spoil(path):
        nib.save(nib.Nifti1Image(np.zeros(shape, dtype), np.diag([1, 1, 5, 1.0])), path)

    return spoil


# What is no volume of numbers, and more than enough of it to be the largest.
NO_VOLUMES = {
    "empty": _empty,
    "text": _text,
    "cut": _cut,
    "packed text": _packed_text,
    "unknown type": _header(70, b"\x77\x77"),
    "no size": _header(280, b"\0" * 48),
    "picture": _like((64, 64)),
    "one slice": _like((64, 64, 1)),
    "series": _like((16, 16, 40, 3)),
    "colours": _like((16, 16, 40), RGB),
    "complex": _like((16, 16, 40), np.complex64),
}


@pytest.mark.parametrize("kind", NO_VOLUMES)
@pytest.mark.parametrize("sidecar", [None, {"SeriesDescription": "CT HEAD NATIVE"}, DISPUTED])
def test_what_is_no_volume_stops_nobody_and_is_not_chosen(raw, kind, sidecar):
    path = raw.image("sub-01/ct/sub-01_ct.nii.gz", sidecar=sidecar)
    NO_VOLUMES[kind](path)
    for run in "123":
        raw.image(f"sub-02/ct/sub-02_run-{run}_ct.nii.gz", sidecar=sidecar)
    # Two of three: the one that is left is the only volume.
    for run in "12":
        NO_VOLUMES[kind](raw.root / f"sub-02/ct/sub-02_run-{run}_ct.nii.gz")
    first, second = plan(raw.root)
    # Alone, it fails in its own step, which says what is wrong.
    assert first.ct == path
    assert second.ct.name == "sub-02_run-3_ct.nii.gz"
    assert "the only 3D volume" in second.notes[0]


@pytest.mark.parametrize("kind", NO_VOLUMES)
def test_images_of_which_none_is_a_volume_skip_their_session_alone(raw, kind):
    for run in "12":
        path = raw.image(f"sub-01/ct/sub-01_run-{run}_ct.nii.gz", sidecar=DISPUTED)
        NO_VOLUMES[kind](path)
        assert geometry(path) is None
    raw.image("sub-02/ct/sub-02_ct.nii.gz")
    first, second = plan(raw.root)
    assert isinstance(first, Skipped)
    assert "can be read as a 3D volume" in first.reason
    assert second.subject == "02"
