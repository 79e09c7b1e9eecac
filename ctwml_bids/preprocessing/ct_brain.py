"""Brain mask of a head CT from bone, Hounsfield units and shape.

The inside of the skull is found by what surrounds it (bone in nearly every direction), cut free
from orbits and neck by an opening and by a rough pose of the template, and carried back to the
image's own grid. Nothing is learnt from images.
"""

from __future__ import annotations

from functools import lru_cache

import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing.blocks import block_mean, finer
from ctwml_bids.preprocessing.brain_border import BrainMask, largest
from ctwml_bids.preprocessing.carried_mask import without_bone
from ctwml_bids.preprocessing.distances import closed, dilated, eroded, signed_distance
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on, resample
from ctwml_bids.preprocessing.hounsfield import NO_AIR_HU
from ctwml_bids.preprocessing.template_pose import template_brain, template_pose

# Edge of the working voxels in mm: half a cortex, and wide enough to average noise away.
WORKING_MM = 1.5
# Bone from here (HU, after averaging); below it calcifications, blood and contrast pass.
BONE_HU = 140.0
# Soft tissue from here (HU); fat reads -100, CSF 0 to 15.
TISSUE_HU = -25.0
# Soft tissue thinner than twice this does not connect: optic canal and fissures are narrower.
NECK_MM = 6.0
# Gaps and calcifications in the brain up to twice this are closed, in mm.
CLOSING_MM = 3.0
# Air in sinuses and mastoid cells, partly filled voxels included (HU).
AIR_HU = -200.0
# Directions, of the eight in plane, in which bone must lie around a voxel inside the skull.
ENCLOSED_DIRECTIONS = 7
# The template's brain, posed, is right to about this many mm.
POSE_MM = 10.0
# Brain may grow back into corners that lie this close to the posed template, in mm.
CORNER_MM = 3.0
# Below this level of the template (RAS z, mm) lies the spinal canal.
FORAMEN_MAGNUM_Z = -69.0
# Smaller than any part of a brain worth measuring, in mL.
MIN_BRAIN_ML = 100.0
# Of an image that is brain-extracted already: larger bodies are whole heads (mL); the median HU of
# a brain, with room for a scanner's calibration; the share of the border's voxels, at least, that
# one background value fills, where the image is cut close to the brain.
MOST_BRAIN_ML = 2200.0
BRAIN_HU = (10.0, 65.0)
BACKGROUND_SHARE = 0.2
# Share of the voxels at the highest value where a display window has cut off what is brighter.
SATURATED_SHARE = 0.001
# Below this (HU) a voxel at the brain's edge is mostly background that an interpolation mixed in.
PARTIAL_HU = -100.0
# A mask that reaches the dura or the inner table has bone down to so many mm below its surface.
# Deeper, extracted brains held at most 0.02 of bone, fat and air, whole heads 0.11 and more.
RIM_MM = 6.0
DEEP_SHARE = 0.05


def ct_mask(image: nib.Nifti1Image) -> BrainMask:
    """Find the brain in a head CT.

    Parameters
    ----------
    image
        CT in HU, float32, shape (x, y, z), orthonormal axes closest to RAS. Brain-window exports
        (bone saturated, air bottomed out) and brain-extracted CT are understood.

    Returns
    -------
    BrainMask
        uint8 on the image's grid, with facts: ``brain_ml``, ``already_extracted``,
        ``bone_threshold_hu``, ``template_distance_mm`` (median surface distance of the posed
        template; above 6 the mask or the head is unusual).

    Raises
    ------
    BadDataError
        No brain is found.
    """
    native = grid_of(image)
    data = np.asarray(image.dataobj, dtype=np.float32)
    low, bone_hu = _thresholds(data)
    facts = {"bone_threshold_hu": round(bone_hu, 1), "tissue_threshold_hu": round(low, 1)}
    extracted = _extracted(data, native)
    facts["already_extracted"] = extracted is not None
    if extracted is not None:
        mask = extracted
    else:
        # Shares of bone and of soft tissue in each working voxel, not its mean HU: a window that
        # clips bone must not move its border, and noise averages away all the same.
        working, bone_share = _working_copy(data >= bone_hu, native)
        _, tissue_share = _working_copy((data > low) & (data < bone_hu), native)
        _, air_share = _working_copy(data < AIR_HU, native)
        bone, air = bone_share >= 0.5, air_share >= 0.5
        tissue = (ndimage.gaussian_filter(tissue_share, 0.7) >= 0.5) & ~bone
        inside = _inside_skull(tissue, bone)
        pose, distance = template_pose(image_on(inside.astype(np.uint8), working))
        facts["template_distance_mm"] = round(distance, 2)
        # The largest piece of bone: not a calcified choroid plexus or pineal gland.
        shell = largest(bone) | (air if low == TISSUE_HU else False)
        shaped = _shaped(tissue, inside, shell, pose, working)
        mask = finer(shaped, working, native, smooth=0.7)
    facts["brain_ml"] = round(float(mask.sum()) * native.voxel_ml, 1)
    if facts["brain_ml"] < MIN_BRAIN_ML:
        raise BadDataError(f"no brain found: only {facts['brain_ml']} mL lie inside a skull")
    return BrainMask(image_on(mask.astype(np.uint8), native), facts)


