"""How much memory steps need, by the size of their images."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.unit.memory import NEEDS, OF_ALL, OF_ONE, megavoxels, step_gb, unit_gb


def test_voxels_are_counted_from_headers_alone(tmp_path):
    whole, broken = tmp_path / "whole.nii.gz", tmp_path / "broken.nii.gz"
    nib.Nifti1Image(np.zeros((100, 50, 20), np.int16), np.eye(4)).to_filename(whole)
    broken.write_bytes(b"no image")
    found = megavoxels({"ct": whole})
    assert found == {"ct": pytest.approx(0.1)}
    assert megavoxels({"ct": broken, "flair": tmp_path / "none.nii"}) == {"ct": 0, "flair": 0}


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("shape", [(30, 20, 10), (30, 20, 10, 2), (30, 20)])
def test_voxels_are_those_of_nibabel_in_any_header(tmp_path, kind, order, shape):
    header = kind.header_class(endianness=order)
    path = tmp_path / "image.nii"
    kind(np.zeros(shape, np.int16), np.eye(4), header).to_filename(path)
    assert nib.load(path).header.endianness == order
    assert megavoxels({"ct": path}) == {"ct": np.prod(nib.load(path).shape[:3]) / 1e6}


def test_a_units_need_is_that_of_its_largest_step():
    sizes = {"ct": 100.0, "flair": 10.0}
    every = [step_gb(kind, 100.0) for kind in OF_ONE] + [step_gb(kind, 110.0) for kind in OF_ALL]
    assert unit_gb(sizes) == max(every)
    assert unit_gb(sizes, deformable=True) == max(*every, step_gb("deform", 100.0))
    assert {*OF_ONE, *OF_ALL, "deform"} == set(NEEDS)
