"""Whether two output folders are the same result."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np


def is_same_result(one: Path, other: Path) -> None:
    """Compare results: the same files, equal voxel by voxel and number by number."""
    for root in (one, other):
        assert (root / "sub-01.html").is_file()
        assert (root / "group.html").is_file()
    assert results(one).keys() == results(other).keys()
    assert sum(name.endswith(".nii.gz") for name in results(one)) > 10
    for name, path in results(one).items():
        if name.endswith(".nii.gz"):
            first, second = nib.load(path), nib.load(results(other)[name])
            np.testing.assert_array_equal(first.affine, second.affine, err_msg=name)
            np.testing.assert_array_equal(
                np.asanyarray(first.dataobj), np.asanyarray(second.dataobj), err_msg=name
            )
        elif name.endswith((".tsv", ".txt")):
            assert path.read_text() == results(other)[name].read_text(), name


def results(root: Path) -> dict[str, Path]:
    """Files of an output folder by their names in it, without logs."""
    files = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
    return {name: path for name, path in files.items() if not name.startswith("logs/")}
