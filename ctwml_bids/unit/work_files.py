"""What the thin wrappers share: reading and writing the small files that pass between nodes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np

from ctwml_bids.image_files import load_nifti
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on
from ctwml_bids.reading import read_json
from ctwml_bids.unit.records import Brain, Facts


def node_file(runtime_cwd: str, name: str) -> str:
    """Return an absolute path in the node's working folder."""
    return os.path.join(runtime_cwd, name)


def save_image(array: np.ndarray, grid: Grid, path: str) -> str:
    """Save an array on a grid, uncompressed: work files are read more often than stored."""
    image_on(array, grid).to_filename(path)
    return path


def load_image(path: str) -> nib.Nifti1Image:
    """Load a work image with its data in memory as float32."""
    image = load_nifti(path)
    return image_on(np.asarray(image.dataobj, dtype=np.float32), grid_of(image))


def load_mask(path: str) -> nib.Nifti1Image:
    """Load a work mask with its data in memory as uint8."""
    image = load_nifti(path)
    return image_on(np.asarray(image.dataobj).astype(np.uint8), grid_of(image))


def save_matrix(matrix: np.ndarray, path: str) -> str:
    """Save a 4×4 RAS mm matrix at full precision (work files; ITK text only at the edge)."""
    np.savetxt(path, matrix, fmt="%.17g")
    return path


def save_facts(facts: Facts, path: str) -> str:
    """Save numbers and strings as JSON; NumPy scalars and arrays become plain ones."""
    Path(path).write_text(json.dumps(facts, indent=1, default=_plain))
    return path


def save_brain(whole: np.ndarray, seen: np.ndarray, facts: Facts, grid: Grid, folder: str) -> Brain:
    """Save a brain mask, `whole` and without what no slice shows, and how it was found."""
    path = save_image(whole, grid, node_file(folder, "whole.nii"))
    return Brain(
        mask=path if seen is whole else save_image(seen, grid, node_file(folder, "mask.nii")),
        whole=path,
        facts=save_facts(facts, node_file(folder, "facts.json")),
    )


def load_facts(path: str) -> Facts:
    """Load what `save_facts` wrote."""
    facts: Facts = read_json(Path(path))
    return facts


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)
