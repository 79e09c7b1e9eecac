"""What the thin wrappers share: reading and writing the small files that pass between nodes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on


def node_file(runtime_cwd: str, name: str) -> str:
    """Return an absolute path in the node's working folder."""
    return os.path.join(runtime_cwd, name)


def save_image(array: np.ndarray, grid: Grid, path: str) -> str:
    """Save an array on a grid, uncompressed: work files are read more often than stored."""
    image_on(array, grid).to_filename(path)
    return path


def load_image(path: str) -> nib.Nifti1Image:
    """Load a work image with its data in memory as float32."""
    image = nib.load(path)
    return image_on(np.asarray(image.dataobj, dtype=np.float32), grid_of(image))


def load_mask(path: str) -> nib.Nifti1Image:
    """Load a work mask with its data in memory as uint8."""
    image = nib.load(path)
    return image_on(np.asarray(image.dataobj).astype(np.uint8), grid_of(image))


def save_matrix(matrix: np.ndarray, path: str) -> str:
    """Save a 4×4 RAS mm matrix at full precision (work files; ITK text only at the edge)."""
    np.savetxt(path, matrix, fmt="%.17g")
    return path


def save_facts(facts: dict[str, Any], path: str) -> str:
    """Save numbers and strings as JSON; NumPy scalars and arrays become plain ones."""
    Path(path).write_text(json.dumps(facts, indent=1, default=_plain))
    return path


def save_masks(
    results: dict[str, Any],
    whole: np.ndarray,
    seen: np.ndarray,
    grid: Grid,
    folder: str,
) -> None:
    """Set a brain mask's two outputs: `whole`, and `mask` without what no slice shows."""
    results["whole"] = save_image(whole, grid, node_file(folder, "whole.nii"))
    results["mask"] = (
        results["whole"] if seen is whole else save_image(seen, grid, node_file(folder, "mask.nii"))
    )


def load_facts(path: str) -> dict[str, Any]:
    """Load what `save_facts` wrote."""
    return json.loads(Path(path).read_text())


def model_card(context: Mapping[str, Any], image: str) -> dict[str, Any]:
    """Return the card of the model that an image was segmented with.

    Without what the run adds to it: the fingerprint of weights and settings in one, which is the
    checksum of no file and would be taken for that of one.
    """
    return {key: value for key, value in context["models"][image].items() if key != "checksum"}


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)
