"""A user's own head on the network's grid, laid there as `participant` lays it, with its lesions.

Image and brain mask come through the same functions as at the participant level, the lesions in
one interpolation from the image that they were drawn or found on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.modality import MODALITIES
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on
from ctwml_bids.preprocessing.hounsfield import read_ct
from ctwml_bids.preprocessing.images import read_flair
from ctwml_bids.preprocessing.normalisation import to_grid
from ctwml_bids.segmentation.inputs import network_channels

# A CT's own brain mask further from the one it was measured in would have failed a gate.
_LEAST_DICE = 0.9


@dataclass(frozen=True)
class HeadFiles:
    """Files and transforms of one head; transforms are 4×4, RAS mm.

    Attributes
    ----------
    modality
        "ct" or "flair".
    image
        Of the data set.
    brain
        Brain mask that the image was measured in.
    own_brain
        The CT's own, where it was measured in the FLAIR's; else None.
    template_to_image
        Template points → image points.
    truth
        Lesion mask.
    image_to_truth
        Image points → points of the image that the mask is on.
    """

    modality: str
    image: Path
    brain: Path
    own_brain: Path | None
    template_to_image: np.ndarray
    truth: Path
    image_to_truth: np.ndarray


@dataclass(frozen=True)
class LaidHead:
    """A head on the grid.

    Attributes
    ----------
    inputs
        "used" and perhaps "own", by the brain mask, → (channels, x, y, z) float32.
    labels
        Lesions, (x, y, z) uint8.
    """

    inputs: dict[str, np.ndarray]
    labels: np.ndarray


def lay(files: HeadFiles, grid: Grid, channels: tuple[str, ...]) -> LaidHead:
    """Lay a head on the network's grid.

    A CT whose own brain mask is at hand is laid under both masks: networks that saw the FLAIR's
    alone would meet the CT's for the first time on a patient without a FLAIR.

    Parameters
    ----------
    files
        Of the head.
    grid
        The network's.
    channels
        As a model's card names them.

    Raises
    ------
    NoInputError, BadDataError
        If a file is missing or cannot be used.
    """
    transform = files.template_to_image
    array = image_on_grid(files.image, files.modality, transform, grid)
    masks = {"used": _mask_on(files.brain, transform, grid)}
    if files.own_brain is not None:
        own = _mask_on(files.own_brain, transform, grid)
        both = np.count_nonzero(own & masks["used"])
        if 2 * both >= _LEAST_DICE * (np.count_nonzero(own) + np.count_nonzero(masks["used"])):
            masks["own"] = own
    truth_frame = files.image_to_truth @ transform
    return LaidHead(
        {name: network_channels(array, mask, channels) for name, mask in masks.items()},
        _mask_on(files.truth, truth_frame, grid).astype(np.uint8),
    )


def image_on_grid(
    path: Path, modality: str, template_to_image: np.ndarray, grid: Grid
) -> np.ndarray:
    """Read a CT (HU) or FLAIR of the data set onto the network's grid, float32, (x, y, z).

    Raises
    ------
    NoInputError, BadDataError
        If it is missing or cannot be used.
    """
    read = read_ct if modality == "ct" else read_flair
    image = read(path, settled=True).image
    return to_grid(image, template_to_image, grid, fill=MODALITIES[modality].fill)


def load_mask(path: Path) -> nib.Nifti1Image:
    """Load a mask as float32 of 0 and 1, on its own grid.

    Raises
    ------
    NoInputError, BadDataError
        If it is missing, or is no 3D image.
    """
    if not path.is_file():
        raise NoInputError(f"{path}: there is no such mask; run `participant` again for it.")
    try:
        image = nib.load(path)
        values = np.asarray(image.dataobj)
    except (nib.filebasedimages.ImageFileError, OSError, EOFError, ValueError) as error:
        raise BadDataError(f"{path}: this mask cannot be read ({error}).") from error
    values = values.reshape(values.shape[:3]) if values.ndim > 3 else values
    if values.ndim != 3:
        raise BadDataError(f"{path}: a mask has three dimensions, this has {values.ndim}.")
    return image_on((values > 0).astype(np.float32), grid_of(image))


def _mask_on(path: Path, transform: np.ndarray, grid: Grid) -> np.ndarray:
    return to_grid(load_mask(path), transform, grid, fill=0.0) >= 0.5
