"""Brain extraction on FLAIR: a coarse network, then the edge that the image itself shows."""

from __future__ import annotations

from collections.abc import Callable

import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing.brain_border import BrainMask, follow_tissue, largest
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on, resample
from ctwml_bids.preprocessing.head_grid import head_grid, network_view
from ctwml_bids.preprocessing.mr_floor import above_floor

# An image whose support has a brain's volume is taken as brain-extracted: whole heads have more.
EXTRACTED_ML = (800.0, 2000.0)
# So much of the image is then one exact value; air has noise, or the head has a scalp.
EXTRACTED_BACKGROUND = 0.3
# A slab through a head with blanked air has a brain's volume too, but ends at the image's edge.
EXTRACTED_EDGE = 0.03
# The edge is sought on pixels of about this size; finer ones cost time and show nothing more.
WORKING_MM = 1.0
# The network is sure of the brain to within a few mm of its surface; from there the mask grows
# through tissue. Where it is unsure further in, marrow lies beside the brain: half-way between
# sure and unlikely, at the vertex of thick slices, would be a centimetre outside of it.
SURE = 0.9
POSSIBLE = 0.3
BORDER_REACH_MM = 4.5
BORDER_CORE_MM = 4.0
# Cortex hardly exceeds this many times the brain's mean; marrow and scalp without fat
# suppression do. Lesions do too, but lie deeper than the core.
BORDER_BRIGHTEST = 1.4
# Left and right mirrored, and shifted by half a voxel of the coarse grid.
SHIFTS = ((0.0, 0.0, 0.0), (0.5, 0.5, 0.5))
LEAST_BRAIN_ML = 100.0


def flair_mask(image: nib.Nifti1Image, predict: Callable[[np.ndarray], np.ndarray]) -> BrainMask:
    """Make a brain mask of a FLAIR image.

    Parameters
    ----------
    image
        3D, whole head or already brain-extracted, any orientation.
    predict
        Maps a head on the coarse grid of `head_grid.network_view`, float32 (x, y, z), to the
        probability of brain, same shape (``segmentation.brain_network.predictor``).

    Returns
    -------
    BrainMask
        Mask on the image's grid. Facts: ``method`` ("network", or "kept" when the image was
        brain-extracted already), ``brain_ml``, ``uncertain_ml`` (network's probability between
        0.2 and 0.8), ``border_dice`` (network's mask against the final one), ``edge_fraction``
        (share of the mask on the first and last slice).

    Raises
    ------
    BadDataError
        When no head or no brain is found.
    """
    grid = grid_of(image)
    array = np.nan_to_num(np.asarray(image.dataobj, dtype=np.float32))
    kept = extracted_support(array, grid)
    if kept is not None:
        return _result(kept, grid, {"method": "kept"})
    work = working_image(array, grid)
    work_grid = grid_of(work)
    probability = brain_probability(work, predict)
    rough, sure = largest(probability > 0.5), largest(probability > SURE)
    found_ml = sure.sum() * work_grid.voxel_ml
    if found_ml < LEAST_BRAIN_ML:
        raise BadDataError(
            f"only {found_ml:.0f} mL of brain were found in the FLAIR "
            "image; check that it shows a head, with its orientation and spacing in the header"
        )
    values = np.asarray(work.dataobj)
    refined = follow_tissue(
        above_floor(values),
        sure,
        work_grid.spacing,
        reach_mm=BORDER_REACH_MM,
        core_mm=BORDER_CORE_MM,
        brightest=BORDER_BRIGHTEST,
    )
    refined = largest(refined & (probability > POSSIBLE))
    mask = _from_working(refined, grid)
    uncertain = (probability > 0.2) & (probability < 0.8)
    facts = {
        "method": "network",
        "uncertain_ml": round(float(uncertain.sum() * work_grid.voxel_ml), 1),
        "border_dice": round(float(2 * (rough & refined).sum() / (rough.sum() + refined.sum())), 4),
    }
    return _result(ndimage.binary_fill_holes(largest(mask)), grid, facts)


