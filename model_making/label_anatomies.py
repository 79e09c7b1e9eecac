"""Make individual anatomies for the simulation from whole-head label maps.

One file a map: its brain, and its own skull, scalp, vessels, eyes and lesions, on the simulation's
working grid in the template's frame. Run from the repository root:
``python -m model_making.label_anatomies DATA training/anatomies``.
Anatomies that networks are tested on (``--for-tests``) go to a folder of their own.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import ants
import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids.preprocessing.transforms import to_ants
from ctwml_bids.simulation import canonical
from ctwml_bids.simulation.canonical import CanonicalHead, signed_distance
from ctwml_bids.simulation.fields import coarse_shape, upsample
from ctwml_bids.simulation.individual import find_falx, write_head
from model_making import label_maps as maps
from model_making.label_maps import LabelMap, read_label_map
from model_making.outer_head import divide
from model_making.template_registration import (
    STEER_MM,
    affine_to_template,
    steering_maps,
    stiff_deformation,
    template_fractions,
)
from model_making.training_facts import NEVER

STEM = "_labels.nii.gz"
# Not used unless asked for by name: its orbits are labelled as fluid of the brain.
LEFT_OUT = ("anat-14",)
# How much of a label's voxels is white and grey matter.
TISSUES = (
    ((*maps.CEREBRAL_WHITE, *maps.CEREBELLAR_WHITE, *maps.BRAINSTEM), 1.0, 0.0),
    ((*maps.CEREBRAL_GREY, *maps.CEREBELLAR_GREY, *maps.DEEP_GREY), 0.0, 1.0),
    (maps.VENTRAL_DIENCEPHALON, 0.5, 0.5),
)
# Labels of ``canonical`` that the maps say; the others of the brain lie where the template's do.
PLACES = {
    canonical.CEREBRUM: (*maps.CEREBRAL_WHITE, *maps.CEREBRAL_GREY),
    canonical.CEREBELLUM: (*maps.CEREBELLAR_WHITE, *maps.CEREBELLAR_GREY),
    canonical.BRAINSTEM: maps.BRAINSTEM,
    canonical.DEEP_GREY: (*maps.DEEP_GREY, *maps.VENTRAL_DIENCEPHALON),
    canonical.CHOROID: maps.CHOROID_PLEXUS,
}
OUTER = {
    canonical.SOFT: (maps.SOFT_TISSUE, maps.EYE_MUSCLE),
    canonical.SKIN: (maps.SKIN,),
    canonical.COMPACT_BONE: (maps.COMPACT,),
    canonical.SPONGY_BONE: (maps.SPONGY,),
    canonical.EYE: (maps.EYE,),
    canonical.OPTIC: (maps.OPTIC_NERVE,),
    canonical.MUCOSA: (maps.MUCOSA,),
    canonical.ARTERY: (maps.ARTERIES,),
    canonical.BLOOD_SINUS: (maps.VEINS,),
    canonical.CORD: (maps.SPINAL_CORD, *maps.BRAINSTEM),
    canonical.SPINAL_CSF: (*maps.FLUID, *maps.OTHER_VENTRICLES),
}
HINDBRAIN_MM = ((-20.0, 20.0), (-65.0, -25.0))  # x and y between which coverage counts
WARP_STEP = 2.0  # voxels of the working grid between two at which a deformation is evaluated
# Spacing of the images of coordinates, and how far they reach beyond a map, in its voxels.
INDEX_STEP, BEYOND = 20.0, 140.0
# Of the deformation at 12, 6 and 3 mm: what steers it is smooth, the last ones take the time.
ITERATIONS = (60, 40, 4)
LOOK_Z = (-60, -45, -30, -15, 0, 12, 25, 45, 62)  # mm, slices of the picture


@dataclass(frozen=True)
class PlacedMap:
    """A label map with the source voxel index (3, x, y, z) of each voxel of the working grid."""

    map: LabelMap
    source: np.ndarray

    def fraction(self, *labels: int) -> np.ndarray:
        """Return how much of each voxel of the working grid has one of some labels (float32)."""
        return self.sampled(np.isin(self.map.labels, labels))

    def sampled(self, mask: np.ndarray) -> np.ndarray:
        """Return a mask of the map as fractions on the working grid (float32), 0 beyond it."""
        # Most voxels lie among eight that agree: only the others need interpolation.
        field = np.pad(mask, 1).astype(np.uint8)
        low, high = (_of_eight(field, choose) for choose in (np.minimum, np.maximum))
        first = self._first
        out = low.ravel()[first].astype(np.float32)
        between = np.flatnonzero(high.ravel()[first] != out)
        places = self.source.reshape(3, -1)[:, between] + 1
        out[between] = ndimage.map_coordinates(field.astype(np.float32), places, order=1)
        return out.reshape(canonical.SHAPE)

    @cached_property
    def _first(self) -> np.ndarray:
        """Flat index, among the cells between voxels with a rim, of each voxel's cell."""
        shape = np.array(self.map.labels.shape) + 1
        index = np.clip(
            np.floor(self.source).astype(np.int32).reshape(3, -1) + 1, 0, shape[:, None] - 1
        )
        return np.ravel_multi_index(tuple(index), tuple(shape)).astype(np.int32)


