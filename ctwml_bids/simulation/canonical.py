"""The head from which every simulated head is bent: template tissues and a procedural rest.

Everything here lies in the frame of MNI152NLin2009aSym (RAS mm) on one fixed 1 mm grid that is
larger than the template's own, since a CT shows face and neck too. Positions of eyes, sinuses
and skull base were read off a whole-head average in the same space; they are geometry, no image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids.geometry import bounding_box
from ctwml_bids.image_files import load_nifti
from ctwml_bids.simulation.fields import upsample

ORIGIN = np.array([-98.0, -134.0, -100.0])  # RAS mm of the first voxel of the working grid
SHAPE = (197, 239, 207)
# The brain's box on the working grid (with room for a warp); tissues are computed only here.
BRAIN_BOX = (slice(16, 182), slice(16, 218), slice(22, 192))
FORAMEN_Z = -70.0  # mm; the brain mask ends here
MIRRORED = "-mirrored"  # ends the name of a part whose left and right were exchanged

# Labels of the canonical head. 1-9 lie in the brain, the others outside it.
OUTSIDE = 0
CEREBRUM, CEREBELLUM, BRAINSTEM, DEEP_GREY, CAPSULE, CALLOSUM, FALX = 1, 2, 3, 4, 5, 6, 7
CHOROID = 8  # choroid plexus, in heads from label maps alone
SOFT, FAT, MUSCLE, SKIN, FACE_BONE = 20, 21, 22, 23, 24
FRONTAL_SINUS, NASAL, SPHENOID, MAXILLARY, MASTOID, AIRWAY = 25, 26, 27, 28, 29, 30
EYE, LENS, OPTIC, ORBIT_FAT, CORD, SPINAL_CSF, PETROUS, TEETH, BLOOD_SINUS = (
    31, 32, 33, 34, 35, 36, 37, 38, 39,
)  # fmt: skip
# In heads from label maps alone, which have a skull of their own.
COMPACT_BONE, SPONGY_BONE, ARTERY, MUCOSA = 40, 41, 42, 43


@dataclass(frozen=True, eq=False)  # told apart by identity, so that functions of it can cache
class CanonicalHead:
    """Fields on the working grid (``SHAPE``, 1 mm from ``ORIGIN``), all in template space.

    Attributes
    ----------
    grey, white
        Tissue probabilities, float32.
    brain
        Brain mask by the project's definition, float32 0–1, slightly smoothed.
    skull_distance
        Distance in mm outside the brain with its cisterns; negative inside.
    ventricle_distance
        Distance in mm from the surface of the lateral ventricles; negative inside.
    labels
        uint8, the codes of this module.
    covered_from
        Lowest z in mm at which a head from a label map is known; its labels then hold its own
        skull and scalp, and ``skull_distance`` is that from its cranial cavity. None: the skull
        is procedural and goes all the way down.
    """

    grey: np.ndarray
    white: np.ndarray
    brain: np.ndarray
    skull_distance: np.ndarray
    ventricle_distance: np.ndarray
    labels: np.ndarray
    covered_from: float | None = None


def signed_distance(mask: np.ndarray, step: int = 1) -> np.ndarray:
    """Return the distance in voxels from a mask's surface: negative inside, float32.

    With ``step`` 2 it is computed on every second voxel, which is enough for smooth surfaces.
    """
    thin = mask[(slice(None, None, step),) * 3]
    part = bounding_box(thin, 1)
    distance = np.maximum(ndimage.distance_transform_edt(~thin) - 0.5, 0)
    distance[part] -= np.maximum(ndimage.distance_transform_edt(thin[part]) - 0.5, 0)
    distance *= step
    return distance.astype(np.float32) if step == 1 else upsample(distance, mask.shape, step)


def coordinates(
    box: tuple[slice, ...] = (slice(None),) * 3,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, y, z in mm of the working grid, broadcastable (nx,1,1), (1,ny,1), (1,1,nz)."""
    axes = [
        (ORIGIN[axis] + np.arange(SHAPE[axis], dtype=np.float32)[box[axis]]).astype(np.float32)
        for axis in range(3)
    ]
    return axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]