def extracted_support(array: np.ndarray, grid: Grid) -> np.ndarray | None:
    """Return the filled support of an image that is brain-extracted already, None if it is not.

    Such an image is one exact value outside of a body that has a brain's volume and does not
    run out of the field of view.
    """
    shell = np.concatenate([array[i].ravel() for i in (0, -1)] + [array[:, 0].ravel()])
    background = np.median(shell)
    body = array != background
    if body.mean() > 1 - EXTRACTED_BACKGROUND or not body.any():
        return None
    body = ndimage.binary_fill_holes(largest(body))
    if not EXTRACTED_ML[0] <= body.sum() * grid.voxel_ml <= EXTRACTED_ML[1]:
        return None
    edge = np.ones(array.shape, dtype=bool)
    edge[1:-1, 1:-1, 1:-1] = False
    surface = body & ~ndimage.binary_erosion(body, border_value=0)
    return body if (body & edge).sum() <= EXTRACTED_EDGE * surface.sum() else None


def working_image(array: np.ndarray, grid: Grid) -> nib.Nifti1Image:
    """Average blocks of fine pixels to about `WORKING_MM`; axes and orientation stay."""
    steps = _working_steps(grid)
    padded = np.pad(array, [(0, -n % s) for n, s in zip(array.shape, steps, strict=True)], "edge")
    x, y, z = (n // s for n, s in zip(padded.shape, steps, strict=True))
    blocks = padded.reshape(x, steps[0], y, steps[1], z, steps[2])
    affine = grid.affine @ np.diag([*steps, 1.0])
    affine[:3, 3] = (grid.affine @ [*((steps - 1) / 2), 1])[:3]
    return image_on(blocks.mean(axis=(1, 3, 5)), Grid((x, y, z), affine))


def _working_steps(grid: Grid) -> np.ndarray:
    return np.maximum(np.floor(1.3 * WORKING_MM / grid.spacing), 1).astype(int)


def _from_working(mask: np.ndarray, grid: Grid) -> np.ndarray:
    """Carry a mask from the working grid to the image's own.

    In voxel indices, where the numbers are exact: in mm, rounding would put the outermost slices
    a hair outside of the image and lose them.
    """
    steps = _working_steps(grid)
    index_affine = np.diag([*steps.astype(float), 1.0])
    index_affine[:3, 3] = (steps - 1) / 2
    edge = np.pad(mask.astype(np.float32), 1, "edge")
    index_affine[:3, 3] -= steps
    return resample(edge, index_affine, Grid(grid.shape, np.eye(4))) > 0.5


def brain_probability(
    image: nib.Nifti1Image, predict: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Probability of brain on the image's grid, float32, averaged over mirrored, shifted views."""
    own = grid_of(image)
    placed = head_grid(image)
    total = np.zeros(own.shape, dtype=np.float32)
    for shift in SHIFTS:
        affine = placed.affine.copy()
        affine[:3, 3] += np.asarray(shift) * placed.spacing
        view = network_view(image, Grid(placed.shape, affine))
        probability = (predict(view) + predict(view[::-1].copy())[::-1]) / 2
        total += resample(probability, affine, own)
    return total / len(SHIFTS)


def _result(mask: np.ndarray, grid: Grid, facts: dict) -> BrainMask:
    axis = int(np.argmax(grid.spacing))
    slices = np.moveaxis(mask, axis, 0)
    edge = (slices[0].sum() + slices[-1].sum()) / max(int(mask.sum()), 1)
    facts = {
        **facts,
        "brain_ml": round(float(mask.sum() * grid.voxel_ml), 1),
        "edge_fraction": round(float(edge), 4),
    }
    return BrainMask(image_on(mask.astype(np.uint8), grid), facts)