def _working_copy(voxels: np.ndarray, native: Grid) -> tuple[Grid, np.ndarray]:
    """Share of true voxels on an isotropic grid along the image's own axes."""
    blocks, grid = block_mean(voxels, native, WORKING_MM)
    shape = np.asarray(grid.shape)
    count = np.maximum(np.round(grid.spacing * shape / WORKING_MM), 1).astype(int)
    fine = np.diag([*(shape / count), 1.0])
    fine[:3, 3] = 0.5 * shape / count - 0.5
    share = ndimage.affine_transform(
        blocks, fine[:3, :3], fine[:3, 3], tuple(count), order=1, mode="nearest", output=np.float32
    )
    return Grid((int(count[0]), int(count[1]), int(count[2])), grid.affine @ fine), share


def bone_threshold(image: nib.Nifti1Image) -> float:
    """Return from where on a CT's voxels are bone (HU): lower where a display window is."""
    return _thresholds(np.asarray(image.dataobj, dtype=np.float32))[1]


def _thresholds(data: np.ndarray) -> tuple[float, float]:
    """Lower bound of tissue and of bone in HU; a brain window's own ends move them."""
    low, high = float(data.min()), float(data.max())
    tissue = TISSUE_HU if low < TISSUE_HU else low
    # Air below a window's upper end, or around an extracted brain, is no lower end of the window.
    start = low if low > NO_AIR_HU else 0.0
    return tissue, min(BONE_HU, start + 0.9 * (high - start) if high < 200 else BONE_HU)


def _extracted(data: np.ndarray, native: Grid) -> np.ndarray | None:
    """Return the mask of an image that holds nothing but brain, else None."""
    background = _background(data)
    if background is None:
        return None
    filled = (data != background) & (data > PARTIAL_HU)
    if not filled.any():
        return None
    # Without a window's saturated end nothing moves the threshold of bone: a brain has none.
    values = data[filled]
    saturated = (values == values.max()).mean() >= SATURATED_SHARE
    bone_hu = _thresholds(values)[1] if saturated else BONE_HU
    body = largest(filled)
    if TISSUE_HU < background < bone_hu:
        # CSF that reads as the background opens sulci and ventricles towards it.
        body = closed(body, CLOSING_MM, native.spacing)
    body = ndimage.binary_fill_holes(body)
    if not MIN_BRAIN_ML <= body.sum() * native.voxel_ml <= MOST_BRAIN_ML:
        return None
    if not BRAIN_HU[0] <= np.median(data[body]) <= BRAIN_HU[1]:
        return None
    if _holds_skull(data, body, native, bone_hu):
        return None
    if bone_hu < BONE_HU:
        # Noise and dura reach the upper end of a display window as bone does.
        return body
    # Pieces of skull that the extraction left at its edge.
    return without_bone(body, image_on(data, native), bone_hu)[0]


def _background(data: np.ndarray) -> float | None:
    """Return the one value that most of the image's border holds, None if there is none."""
    faces = [np.take(data, end, axis).ravel() for axis in range(3) for end in (0, -1)]
    values, counts = np.unique(np.concatenate(faces), return_counts=True)
    if counts.max() < BACKGROUND_SHARE * counts.sum():
        return None
    return float(values[counts.argmax()])


def _holds_skull(data: np.ndarray, body: np.ndarray, native: Grid, bone_hu: float) -> bool:
    """Whether bone, fat or air lies deep below a body's surface, as below a scalp."""
    share = _working_copy(body, native)[1]
    bone_share = _working_copy(body & (data >= bone_hu), native)[1]
    fat_share = _working_copy(body & (data < TISSUE_HU), native)[1]
    deep = _eroded(share >= 0.5, RIM_MM)
    other = (bone_share >= 0.5) | (fat_share >= 0.5)
    return not deep.any() or bool(other[deep].mean() > DEEP_SHARE)


