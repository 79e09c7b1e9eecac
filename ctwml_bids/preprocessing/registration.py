"""Rigid registration of a CT to the FLAIR of the same head.

A search over poses on a coarse grid finds the start; ANTs (Mattes mutual information) refines it
at 3 mm; a last climb of the normalised mutual information at 1.5 mm removes the remaining
dependence on the starting pose. Slices stay as thick as they are: only the planes are made coarser.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import ants
import nibabel as nib
import numpy as np
from ants.internal import get_pointer_string
from nibabel.affines import apply_affine
from scipy import ndimage

from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing import registration_gate, transforms
from ctwml_bids.preprocessing.climbing import climbed, maximised
from ctwml_bids.preprocessing.grids import grid_of, image_on
from ctwml_bids.preprocessing.nine_parameters import compose
from ctwml_bids.preprocessing.similarity import Similarity, coarsened

# HU → grey level of the metric. Four fifths of the range are brain and CSF (0–80 HU); air, fat
# and bone keep levels of their own, since skin and skull guide the search.
_HU = (-1000.0, -200.0, 0.0, 80.0, 300.0, 1500.0)
_LEVEL = (0.0, 0.1, 0.2, 0.8, 0.9, 1.0)

_SEARCH_MM, _MIDDLE_MM, _FINE_MM = 6.0, 3.0, 1.5
# Poses of the search: rotations in degrees about x, y, z, and how far the heads' centres may be
# off along z (mm), because one image may show more of the neck.
_SEARCH = ((-24, -12, 0, 12, 24), (-12, 0, 12), (-20, -10, 0, 10, 20), (-30, 0, 30))
_SEARCH_REFINED = 6
# ANTs' steps at most, and the share of the FLAIR's voxels in its metric, on a regular pattern.
_ANTS_STEPS, _ANTS_SAMPLING = 60, 0.5
_POLISH_EVALUATIONS = 300
# Steps of the search that change a head's pose about equally: radians and mm.
_SEARCH_STEPS = np.array([0.1, 0.1, 0.1, 8.0, 8.0, 8.0])


@dataclass(frozen=True)
class RigidResult:
    """A rigid registration.

    Attributes
    ----------
    flair_to_ct
        4×4, RAS mm, FLAIR points → CT points: resamples the CT onto the FLAIR.
    facts
        Numbers for the quality gate; ``nmi_before`` and ``nmi_after`` are Studholme's normalised
        mutual information within the head, with the images where their headers put them, and
        registered.
    """

    flair_to_ct: np.ndarray
    facts: dict = field(default_factory=dict)


def metric_ct(image: nib.Nifti1Image, spacing: float) -> nib.Nifti1Image:
    """Return a CT (HU) as grey levels in [0, 1] on voxels of at least ``spacing`` mm."""
    coarse = coarsened(image, spacing, fill=-1024.0)
    levels = np.interp(np.asarray(coarse.dataobj), _HU, _LEVEL).astype(np.float32)
    return image_on(levels, grid_of(coarse))


def metric_flair(image: nib.Nifti1Image, spacing: float) -> nib.Nifti1Image:
    """Return a FLAIR as grey levels in [0, 1] on voxels of at least ``spacing`` mm."""
    coarse = coarsened(image, spacing)
    array = np.asarray(coarse.dataobj, dtype=np.float32)
    array = array - np.percentile(array, 1)
    # The mean parts air from head well enough to find the bright end of the head's values.
    top = np.percentile(array[array > array.mean()], 99) if np.ptp(array) > 0 else 0.0
    if not top > 0:
        raise BadDataError("The FLAIR image is constant, so the CT cannot be registered to it.")
    return image_on(np.clip(array / top, 0, 1).astype(np.float32), grid_of(coarse))


def rigid(
    fixed: nib.Nifti1Image,
    moving: nib.Nifti1Image,
    *,
    fixed_mask: nib.Nifti1Image | None = None,
    moving_mask: nib.Nifti1Image | None = None,
    seed: int = 0,
    threads: int = 1,
) -> RigidResult:
    """Register a CT to a FLAIR with six parameters.

    Parameters
    ----------
    fixed
        FLAIR, orthonormal axes, any slice thickness, whole head or brain-extracted.
    moving
        CT in HU, orthonormal axes.
    fixed_mask, moving_mask
        Brain masks of both, on their images' grids. They add a start (centre on centre) and
        numbers to the facts; the registration works without.
    seed
        Seed of ANTs' sampling.
    threads
        ITK threads. ITK reads this once per process; one thread gives identical results on
        every run.

    Returns
    -------
    RigidResult
        With facts filled by `registration_gate.gate_facts`.

    Raises
    ------
    BadDataError
        If an image is sheared or constant.
    """
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(threads)
    centres = None
    if fixed_mask is not None and moving_mask is not None:
        centres = (_centre(fixed_mask, 0.5), _centre(moving_mask, 0.5))
    flair_to_ct = search(
        metric_flair(fixed, _SEARCH_MM), metric_ct(moving, _SEARCH_MM), centres=centres
    )
    flair, ct = metric_flair(fixed, _MIDDLE_MM), metric_ct(moving, _MIDDLE_MM)
    flair_to_ct = _ants_rigid(flair, ct, flair_to_ct, seed)
    fine_flair, fine_ct = metric_flair(fixed, _FINE_MM), metric_ct(moving, _FINE_MM)
    similarity = Similarity(fine_flair, fine_ct, thinned(head_mask(fine_flair)))
    flair_to_ct = climbed(similarity, flair_to_ct, evaluations=_POLISH_EVALUATIONS)[0]
    before, after = similarity(np.eye(4)), similarity(flair_to_ct)
    brain = registration_gate.intracranial(ct, flair, flair_to_ct)
    facts = {"nmi_before": before, "nmi_after": after}
    facts |= registration_gate.gate_facts(
        flair, ct, flair_to_ct, head=head_mask(flair), brain=brain
    )
    facts["nmi_gain"] = after - before
    if fixed_mask is not None and moving_mask is not None:
        facts |= registration_gate.mask_facts(fixed_mask, moving_mask, flair_to_ct)
    return RigidResult(flair_to_ct, facts)


def head_mask(flair: nib.Nifti1Image) -> np.ndarray:
    """Head with a rim of air, from a FLAIR in grey levels: bool, shape (x, y, z)."""
    head = np.asarray(flair.dataobj) > 0.1
    # Closing plane by plane: slices are several times thicker than the planes' voxels.
    cross = registration_gate.PLANE_CROSS
    head = ndimage.binary_closing(np.pad(head, 8), cross, iterations=6)[8:-8, 8:-8, 8:-8]
    return ndimage.binary_dilation(head, cross, iterations=3)


def thinned(mask: np.ndarray) -> np.ndarray:
    """Every other voxel of each plane of a mask, as on a chessboard."""
    x, y = np.indices(mask.shape[:2])
    return mask & ((x + y) % 2 == 0)[:, :, None]


def search(
    flair: nib.Nifti1Image,
    ct: nib.Nifti1Image,
    *,
    centres: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Find the pose of highest normalised mutual information from many starts.

    Parameters
    ----------
    flair, ct
        Grey levels in [0, 1], about 6 mm.
    centres
        Brain centres (mm) in FLAIR and CT that should meet; the heads' centres if None.

    Returns
    -------
    numpy.ndarray
        4×4, RAS mm, FLAIR points → CT points, right to a few mm.
    """
    # Grey level 0.15 in the CT is about −100 HU: skin and all inside it.
    flair_centre, ct_centre = centres or (_centre(flair, 0.25), _centre(ct, 0.15))
    similarity = Similarity(flair, ct)
    mesh = np.meshgrid(*_SEARCH, indexing="ij")
    poses = np.stack([axis.ravel() for axis in mesh], axis=1).astype(float)
    starts = np.zeros((len(poses), 6))
    starts[:, :3] = np.deg2rad(poses[:, :3])
    starts[:, 5] = poses[:, 3]

    def value(start: np.ndarray) -> float:
        return similarity(_pose(start, flair_centre, ct_centre))

    ranked = sorted(starts, key=value, reverse=True)[:_SEARCH_REFINED]
    refined = [maximised(value, start, _SEARCH_STEPS, evaluations=250) for start in ranked]
    best = max(refined, key=lambda result: result[0])
    return _pose(best[1], flair_centre, ct_centre)


