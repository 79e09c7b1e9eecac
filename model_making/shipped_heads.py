"""Simulated heads on the network's grid, as the shipped models are trained on.

Each head comes through the same functions as a real one. What the program will only know
inexactly is made inexact here too: the pose in the template, and the brain mask.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids import templates
from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.modality import CT, FLAIR, MODALITIES
from ctwml_bids.preprocessing.carried_mask import carry, without_bone
from ctwml_bids.preprocessing.ct_brain import bone_threshold, ct_mask
from ctwml_bids.preprocessing.distances import signed_distance
from ctwml_bids.preprocessing.flair_brain import flair_mask
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on
from ctwml_bids.preprocessing.nine_parameters import compose
from ctwml_bids.preprocessing.normalisation import network_grid, to_grid, white_matter_on_grid
from ctwml_bids.preprocessing.orthonormal import orthonormal
from ctwml_bids.segmentation import brain_network
from ctwml_bids.segmentation.inputs import network_channels
from ctwml_bids.simulation.pair import SimulatedPair
from ctwml_bids.statistics.overlap import dice
from ctwml_bids.training.heads import LEAST_DICE
from ctwml_bids.training.patches import TrainingVolume

# Errors of the nine-parameter pose: degrees, mm, and share of the scales (uniform, both ways).
_POSE = (3.0, 4.0, 0.03)
# Errors of a brain mask's surface: offset as a whole (uniform, both ways), waves of this SD and
# length, shift along each axis (SD); mm.
_SURFACE, _WAVE, _WAVE_LENGTH, _SHIFT = 1.5, 1.2, 12.0, 0.7
# A brain mask by the modality of the image that it lies on, and of the one on which it was found.
FoundOn = tuple[str, str]
CT_OWN, CT_CARRIED, FLAIR_OWN = ("ct", "ct"), ("ct", "flair"), ("flair", "flair")
FOUND_ON: tuple[FoundOn, ...] = (CT_OWN, CT_CARRIED, FLAIR_OWN)


@dataclass(frozen=True)
class GridHead:
    """A simulated head on the network's grid.

    Attributes
    ----------
    image
        HU or FLAIR intensity, (x, y, z).
    brain, lesions
        Fractions, likewise.
    voxel_ml
        Native volume of a voxel of the grid in mL.
    found
        Brain mask that the program found on the image, likewise, or None.
    infarcts
        Fraction of infarcts, likewise, or None where nobody knows.
    """

    image: np.ndarray
    brain: np.ndarray
    lesions: np.ndarray
    voxel_ml: float
    found: np.ndarray | None = None
    infarcts: np.ndarray | None = None


def template_mask() -> nib.Nifti1Image:
    """Return the packaged template's brain mask."""
    return nib.load(templates.packaged().brain_mask)


@cache
def white_matter() -> np.ndarray:
    """Say where white matter may be on the network's grid, by the packaged template."""
    template = templates.packaged()
    images = (nib.load(path) for path in (template.wm, template.ventricles))
    return white_matter_on_grid(*images, shipped_grid(), np.eye(4), np.eye(4))


def shipped_grid() -> Grid:
    """Return the network's grid in the packaged template."""
    return network_grid(template_mask())


