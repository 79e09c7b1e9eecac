"""From a native image to the network's frame and back.

The frame has the template's axes. The map from template to native points has exactly nine
parameters, M = T·R·S: scales along the template's axes, then a rotation, then a translation
(`nine_parameters`). Each way there is one interpolation.
"""

from __future__ import annotations

from collections.abc import Sequence

import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids.errors import BadDataError
from ctwml_bids.geometry import PERIVENTRICULAR_MM
from ctwml_bids.preprocessing.grids import Grid, resample

# Value outside the brain and limit of every channel (Pitkänen et al. 2020: z-scores cut at ±3).
BACKGROUND = -3.0

# Grey and white matter lie at 25–40 HU; (HU − 30) / 10 brings brain and CSF (0 HU) into ±3.
_HU_CENTRE, _HU_PER_UNIT = 30.0, 10.0

# Nine parameters leave local differences of shape; this much room keeps the brain inside (mm).
_MARGIN_MM = 8.0
# Steps of a probability in the maps that are written.
_STEPS = np.float32(1024)
# Values further than this many robust SDs from the median do not count for mean and SD.
_ROBUST_SDS = 5.0


def network_grid(
    template_mask: nib.Nifti1Image, spacing: tuple[float, float, float] = (1.0, 1.0, 3.0)
) -> Grid:
    """Return the grid on which the networks see the brain.

    Parameters
    ----------
    template_mask
        Brain mask of the template.
    spacing
        Voxel edges in mm along R, A and S.

    Returns
    -------
    Grid
        RAS axes; the box of the brain with a margin of 8 mm; as many voxels along x and y as a
        multiple of 8, the network's pooling. The box is centred on the brain's own box, so that
        a symmetric template stays symmetric under a flip of the first axis.
    """
    points = np.argwhere(np.asarray(template_mask.dataobj) > 0)
    if len(points) == 0:
        raise BadDataError("The template's brain mask is empty.")
    corners = nib.affines.apply_affine(template_mask.affine, [points.min(0), points.max(0)])
    low, high = np.sort(corners, axis=0)
    steps = np.asarray(spacing, dtype=float)
    counts = np.ceil((high - low + 2 * _MARGIN_MM) / steps).astype(int)
    counts[:2] = -(-counts[:2] // 8) * 8
    affine = np.diag([*steps, 1.0])
    affine[:3, 3] = (low + high) / 2 - (counts - 1) / 2 * steps
    return Grid((int(counts[0]), int(counts[1]), int(counts[2])), affine)


def to_grid(
    image: nib.Nifti1Image,
    template_to_native: np.ndarray,
    grid: Grid,
    *,
    fill: float,
) -> np.ndarray:
    """Bring a native image onto the network's grid in one linear interpolation.

    Voxels smaller than the grid's are averaged over the grid's voxel, slices thinner than its
    slices over the slab.

    Parameters
    ----------
    image
        Native image.
    template_to_native
        4×4, RAS mm, template points → native points.
    grid
        Where values are wanted, in template space.
    fill
        Value outside the image: −1024 for HU, 0 for FLAIR and masks.

    Returns
    -------
    numpy.ndarray
        float32, shape (x, y, z) of the grid.
    """
    array = np.asarray(image.dataobj, dtype=np.float32)
    return resample(array, image.affine, grid, template_to_native, fill=fill, average=True)


def white_matter_on_grid(
    white_matter: nib.Nifti1Image,
    ventricles: nib.Nifti1Image,
    grid: Grid,
    template_to_native: np.ndarray,
    guide_to_native: np.ndarray,
) -> np.ndarray:
    """Say where white matter may be in a head, by the guide, which is the packaged template.

    Within `PERIVENTRICULAR_MM` of the guide's lateral ventricles, and in them, it is 1: where
    ventricles are narrower or shorter than the guide's, or its fornix and hippocampus lie, other
    heads have white matter.

    Parameters
    ----------
    white_matter, ventricles
        Probability of white matter and mask of the lateral ventricles, in the guide's space.
    grid
        The network's grid, in the space of the run's template.
    template_to_native, guide_to_native
        4×4, RAS mm, nine parameters each; the same where the run's template is the guide.

    Returns
    -------
    numpy.ndarray
        float32, 0 to 1, shape (x, y, z) of the grid.
    """
    to_guide = np.linalg.inv(guide_to_native) @ template_to_native
    white, fluid = (to_grid(i, to_guide, grid, fill=0.0) for i in (white_matter, ventricles))
    distance = ndimage.distance_transform_edt(fluid <= 0.5, sampling=grid.spacing)
    return np.maximum(white, distance <= PERIVENTRICULAR_MM).astype(np.float32)


def from_grid(
    array: np.ndarray, grid: Grid, template_to_native: np.ndarray, native: Grid
) -> np.ndarray:
    """Bring an array on the network's grid onto a native grid in one linear interpolation.

    Parameters
    ----------
    array
        Shape ``grid.shape``, for instance a probability.
    grid
        The network's grid, in template space.
    template_to_native
        4×4, RAS mm, template points → native points: the same matrix as for `to_grid`.
    native
        Grid of the native image; may be sheared or flipped.

    Returns
    -------
    numpy.ndarray
        float32, shape ``native.shape``; 0 outside the network's grid.
    """
    return resample(array, grid.affine, native, np.linalg.inv(template_to_native))


def rounded(probability: np.ndarray) -> np.ndarray:
    """Round a probability to steps of 1/1024, so that its compressed file is a fourth as large.

    bfloat16, in which the networks run where they can, is less exact than that.
    """
    return np.round(probability * _STEPS) / _STEPS


def zscore(array: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Standardise an image by the mean and SD within a mask.

    Parameters
    ----------
    array
        Shape (x, y, z), any unit.
    mask
        Same shape; inside where > 0.5.

    Returns
    -------
    numpy.ndarray
        float32: (value − mean) / SD, cut to [−3, 3]; −3 outside the mask (Pitkänen et al. 2020).
        Mean and SD leave out values further than five robust SDs (1.4826 · median absolute
        deviation) from the median: a rim of bone in a CT's mask would otherwise set the SD.

    Raises
    ------
    BadDataError
        If the mask is empty or the image is constant within it.
    """
    inside = np.asarray(mask) > 0.5
    values = np.asarray(array, dtype=np.float64)[inside]
    if values.size == 0:
        raise BadDataError(
            "The brain mask is empty on the network's grid: look at the brain mask and at the "
            "normalisation of this image."
        )
    median = np.median(values)
    reach = _ROBUST_SDS * 1.4826 * np.median(np.abs(values - median))
    usual = values[np.abs(values - median) <= reach] if reach > 0 else values
    deviation = usual.std()
    if not deviation > 0:
        raise BadDataError("The image is constant within the brain mask and cannot be z-scored.")
    result = np.full(np.shape(array), BACKGROUND, dtype=np.float32)
    result[inside] = np.clip((values - usual.mean()) / deviation, -3.0, 3.0)
    return result


def hu_channel(array_hu: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Scale HU to the networks' range without reference to the individual brain.

    Parameters
    ----------
    array_hu
        HU, shape (x, y, z).
    mask
        Same shape; inside where > 0.5.

    Returns
    -------
    numpy.ndarray
        float32: (HU − 30) / 10, cut to [−3, 3]; −3 outside the mask.
    """
    scaled = np.clip((np.asarray(array_hu) - _HU_CENTRE) / _HU_PER_UNIT, -3.0, 3.0)
    return np.where(np.asarray(mask) > 0.5, scaled, BACKGROUND).astype(np.float32)


_CHANNELS = {"zscore": zscore, "hu": hu_channel}


def network_input(array: np.ndarray, mask: np.ndarray, channels: Sequence[str]) -> np.ndarray:
    """Stack the channels that a model asks for.

    Parameters
    ----------
    array
        Image on the network's grid, shape (x, y, z); in HU where "hu" is among the channels.
    mask
        Brain mask on the same grid.
    channels
        Names out of "zscore" and "hu", in the model's order.

    Returns
    -------
    numpy.ndarray
        float32, shape (channels, x, y, z).
    """
    unknown = sorted(set(channels) - set(_CHANNELS))
    if unknown or not channels:
        raise BadDataError(
            f"The model asks for the channels {list(channels)}; known are {sorted(_CHANNELS)}."
        )
    return np.stack([_CHANNELS[name](array, mask) for name in channels])