def _pose(parameters: np.ndarray, flair_centre: np.ndarray, ct_centre: np.ndarray) -> np.ndarray:
    """4×4 from rotations (rad) about the FLAIR's centre and an offset (mm) from the CT's centre."""
    matrix = compose([1, 1, 1], [0, 0, 0], parameters[:3])
    matrix[:3, 3] = ct_centre + parameters[3:] - matrix[:3, :3] @ flair_centre
    return matrix


def _centre(image: nib.Nifti1Image, level: float) -> np.ndarray:
    inside = np.argwhere(np.asarray(image.dataobj) > level)
    if len(inside) == 0:
        raise BadDataError("An image to register holds no head (or its brain mask is empty).")
    return apply_affine(image.affine, inside.mean(axis=0))


def _ants_rigid(
    flair: nib.Nifti1Image, ct: nib.Nifti1Image, start: np.ndarray, seed: int
) -> np.ndarray:
    """Refine a rigid transform (FLAIR points → CT points) with ANTs on the images' own grids."""
    # Held in variables: ANTs gets addresses, and images must outlive the call.
    fixed = transforms.to_ants(flair).clone("double")
    moving = transforms.to_ants(ct).clone("double")
    pair = f"{get_pointer_string(fixed)},{get_pointer_string(moving)}"
    with tempfile.TemporaryDirectory(prefix="ctwml-rigid-") as folder:
        initial = Path(folder, "initial.txt")
        transforms.write_itk(initial, start)
        arguments = ["--dimensionality", "3", "--float", "0", "--random-seed", str(seed + 1)]
        arguments += ["--output", f"{folder}/", "--initial-moving-transform", str(initial)]
        arguments += ["--transform", "Rigid[0.2]"]
        arguments += ["--metric", f"Mattes[{pair},1,32,Regular,{_ANTS_SAMPLING}]"]
        arguments += ["--convergence", f"[{_ANTS_STEPS},1e-6,10]"]
        arguments += ["--smoothing-sigmas", "0vox", "--shrink-factors", "1"]
        arguments += ["--masks", "[NA,NA]", "--verbose", "0"]
        ants.registration(arguments, None)
        found = ants.read_transform(f"{folder}/0GenericAffine.mat", precision="double")
        return transforms.from_ants_transform(found)