def _of_eight(field: np.ndarray, choose: np.ufunc) -> np.ndarray:
    """Return the least or greatest corner of each cell between voxels."""
    for axis in range(3):
        length = field.shape[axis]
        field = choose(*(field.take(range(i, length - 1 + i), axis) for i in (0, 1)))
    return field


def place(label_map: LabelMap, transforms: list[str]) -> PlacedMap:
    """Say where a map's voxels come to lie on the working grid through ANTs transforms."""
    # The deformation is known at 3 mm and linear between: every second voxel tells the others.
    step = np.diag([WARP_STEP, WARP_STEP, WARP_STEP, 1.0])
    step[:3, 3] = canonical.ORIGIN
    few = coarse_shape(canonical.SHAPE, WARP_STEP)
    fixed = to_ants(nib.Nifti1Image(np.zeros(few, dtype=np.float32), step))
    # Coordinates are linear, too: an image of few voxels that reaches far beyond the map.
    shape = [int(np.ceil((n + 2 * BEYOND) / INDEX_STEP)) + 1 for n in label_map.labels.shape]
    affine = label_map.affine @ np.diag([INDEX_STEP, INDEX_STEP, INDEX_STEP, 1.0])
    affine[:3, 3] -= BEYOND
    source = np.empty((3, *canonical.SHAPE), dtype=np.float32)
    for axis in range(3):
        along = [-1 if other == axis else 1 for other in range(3)]
        index = np.arange(shape[axis], dtype=np.float32).reshape(along) * INDEX_STEP - BEYOND
        image = to_ants(nib.Nifti1Image(np.broadcast_to(index, shape).copy(), affine))
        found = ants.apply_transforms(fixed, image, transforms).numpy()
        source[axis] = upsample(found, canonical.SHAPE, WARP_STEP)
    return PlacedMap(label_map, source)


def register(label_map: LabelMap) -> PlacedMap:
    """Bring a map to the template: affine by brain masks, then the stiff deformation."""
    fixed = _template_maps()
    affine = affine_to_template(_image(label_map.brain, label_map), template_fractions()[1])
    labels = label_map.labels
    white = sum(share * np.isin(labels, kinds) for kinds, share, _ in TISSUES)
    masks = {
        "brain": label_map.brain,
        "ventricles": np.isin(labels, maps.LATERAL_VENTRICLES),
        "white": white,
    }
    moving = []
    for (name, mask), target in zip(masks.items(), fixed, strict=True):
        smooth = ndimage.gaussian_filter(np.asarray(mask, dtype=np.float32), STEER_MM[name])
        moving.append(ants.apply_transforms(target, _image(smooth, label_map), affine))
    return place(label_map, [*stiff_deformation(fixed, moving, ITERATIONS), *affine])


@cache
def _template_maps() -> list[ants.ANTsImage]:
    return steering_maps(*template_fractions())


def _image(array: np.ndarray, label_map: LabelMap) -> ants.ANTsImage:
    return to_ants(nib.Nifti1Image(np.asarray(array, dtype=np.float32), label_map.affine))


def _tissues(placed: PlacedMap) -> np.ndarray:
    """Return the fractions (2, x, y, z) of grey and white matter in the brain."""
    out = np.zeros((2, *canonical.SHAPE), dtype=np.float32)
    for labels, white, grey in TISSUES:
        part = placed.fraction(*labels)
        out[0] += grey * part
        out[1] += white * part
    return out


def make_head(placed: PlacedMap) -> tuple[CanonicalHead, np.ndarray]:
    """Return a map's head on the working grid, and where it has lesions (bool)."""
    _, _, z = canonical.coordinates()
    tissues = _tissues(placed)
    brain = (placed.sampled(placed.map.brain) > 0.5) & (z >= canonical.FORAMEN_Z)
    falx = find_falx(*tissues, brain)
    grey, white = tissues * (1 - 0.7 * falx)
    # Below the foramen magnum labels say what is spinal cord and what is fluid around it.
    within = placed.sampled(maps.cavity(placed.map.labels)) > 0.5
    cavity = (within | brain) & (z >= canonical.FORAMEN_Z)
    ventricles = placed.fraction(*maps.LATERAL_VENTRICLES)
    head = CanonicalHead(
        grey=grey,
        white=white,
        brain=ndimage.gaussian_filter(brain.astype(np.float32), 0.7),
        skull_distance=ndimage.gaussian_filter(signed_distance(cavity), 0.6),
        # Little smoothing: inferior horns are a voxel or two wide.
        ventricle_distance=ndimage.gaussian_filter(signed_distance(ventricles > 0.5), 0.5),
        labels=_labels(placed, brain, within, grey, white, falx),
        covered_from=covered_from(placed),
    )
    return head, placed.fraction(*maps.LESIONS) > 0.5


