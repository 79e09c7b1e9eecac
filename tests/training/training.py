"""Runs of the train level on a small data set, and what they leave."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np

from ctwml_bids.cli.main import main

SMALL = [
    *("--folds", "2", "--repeats", "2", "--members", "2", "--steps", "25", "--batch", "4"),
    *("--precision", "float32", "--nprocs", "1"),
]
ROOT = Path(__file__).resolve().parents[2]


def train(root: Path, *options: object) -> int:
    """Train on a data set made by `trainable`; later options win over `SMALL`."""
    where = (root / "bids", root / "out", "train", "-w", root / "work", "--device", "cpu")
    return main([*map(str, where), *SMALL, *map(str, options)])


def units(root: Path, folder: str = "ct") -> dict[str, dict]:
    paths = sorted((root / "out/train" / folder / "units").glob("*/unit.json"))
    return {path.parent.name: json.loads(path.read_text()) for path in paths}


def maps(root: Path) -> dict[str, np.ndarray]:
    """Return every out-of-fold map on the network's grid, by unit and label."""
    paths = sorted((root / "out/train/ct/units").glob("*/maps/*.npz"))
    return {f"{p.parts[-3]}/{p.stem}": np.load(p)["probability"] for p in paths}


def image(root: Path, name) -> nib.Nifti1Image:
    return nib.load(root / "out" / name)