def _inside_skull(tissue: np.ndarray, bone: np.ndarray) -> np.ndarray:
    """Largest body of soft tissue that has bone around it in plane."""
    # Where the picture cuts through the head, its border stands for the bone beyond it.
    bone = bone.copy()
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        bone[edge] |= tissue[edge]
    count = _directions(bone)
    turned = ndimage.rotate(bone.astype(np.uint8), 45, axes=(0, 1), order=0, reshape=True)
    back = ndimage.rotate(_directions(turned > 0), -45, axes=(0, 1), order=0, reshape=True)
    start = (np.asarray(back.shape[:2]) - bone.shape[:2]) // 2
    count += back[start[0] : start[0] + bone.shape[0], start[1] : start[1] + bone.shape[1]]
    enclosed = tissue & (count >= ENCLOSED_DIRECTIONS)
    core = _eroded(enclosed, NECK_MM)
    if not core.any():
        raise BadDataError(
            "no brain found: nowhere does soft tissue of 0 to 100 HU lie inside bone. Is this a "
            "head CT in Hounsfield units, with the skull in the picture?"
        )
    return _dilated(largest(core), NECK_MM) & enclosed


def _directions(bone: np.ndarray) -> np.ndarray:
    """Count the directions, of the four along both axes in plane, in which bone lies."""
    count = np.zeros(bone.shape, dtype=np.uint8)
    for axis in (0, 1):
        count += np.logical_or.accumulate(bone, axis=axis)
        count += np.flip(np.logical_or.accumulate(np.flip(bone, axis), axis=axis), axis)
    return count


def _template_distance(pose: np.ndarray, working: Grid) -> np.ndarray:
    """Signed distance in mm (negative inside) to the posed template brain, on the grid."""
    signed, affine = _around_template()
    return resample(signed, affine, working, np.linalg.inv(pose), fill=100.0)


@lru_cache(maxsize=1)
def _around_template() -> tuple[np.ndarray, np.ndarray]:
    """Signed distance in mm to the template's brain, and the affine of its grid."""
    template = template_brain()
    # Room around the template, so that far voxels still get a distance.
    inside = np.pad(np.asarray(template.dataobj) > 0, 20)
    shift = np.eye(4)
    shift[:3, 3] = -20
    return signed_distance(inside, np.full(3, 2.0)), template.affine @ shift


def _shaped(
    tissue: np.ndarray, inside: np.ndarray, shell: np.ndarray, pose: np.ndarray, grid: Grid
) -> np.ndarray:
    """Brain on the working grid: free of orbits, neck and scalp, with its corners and holes."""
    distance = _template_distance(pose, grid)
    allowed = (distance < POSE_MM) & (_template_z(pose, grid) > FORAMEN_MAGNUM_Z)
    allowed_tissue = tissue & allowed
    core = _eroded(tissue & (distance < 2 * POSE_MM), NECK_MM) & allowed
    core = _largest(core | (_eroded(inside, NECK_MM) & allowed))
    body = _dilated(core, NECK_MM + WORKING_MM) & allowed_tissue
    body = _largest(body | (allowed_tissue & (distance < CORNER_MM)))
    # Close over vessels, falx and calcifications, but not over skull base and sinuses.
    closed = ~_dilated(~_dilated(body, CLOSING_MM), CLOSING_MM)
    body = ndimage.binary_fill_holes(body | (closed & ~shell))
    smooth = ndimage.gaussian_filter(body.astype(np.float32), 1.0, mode="nearest")
    return _largest(smooth >= 0.5)


def _template_z(pose: np.ndarray, grid: Grid) -> np.ndarray:
    """Height of every voxel in the template's space, mm."""
    row = (np.linalg.inv(pose) @ grid.affine)[2]
    x, y, z = (np.arange(n, dtype=np.float32) for n in grid.shape)
    return row[0] * x[:, None, None] + row[1] * y[None, :, None] + row[2] * z + row[3]


def _largest(mask: np.ndarray) -> np.ndarray:
    if not mask.any():
        raise BadDataError("no brain found inside the skull")
    return largest(mask)


def _eroded(mask: np.ndarray, radius_mm: float) -> np.ndarray:
    """Erode by a ball; beyond the image's border counts as inside."""
    return eroded(mask, radius_mm, np.full(3, WORKING_MM), beyond=True)


def _dilated(mask: np.ndarray, radius_mm: float) -> np.ndarray:
    """Dilate by a ball."""
    return dilated(mask, radius_mm, np.full(3, WORKING_MM))
