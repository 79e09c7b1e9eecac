"""A unit's example picture with its out-of-fold lesions, from which the group level takes some."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ctwml_bids.image_files import load_nifti
from ctwml_bids.modality import CT, FLAIR, MODALITIES
from ctwml_bids.preprocessing.grids import Grid, grid_of, resample
from ctwml_bids.preprocessing.hounsfield import read_ct
from ctwml_bids.preprocessing.normalisation import to_grid
from ctwml_bids.reports.examples import Shown, example
from ctwml_bids.reports.figures import CT_WINDOW, image_window
from ctwml_bids.training.heads import Case
from ctwml_bids.unit.modalities import FUNCTIONS


def picture(
    case: Case, lesions: Mapping[str, np.ndarray], grid: Grid, brain_mask: Path
) -> bytes | None:
    """Make the picture as `participant` does.

    Parameters
    ----------
    case
        The unit.
    lesions
        "ct" and/or "flair", the image that they were seen in → bool, (x, y, z) on ``grid``.
    grid
        Of the file of the FLAIR, or of a CT without one.
    brain_mask
        On the same image.

    Returns
    -------
    bytes or None
        PNG; None where the brain mask is no brain.
    """
    space = "flair" if "flair" in case.images else "ct"
    image = FUNCTIONS[space].read(case.images[space], settled=True).image
    on = grid_of(image)
    mask = load_nifti(brain_mask)
    brain = resample(np.asarray(mask.dataobj) > 0, mask.affine, on) >= 0.5
    array = np.asarray(image.dataobj)
    arrays, windows = {space: array}, {CT.name: CT_WINDOW, FLAIR.name: CT_WINDOW}
    if not MODALITIES[space].is_hounsfield:
        windows[space] = image_window(array, brain)
        arrays = {CT.name: _ct_on(case, on), **arrays} if CT.name in case.images else arrays
    shown = [
        Shown(name.upper(), arrays[name], _on(lesions[name], grid, on), windows[name])
        for name in arrays
    ]
    return example(shown, on.affine, brain=brain)


def _ct_on(case: Case, grid: Grid) -> np.ndarray:
    """Return the CT of a pair on a grid in FLAIR space, in HU."""
    ct = read_ct(case.images["ct"], settled=True).image
    return to_grid(ct, case.matrix("flair", "ct"), grid, fill=-1000.0)


def _on(lesions: np.ndarray, grid: Grid, on: Grid) -> np.ndarray:
    """Bring lesions from the grid of a file to that on which the image was read."""
    if on.shape == grid.shape and np.allclose(on.affine, grid.affine, atol=1e-3):
        return lesions
    return resample(lesions, grid.affine, on) >= 0.5
