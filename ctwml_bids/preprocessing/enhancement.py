"""Look whether the vessels of a CT hold a contrast agent, where nothing else says it.

Blood reads 40 to 70 HU; with an agent the sinuses and arteries of the head read 100 to 400 HU. They
cross every axial section of the cranial cavity, so the brightest voxels of most sections tell:
calcifications, and bone cut at a slant, are as bright in a few sections only, and a haemorrhage is
darker.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from ctwml_bids.image_files import load_nifti

# Values are averaged over about this in plane, so that noise does not count, and looked at in about
# this many slices.
_BLOCK_MM = 2.0
_SLICES = 40
# Bone is from here, in pieces of at least so many cm² of a section: arteries are smaller. With the
# lower limit a sinus that is filled well counts as bone, with the higher one the blur of a vault
# cut at a slant counts as vessel: so both are tried.
_BONE_HU, _BONE_CM2 = (300.0, 450.0), 3.0
# Depth below bone from which its blur does not count, mm.
_DEPTH_MM = 3.0
# Sections that are smaller than this share of the largest are not looked at: there the vault is
# cut at a slant.
_SECTION = 0.6
# What this percentile of a section reaches: 0.3 cm² are brighter, less than the sagittal sinus.
_BRIGHTEST = 99.8
# HU of it, in the median of all sections: without an agent below the first by both limits of bone;
# with one above the second by the lower limit, or above the third by the higher one, which blurred
# bone does not reach (110 on a scan whose tilt was corrected by interpolation).
_WITHOUT_HU, _WITH_HU, _FILLED_HU = 80.0, 95.0, 200.0
# Median of the cavity of a head in HU: anything else is no CT of one.
_BRAIN_HU = (10.0, 70.0)
# The cavity's largest section, cm²: an adult's is 130 to 180.
_LEAST_CM2 = 60.0


@dataclass(frozen=True)
class Vessels:
    """What is brightest inside the skull.

    Attributes
    ----------
    hu
        In HU, with the lower limit of bone and with the higher one.
    """

    hu: tuple[float, float]

    @property
    def enhanced(self) -> bool | None:
        """Whether the vessels hold a contrast agent; None where that cannot be told."""
        lower, higher = self.hu
        if lower > _WITH_HU or higher > _FILLED_HU:
            return True
        return False if max(self.hu) < _WITHOUT_HU else None


def vessels(path: Path) -> Vessels | None:
    """Read a CT, in parts, and measure the brightest voxels inside the skull in HU.

    Parameters
    ----------
    path
        A NIfTI image, 3D, any orientation.

    Returns
    -------
    Vessels or None
        None where no cranial cavity is seen, as in a brain without skull or values not in HU.
    """
    image = load_nifti(path)
    spacing = np.linalg.norm(image.affine[:3, :3], axis=0)
    upwards = int(np.argmax(np.abs(image.affine[2, :3]) / spacing))
    step = max(1, image.shape[upwards] // _SLICES)
    part = [slice(None)] * len(image.shape)
    part[upwards] = slice(None, None, step)
    taken = np.asarray(image.dataobj[tuple(part)], dtype=np.float32)
    taken = np.moveaxis(taken.reshape(taken.shape[:3]), upwards, 2)
    return brightest_inside(taken, np.delete(spacing, upwards))


def brightest_inside(hu: np.ndarray, spacing: np.ndarray) -> Vessels | None:
    """Measure sections of a head: the median of what is brightest in each (see `vessels`).

    Parameters
    ----------
    hu
        HU, (row, column, section), axial.
    spacing
        Of rows and columns, mm.
    """
    size = np.maximum(np.round(_BLOCK_MM / np.asarray(spacing)), 1).astype(int)
    rows, columns = (n // s for n, s in zip(hu.shape[:2], size, strict=True))
    if min(rows, columns) == 0:
        return None
    blocks = hu[: rows * size[0], : columns * size[1]]
    blocks = blocks.reshape(rows, size[0], columns, size[1], -1).mean(axis=(1, 3))
    pixel = np.asarray(spacing) * size
    sections = np.moveaxis(blocks, 2, 0)
    lower, higher = (
        _brightest([_inside(s, pixel, bone) for s in sections], pixel) for bone in _BONE_HU
    )
    return None if lower is None or higher is None else Vessels((lower, higher))


def _brightest(sections: list[np.ndarray], pixel: np.ndarray) -> float | None:
    """Return the median over the large sections of what is brightest in each; None of no head."""
    largest = max(section.size for section in sections)
    if largest * pixel.prod() / 100 < _LEAST_CM2:
        return None
    whole = [section for section in sections if section.size >= _SECTION * largest]
    if not _BRAIN_HU[0] <= np.median(np.concatenate(whole)) <= _BRAIN_HU[1]:
        return None
    return float(np.median([np.percentile(section, _BRIGHTEST) for section in whole]))


def _inside(section: np.ndarray, pixel: np.ndarray, bone_hu: float) -> np.ndarray:
    """Return the values of a section that bone encloses, but for those beside bone."""
    # Thin bone and sutures leave gaps of a block.
    pieces, count = ndimage.label(ndimage.binary_closing(section > bone_hu))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1) * pixel.prod() / 100
    bone = (pieces > 0) & (sizes >= _BONE_CM2)[pieces]
    if not bone.any():
        return section[:0].ravel()
    deep = ndimage.distance_transform_edt(~bone, pixel) > _DEPTH_MM
    return section[ndimage.binary_fill_holes(bone) & deep]
