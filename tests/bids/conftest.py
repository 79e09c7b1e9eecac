"""Small real data sets on disk for the tests of this folder."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest


class Raw:
    """A BIDS data set that grows one file at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.json("dataset_description.json", {"Name": "small", "BIDSVersion": "1.11.1"})

    def json(self, name: str, content: object) -> Path:
        return self.text(name, json.dumps(content))

    def text(self, name: str, content: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path

    def image(
        self,
        name: str,
        shape: tuple[int, ...] = (8, 8, 8),
        spacing: tuple[float, float, float] = (1.0, 1.0, 5.0),
        sidecar: dict | None = None,
        axes: str = "RAS",
    ) -> Path:
        """A NIfTI image; `axes` gives the world axis (R, A, S) of each array axis."""
        affine = np.eye(4)
        affine[:3, :3] = 0
        for column, axis in enumerate(axes):
            affine["RAS".index(axis), column] = spacing[column]
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
        nib.Nifti1Image(data, affine).to_filename(path)
        if sidecar is not None:
            self.json(name.split(".")[0] + ".json", sidecar)
        return path


@pytest.fixture
def raw(tmp_path: Path) -> Raw:
    return Raw(tmp_path / "raw")