def _template(name: str) -> np.ndarray:
    """Read one packaged template volume onto the working grid (float32, 0 outside)."""
    folder = resources.files("ctwml_bids") / "data/templates/tpl-MNI152NLin2009aSym"
    with resources.as_file(folder / f"tpl-MNI152NLin2009aSym_res-1_{name}.nii.gz") as path:
        image = nib.as_closest_canonical(load_nifti(path))
        array = np.asarray(image.dataobj, dtype=np.float32)
    start = np.round(image.affine[:3, 3] - ORIGIN).astype(int)
    stop = np.minimum(start + array.shape, SHAPE)
    placed = np.zeros(SHAPE, dtype=np.float32)
    length = stop - start
    placed[start[0] : stop[0], start[1] : stop[1], start[2] : stop[2]] = array[
        : length[0], : length[1], : length[2]
    ]
    return placed


def _mirrored_box(points: np.ndarray, reach: float | np.ndarray) -> tuple[slice, ...]:
    """Return the slices that hold points (n, 3; mm), what lies within ``reach``, and its mirror."""
    low, high = points.min(axis=0) - reach, points.max(axis=0) + reach
    high[0] = max(high[0], -low[0])
    low[0] = -high[0]
    start = np.clip(np.floor(low - ORIGIN), 0, SHAPE).astype(int)
    stop = np.clip(np.ceil(high - ORIGIN) + 1, 0, SHAPE).astype(int)
    return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))