def _labels(
    placed: PlacedMap,
    brain: np.ndarray,
    within: np.ndarray,
    grey: np.ndarray,
    white: np.ndarray,
    falx: np.ndarray,
) -> np.ndarray:
    """Return the codes of ``canonical``: the maps' where they say them."""
    usual = canonical.brain_labels(brain, grey, white)
    said = _strongest(placed, PLACES)
    taken = (canonical.CEREBELLUM, canonical.BRAINSTEM, canonical.DEEP_GREY)
    inner = np.where(said > 0, said, usual)
    tracts = np.isin(usual, (canonical.CAPSULE, canonical.CALLOSUM)) & (white > 0.5)
    inner = np.where((said == canonical.CEREBRUM) & tracts, usual, inner)
    inner = np.where((said == 0) & np.isin(usual, taken[2:]), canonical.CEREBRUM, inner)
    inner[falx & (inner == canonical.CEREBRUM)] = canonical.FALX
    outer = _strongest(placed, OUTER)
    muscle = placed.fraction(maps.EYE_MUSCLE) > 0.5
    outer = divide(outer, muscle, within | brain)
    vessels = np.isin(outer, (canonical.BLOOD_SINUS, canonical.ARTERY))
    return np.where(brain & ~vessels, inner, outer).astype(np.uint8)


def _strongest(placed: PlacedMap, groups: dict[int, tuple[int, ...]]) -> np.ndarray:
    """Return the code (uint8) that holds most of each voxel, 0 where all hold less than half."""
    most = np.zeros(canonical.SHAPE, dtype=np.float32)
    total = np.zeros(canonical.SHAPE, dtype=np.float32)
    codes = np.zeros(canonical.SHAPE, dtype=np.uint8)
    for code, labels in groups.items():
        part = placed.fraction(*labels)
        total += part
        stronger = part > most
        codes[stronger] = code
        np.maximum(most, part, out=most)
    codes[total < 0.5] = 0
    return codes


def covered_from(placed: PlacedMap) -> float:
    """Return the lowest z (mm, working grid) at which the map holds all around the foramen."""
    x, y, _ = (axis.ravel() for axis in canonical.coordinates())
    (left, right), (back, front) = HINDBRAIN_MM
    columns = placed.source[2][(x > left) & (x < right)][:, (y > back) & (y < front)]
    known = (columns >= maps.EXTENDED).all(axis=(0, 1))
    return float(canonical.ORIGIN[2] + np.flatnonzero(known)[0])


def draw(path: Path, head: CanonicalHead, lesions: np.ndarray) -> None:
    """Draw slices of labels and tissues for a look: no anatomy should be used unseen."""
    fluid = head.brain * (1 - head.grey - head.white)
    tissues = np.stack([head.grey, head.white, fluid], axis=-1).clip(0, 1)
    figure, axes = plt.subplots(2, len(LOOK_Z), figsize=(3 * len(LOOK_Z), 7))
    for column, z in zip(axes.T, LOOK_Z, strict=True):
        k = int(z - canonical.ORIGIN[2])
        column[0].imshow(head.labels[:, :, k].T, "nipy_spectral", origin="lower", vmin=0, vmax=44)
        column[1].imshow(tissues[:, :, k].transpose(1, 0, 2), origin="lower")
        outlines = ((head.skull_distance < 0, "y"), (head.ventricle_distance < 0, "c"))
        for mask, colour in (*outlines, (lesions, "m")):
            column[1].contour(mask[:, :, k].T, [0.5], colors=colour, linewidths=0.5)
    for axis in axes.ravel():
        axis.axis("off")
    figure.tight_layout(pad=0.2)
    figure.savefig(path, dpi=50)
    plt.close(figure)


def chosen_maps(folder: Path, names: list[str], for_tests: bool) -> list[Path]:
    """Return the maps of some names, or all that training may use, or all that tests use."""
    paths = {path.name.removesuffix(STEM): path for path in sorted(folder.glob(f"*{STEM}"))}
    names = names or [
        name for name in paths if (name in NEVER) == for_tests and name not in LEFT_OUT
    ]
    if missing := sorted({*names} - paths.keys()):
        raise SystemExit(f"{folder} has no label maps of {missing}")
    refused = sorted({*names}.intersection(NEVER))
    if refused and not for_tests:
        raise SystemExit(
            f"the program is tested on {refused}: give --for-tests and a folder that no training "
            "reads"
        )
    return [paths[name] for name in names]


def main(argv: list[str] | None = None) -> int:
    """Write one anatomy file a map."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help=f"folder of <name>{STEM}")
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", help="maps to use; default: all that are allowed")
    parser.add_argument(
        "--for-tests", action="store_true", help="use those that no network may be trained on"
    )
    options = parser.parse_args(argv)
    paths = chosen_maps(options.data, options.names, options.for_tests)
    options.out.mkdir(parents=True, exist_ok=True)
    for path in paths:
        name = path.name.removesuffix(STEM)
        print(name, flush=True)
        head, lesions = make_head(register(read_label_map(path)))
        draw(options.out / f"{name}.png", head, lesions)
        write_head(options.out / f"{name}.npz", head, lesions)
    return 0


if __name__ == "__main__":
    sys.exit(main())
