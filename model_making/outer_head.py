"""What label maps leave together outside the brain, divided: fat and muscle, skin, diploe."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ctwml_bids.simulation import canonical as c
from ctwml_bids.simulation.canonical import signed_distance

SKIN_MM = 2.8  # of what is labelled skin; below it lies fat
TABLE_MM = 1.6  # of compact bone on either side of the diploe
ORBIT_MM = 11.0  # soft tissue that is nowhere farther from eye, its muscles and its nerve is fat
FACE_FAT_MM, NECK_FAT_MM = 5.5, 5.5  # below the surface
SCLERA_MM = 1.2
LENS_MM = (5.0, 2.2, 5.0)  # radii; it lies that much of the eye's radius before its centre:
LENS_PLACE = 0.72
HOLE_VOXELS = 60  # of air in the vault, which only the labelling has put there


def divide(labels: np.ndarray, eye_muscle: np.ndarray, cavity: np.ndarray) -> np.ndarray:
    """Divide soft tissue, skin and bone of a head by depth and place.

    Parameters
    ----------
    labels
        uint8 codes of ``canonical`` on the working grid, soft tissue as SOFT.
    eye_muscle
        Where the eye muscles are, bool.
    cavity
        The cranial cavity, bool.

    Returns
    -------
    numpy.ndarray
        uint8, likewise, with FAT, MUSCLE, ORBIT_FAT, SKIN, SPONGY_BONE, PETROUS and LENS; the eyes'
        sclera is as OPTIC.
    """
    x, y, z = c.coordinates()
    side = np.abs(x)
    out = labels.copy()
    bones = np.isin(out, (c.COMPACT_BONE, c.SPONGY_BONE))
    _fill_vault(out, bones, cavity)
    head = out != c.OUTSIDE
    depth = -signed_distance(_filled(head | cavity), 2)
    out[(out == c.SKIN) & (depth > SKIN_MM)] = c.SOFT
    soft = out == c.SOFT
    orbit = _orbit(out, eye_muscle)
    temple = (side > 46) & (y > -45) & (y < 45) & (z > -40) & (z < 34) & (depth > 5.0)
    temple &= ndimage.gaussian_filter(bones.astype(np.float32), 4.0) > 0.02
    neck = (z < -22) & (y < -20) & (depth > NECK_FAT_MM)
    face = (z < -22) & (y >= -20) & (depth > FACE_FAT_MM)
    out[soft] = c.FAT
    out[soft & (temple | neck | face)] = c.MUSCLE
    out[soft & orbit] = c.ORBIT_FAT
    out[eye_muscle] = c.MUSCLE
    _put_lenses(out)
    bones = np.isin(out, (c.COMPACT_BONE, c.SPONGY_BONE))
    inner = ndimage.distance_transform_edt(bones)
    diploe = (inner > TABLE_MM + 0.5) & (z > -20) & bones
    out[diploe] = c.SPONGY_BONE
    petrous = (side > 12) & (side < 58) & (y > -42) & (y < -8) & (z < -24) & (z > -56)
    out[petrous & (out == c.COMPACT_BONE) & (inner > 1.5)] = c.PETROUS
    return out


def _fill_vault(labels: np.ndarray, bones: np.ndarray, cavity: np.ndarray) -> None:
    """Turn specks of air and soft tissue that bone of the vault encloses into bone, in place."""
    _, _, z = c.coordinates()
    vault = ndimage.binary_closing(bones, iterations=2) & ~bones & ~cavity & (z > 5)
    labels[vault] = c.COMPACT_BONE
    pieces, count = ndimage.label((labels == c.OUTSIDE) & ~cavity)
    small = np.bincount(pieces.ravel(), minlength=count + 1) < HOLE_VOXELS
    small[0] = False
    labels[small[pieces] & (z > -5)] = c.COMPACT_BONE


def _put_lenses(labels: np.ndarray) -> None:
    """Give the eyes a sclera and a lens, in place."""
    pieces, count = ndimage.label(labels == c.EYE)
    for number in np.argsort(np.bincount(pieces.ravel())[1:])[-2:] + 1 if count else ():
        eye = pieces == number
        radius = (0.75 * eye.sum() / np.pi) ** (1 / 3)
        middle_x, middle_y, middle_z = ndimage.center_of_mass(eye)
        centre = (middle_x, middle_y + LENS_PLACE * radius, middle_z)
        away = [
            ((np.arange(n) - middle) / half) ** 2
            for n, middle, half in zip(labels.shape, centre, LENS_MM, strict=True)
        ]
        part = ndimage.find_objects(eye.astype(np.uint8))[0]
        sclera = eye[part] & (
            ndimage.distance_transform_edt(np.pad(eye[part], 1))[1:-1, 1:-1, 1:-1] <= SCLERA_MM
        )
        labels[part][sclera] = c.OPTIC
        inside = away[0][:, None, None] + away[1][None, :, None] + away[2][None, None, :] < 1
        labels[inside & eye] = c.LENS


def _filled(head: np.ndarray) -> np.ndarray:
    """Fill the air in a head slice by slice, and below as if it went on."""
    filled = head.copy()
    for k in range(head.shape[2]):
        filled[:, :, k] = ndimage.binary_fill_holes(head[:, :, k])
    return filled


def _orbit(labels: np.ndarray, eye_muscle: np.ndarray) -> np.ndarray:
    """Return the cones between the eyes, their muscles and nerves."""
    held = eye_muscle | np.isin(labels, (c.EYE, c.OPTIC))
    held &= c.coordinates()[1] > 10
    return signed_distance(signed_distance(held, 2) < ORBIT_MM, 2) < -ORBIT_MM + 2.0