def _ellipsoid(centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    """Return a boolean ellipsoid that is mirrored at x = 0 when its centre is off the midline."""
    box = _mirrored_box(np.array([centre], dtype=float), np.array(radii))
    x, y, z = coordinates(box)
    result = np.zeros(SHAPE, dtype=bool)
    result[box] = (
        ((np.abs(x) - abs(centre[0])) / radii[0]) ** 2
        + ((y - centre[1]) / radii[1]) ** 2
        + ((z - centre[2]) / radii[2]) ** 2
    ) < 1
    return result


def _rod(
    start: tuple[float, ...], end: tuple[float, ...], radii: tuple[float, float]
) -> np.ndarray:
    """Return a mirrored cone frustum between two points, radii at its ends in mm."""
    a, b = np.array(start), np.array(end)
    box = _mirrored_box(np.array([a, b], dtype=float), max(radii))
    x, y, z = coordinates(box)
    direction = (b - a) / np.dot(b - a, b - a)
    along = (
        (np.abs(x) - a[0]) * direction[0] + (y - a[1]) * direction[1] + (z - a[2]) * direction[2]
    )
    along = np.clip(along, 0, 1)
    away = (
        (np.abs(x) - a[0] - along * (b[0] - a[0])) ** 2
        + (y - a[1] - along * (b[1] - a[1])) ** 2
        + (z - a[2] - along * (b[2] - a[2])) ** 2
    )
    result = np.zeros(SHAPE, dtype=bool)
    result[box] = away < (radii[0] + along * (radii[1] - radii[0])) ** 2
    return result


def brain_labels(mask: np.ndarray, grey: np.ndarray, white: np.ndarray) -> np.ndarray:
    """Divide the brain by simple surfaces in template space (uint8 labels, 0 outside)."""
    x, y, z = coordinates()
    side = np.abs(x)
    labels = np.where(mask, CEREBRUM, OUTSIDE).astype(np.uint8)
    tentorium = (
        5 + 0.5 * (y + 50) - 0.45 * side - 0.25 * np.maximum(side - 20, 0)
        - 0.8 * np.maximum(y + 60, 0) * np.minimum(side / 30, 1)
    )  # fmt: skip
    labels[mask & (z < tentorium) & (y < -32)] = CEREBELLUM
    stem = (side < np.where(z > -22, 17, 26)) & (y < -8) & (y > -48 + 0.0 * z) & (z < -7)
    stem &= y > np.where(z > -48, -38, -60) - 0.0 * side
    labels[mask & stem & (z < -7)] = BRAINSTEM
    core = (side < 34 - 0.3 * np.maximum(np.abs(z - 2) - 8, 0)) & (y > -34) & (y < 24)
    core = core & (z > -12) & (z < 22) & ~((side < 9) & ((y > 8) | (z > 16)))
    deep = core & mask & (labels == CEREBRUM)
    labels[deep & (grey > 0.35)] = DEEP_GREY
    labels[deep & (grey <= 0.35) & (white > 0.5) & (side > 8)] = CAPSULE
    callosum = (side < 11) & (y > -45) & (y < 36) & (z > -2) & (z < 32) & (white > 0.5)
    labels[callosum & (labels == CEREBRUM)] = CALLOSUM
    fissure = (side < 1) & ((y > 38) | (y < -55) | (z > 40)) & (grey + white < 0.8)
    labels[fissure & (labels == CEREBRUM)] = FALX
    return labels


def _cisterns() -> np.ndarray:
    """Return where cerebrospinal fluid lies below the brain, outside the brain mask."""
    return (
        _ellipsoid((0, -4, -17), (16, 13, 9))
        | _ellipsoid((0, -10, -30), (9, 9, 18))
        | _ellipsoid((0, -78, -58), (16, 9, 12))
        | _ellipsoid((0, -42, -64), (16, 17, 14))
        | _ellipsoid((17, -25, -42), (12, 8, 10))
    )


def _head_labels(labels: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Add face, orbits, sinuses, skull base and neck outside the brain to its labels."""
    x, y, z = coordinates()
    side = np.abs(x)
    low = np.clip((-z - 60) / 40, 0, 1)  # the section narrows from the ears to the neck
    face = (side / (84 - 12 * low)) ** 2.4 + (np.abs(y + 15 + 4 * low) / (98 - 10 * low)) ** 2.4 < 1
    face = face & (z < -14 - 0.35 * np.maximum(y - 40, 0))
    face |= _rod((0, 78, -40), (0, 92, -66), (6, 11))
    depth = -signed_distance(face, 2)
    out = np.zeros(SHAPE, dtype=np.uint8)
    out[face] = MUSCLE
    out[face & (depth < 9) & (y < -20)] = FAT
    out[face & (depth < 7) & (y >= -20)] = FAT
    out[_ellipsoid((45, 38, -72), (16, 20, 24)) & face] = FAT
    out[_ellipsoid((62, 28, -40), (8, 24, 22)) & face] = MUSCLE
    out[_rod((0, -88, -58), (0, -92, -100), (9, 9)) & face] = FAT
    bone = _rod((66, 38, -50), (66, -12, -50), (4, 4))  # zygomatic arch
    bone |= _rod((47, 62, -52), (66, 38, -50), (7, 5))
    bone |= _rod((42, 62, -22), (56, 48, -38), (6, 6))  # lateral orbital rim
    bone |= _rod((58, -14, -58), (50, 20, -100), (6, 8))  # mandible
    bone |= _ellipsoid((27, 48, -70), (20, 23, 20)) & (z < -52)  # maxilla
    bone |= _ellipsoid((0, 42, -48), (18, 36, 24)) | _ellipsoid((0, 8, -38), (20, 20, 16))
    bone |= _rod((0, -1, -30), (0, -26, -66), (9, 8)) & (side < 14)  # clivus
    bone |= _ellipsoid((52, -38, -52), (17, 17, 22))
    bone |= _rod((22, 14, -26), (58, 22, -22), (4, 5))  # sphenoid wings
    bone |= _ellipsoid((20, -44, -73), (9, 12, 8))  # occipital condyles, atlas
    ring = ((side / 24) ** 2 + ((y + 50) / 25) ** 2 < 1) & (z < -72)
    bone |= ring
    out[bone & face] = FACE_BONE
    out[_rod((16, -16, -44), (52, -34, -42), (7, 11))] = PETROUS
    orbit = _rod((33, 58, -40), (14, 16, -35), (19, 7))
    out[_rod((34, 66, -40), (14, 14, -35), (22, 9)) & (out != MUSCLE) & face] = FACE_BONE
    out[orbit] = ORBIT_FAT
    for start in ((33, 46, -30), (33, 46, -50), (45, 46, -40), (22, 46, -40)):
        out[_rod(start, (14, 16, -36), (2.5, 2.5)) & orbit] = MUSCLE
    out[_rod((33, 46, -40), (12, 14, -35), (2.2, 2.2))] = OPTIC
    out[_ellipsoid((33, 58, -40), (12.6, 12.6, 12.6))] = EYE
    out[_ellipsoid((33, 67, -40), (5, 2.2, 5))] = LENS
    out[_ellipsoid((0, 38, -46), (12, 32, 19))] = NASAL
    out[(side < 3.5) & (y > 60) & (y < 90) & (z < -60) & (z > -74) & (out != OUTSIDE)] = NASAL
    out[_ellipsoid((27, 46, -69), (14.5, 17, 15))] = MAXILLARY
    out[_ellipsoid((0, 9, -38), (14, 14, 10))] = SPHENOID
    out[_ellipsoid((9, 75, -22), (13, 6, 16))] = FRONTAL_SINUS
    out[_ellipsoid((54, -42, -50), (13, 13, 19))] = MASTOID
    out[_rod((50, -28, -44), (76, -26, -47), (4, 4))] = AIRWAY  # ear canals
    out[_ellipsoid((0, 12, -72), (12, 14, 20)) | _rod((0, 2, -78), (0, -4, -100), (11, 9))] = AIRWAY
    out[_ellipsoid((0, 52, -96), (26, 30, 12)) & ~_ellipsoid((0, 46, -97), (19, 25, 12))] = TEETH
    behind = (y < -40) | (z > 60)
    out[(side < 4.5) & (distance > 0) & (distance < 5) & behind & (z > -14)] = BLOOD_SINUS
    canal = ((side / 15) ** 2 + ((y + 46) / 17) ** 2 < 1) & (z < -58) & (distance > 0)
    out[canal] = SPINAL_CSF
    out[((side / 7) ** 2 + ((y + 46) / 6.5) ** 2 < 1) & (z < FORAMEN_Z + 3)] = CORD
    return np.where((labels > 0) & ~((z < FORAMEN_Z) & canal), labels, out)


@lru_cache(maxsize=1)
def canonical_head() -> CanonicalHead:
    """Build the template's head (about ten seconds, once in a process)."""
    return build_head(
        np.clip(_template("label-GM_probseg"), 0, 1),
        np.clip(_template("label-WM_probseg"), 0, 1),
        _template("desc-brain_mask") > 0.5,
        _template("label-lateralventricles_mask") > 0.5,
    )


def build_head(
    grey: np.ndarray, white: np.ndarray, mask: np.ndarray, ventricles: np.ndarray
) -> CanonicalHead:
    """Put a brain into the procedural head.

    Parameters
    ----------
    grey, white
        Fractions on the working grid, float32; not changed.
    mask, ventricles
        Brain and lateral ventricles on the working grid, bool.

    Returns
    -------
    CanonicalHead
    """
    _, _, z = coordinates()
    mask = mask & (z >= FORAMEN_Z)
    closed = signed_distance(signed_distance(mask, 2) < 4.0, 2) < -4.0
    mask |= closed & (z >= FORAMEN_Z)
    inner = mask | _cisterns()
    wide = signed_distance(signed_distance(inner, 2) < 9.0, 2) < -9.0
    # Above the base the inner table follows no gyri.
    skull_distance = signed_distance(inner | (wide & (z > -22)), 2)
    labels = brain_labels(mask, grey, white)
    # The average shows a grey rim between white matter and ventricle; no single brain has it.
    ventricle_distance = signed_distance(ventricles)
    rim = (ventricle_distance < 4) & (labels != DEEP_GREY) & (grey > 0)
    white = np.where(rim, white + grey, white)
    grey = np.where(rim, 0, grey).astype(np.float32)
    return CanonicalHead(
        grey=grey,
        white=white.astype(np.float32),
        brain=ndimage.gaussian_filter(mask.astype(np.float32), 0.7),
        skull_distance=ndimage.gaussian_filter(skull_distance, 1.5),
        ventricle_distance=ndimage.gaussian_filter(ventricle_distance, 0.8),
        labels=_head_labels(labels, skull_distance),
    )