def pose_error(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """Draw a small nine-parameter error about the grid's centre: 4×4, template → template."""
    degrees, shift, scale = _POSE
    centre = np.eye(4)
    centre[:3, 3] = nib.affines.apply_affine(grid.affine, (np.asarray(grid.shape) - 1) / 2)
    error = compose(
        1 + rng.uniform(-scale, scale, 3),
        rng.uniform(-shift, shift, 3),
        np.deg2rad(rng.uniform(-degrees, degrees, 3)),
    )
    return centre @ error @ np.linalg.inv(centre)


def on_grid(
    rng: np.random.Generator,
    image: nib.Nifti1Image,
    lesions: nib.Nifti1Image,
    brain: nib.Nifti1Image,
    template_to_native: np.ndarray,
    grid: Grid,
    modality: str,
    found: nib.Nifti1Image | None = None,
    infarcts: nib.Nifti1Image | None = None,
) -> GridHead:
    """Bring a simulated image onto the grid in a slightly wrong pose, its masks along with it."""
    transform = template_to_native @ pose_error(rng, grid)
    return GridHead(
        to_grid(image, transform, grid, fill=MODALITIES[modality].fill),
        to_grid(brain, transform, grid, fill=0.0),
        to_grid(lesions, transform, grid, fill=0.0),
        grid.voxel_ml * float(abs(np.linalg.det(transform[:3, :3]))),
        None if found is None else to_grid(found, transform, grid, fill=0.0),
        None if infarcts is None else to_grid(infarcts, transform, grid, fill=0.0),
    )


def disturb_mask(rng: np.random.Generator, brain: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Give a true brain mask the errors of a found one.

    Parameters
    ----------
    rng
        Source of randomness.
    brain
        True mask or fraction, (x, y, z).
    spacing
        Voxel edges in mm.

    Returns
    -------
    numpy.ndarray
        bool, (x, y, z): grown or shrunk by up to 1.5 mm as a whole, wavy by 1.2 mm SD over some
        12 mm, and displaced by 0.7 mm SD along each axis.
    """
    inside = brain >= 0.5
    depth = -signed_distance(inside, spacing)
    # Along z the waves are at least a voxel long, or they would be noise from slice to slice.
    waves = ndimage.gaussian_filter(
        rng.standard_normal(brain.shape, dtype=np.float32), _WAVE_LENGTH / 2 / spacing
    )
    waves *= _WAVE / waves.std()
    moved = ndimage.shift(depth, rng.normal(0, _SHIFT, 3) / spacing, order=1, mode="nearest")
    return moved + waves + rng.uniform(-_SURFACE, _SURFACE) > 0


def found_masks(
    pair: SimulatedPair, wanted: Collection[FoundOn] = FOUND_ON
) -> dict[FoundOn, nib.Nifti1Image]:
    """Find the brain on the images of a pair as the program does on real ones.

    Parameters
    ----------
    pair
        With both images.
    wanted
        Which of `FOUND_ON`; what the others alone need is not made.

    Returns
    -------
    dict
        Masks of the images; the FLAIR's on the CT is carried over and freed of bone. Those that
        are not found are left out.
    """
    masks: dict[FoundOn, nib.Nifti1Image] = {}
    ct = orthonormal(pair.ct, CT.fill)
    if CT_OWN in wanted:
        with suppress(BadDataError):
            masks[CT_OWN] = ct_mask(ct).mask
    if CT_CARRIED in wanted or FLAIR_OWN in wanted:
        with suppress(BadDataError):
            upright = orthonormal(pair.flair, FLAIR.fill)
            masks[FLAIR_OWN] = flair_mask(upright, _brain_predictor()).mask
    if CT_CARRIED in wanted and FLAIR_OWN in masks:
        grid = grid_of(ct)
        carried = carry(masks[FLAIR_OWN], grid, pair.flair_to_ct)
        kept, _ = without_bone(carried, ct, bone_threshold(ct))
        masks[CT_CARRIED] = image_on(kept.astype(np.uint8), grid)
    return {found: mask for found, mask in masks.items() if found in wanted}


@cache
def _brain_predictor() -> Callable[[np.ndarray], np.ndarray]:
    return brain_network.predictor()


def training_arrays(
    rng: np.random.Generator, head: GridHead, grid: Grid, modality: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the network's input (channels, x, y, z) float16 and the labels (x, y, z) uint8.

    Labels are those of `labels_of`. Without a found brain mask, or where it is far from the truth,
    the true mask gets errors of the same size instead.
    """
    mask = None if head.found is None else head.found > 0.5
    if mask is None or dice(mask, head.brain > 0.5) < LEAST_DICE:
        mask = disturb_mask(rng, head.brain, grid.spacing)
    channels = network_channels(head.image, mask, MODALITIES[modality].channels)
    return channels.astype(np.float16), labels_of(head)


def labels_of(head: GridHead) -> np.ndarray:
    """Return 0 background, 1 white matter lesion, 2 infarct for each voxel (uint8).

    Where both together are half of a voxel or more, it is of the larger one.
    """
    if head.infarcts is None:
        return (head.lesions >= 0.5).astype(np.uint8)
    larger = np.where(head.infarcts > head.lesions, np.uint8(2), np.uint8(1))
    return np.where(head.lesions + head.infarcts >= 0.5, larger, np.uint8(0))


def save_head(folder: Path, name: str, channels: np.ndarray, labels: np.ndarray, facts: dict):
    """Write one head; slices lie together on disk, so that a patch is read from few pages."""
    folder.mkdir(parents=True, exist_ok=True)
    # The image comes last: a head is complete where its image is, also when one is replaced.
    (folder / f"{name}_image.npy").unlink(missing_ok=True)
    np.save(folder / f"{name}_labels.npy", np.ascontiguousarray(labels.transpose(2, 0, 1)))
    part = folder / f".{name}_image.part.npy"
    np.save(part, np.ascontiguousarray(channels.transpose(3, 0, 1, 2)))
    (folder / f"{name}_facts.json").write_text(json.dumps(facts))
    os.replace(part, folder / f"{name}_image.npy")


def load_heads(folder: Path, modality: str) -> list[tuple[TrainingVolume, dict]]:
    """Open the heads of one modality in a folder, memory-mapped, with their facts.

    Raises
    ------
    NoInputError
        If there is none.
    """
    heads = []
    for path in sorted(Path(folder).glob(f"*_{modality}_image.npy")):
        name = path.name.removesuffix("_image.npy")
        image = np.load(path, mmap_mode="r").transpose(1, 2, 3, 0)
        labels = np.load(folder / f"{name}_labels.npy", mmap_mode="r").transpose(1, 2, 0)
        facts = json.loads((folder / f"{name}_facts.json").read_text())
        heads.append((TrainingVolume(image, labels, name), facts))
    if not heads:
        raise NoInputError(f"There are no {modality} heads in {folder}: make them with `heads`.")
    return heads
