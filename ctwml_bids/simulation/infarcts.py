"""Shapes of real infarcts in template space: one file that holds many, and drawing one of them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctwml_bids.errors import BadDataError
from ctwml_bids.simulation import canonical

FORMAT = "infarct shapes 1"
FIELDS = ("names", "volumes_ml", "starts", "sizes", "bits", "for_tests", "source")


@dataclass(frozen=True)
class InfarctShape:
    """One infarct in template space.

    Attributes
    ----------
    name
        As in the data set it comes from, with ``-mirrored`` where left and right are exchanged.
    start
        Index of the first voxel of its box on the working grid of ``canonical``, (3,).
    mask
        bool, in the box; 1 mm voxels, axes towards right, front and top.
    """

    name: str
    start: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True, eq=False)
class InfarctShapes:
    """Many infarcts, packed.

    Attributes
    ----------
    names
        One a shape.
    volumes_ml
        Volumes in template space, mL, (n,).
    starts, sizes
        Boxes on the working grid of ``canonical``, voxels, (n, 3).
    bits
        uint8: the masks in their boxes (C order), eight voxels a byte, each from a new byte.
    for_tests
        Whether no model may be trained on them.
    source
        Where they come from and under which licence.
    """

    names: tuple[str, ...]
    volumes_ml: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    bits: np.ndarray
    for_tests: bool
    source: str

    @property
    def ends(self) -> np.ndarray:
        """Where each shape's bytes end, (n,)."""
        return np.cumsum(-(-np.prod(self.sizes.astype(np.int64), axis=1) // 8))


def pack_shapes(shapes: Iterable[InfarctShape], for_tests: bool, source: str) -> InfarctShapes:
    """Pack shapes, at least one."""
    listed = list(shapes)
    return InfarctShapes(
        names=tuple(shape.name for shape in listed),
        volumes_ml=np.array([shape.mask.sum() / 1000 for shape in listed], dtype=np.float32),
        starts=np.array([shape.start for shape in listed], dtype=np.int16),
        sizes=np.array([shape.mask.shape for shape in listed], dtype=np.int16),
        bits=np.concatenate([np.packbits(shape.mask) for shape in listed]),
        for_tests=for_tests,
        source=source,
    )


def write_shapes(path: Path, shapes: InfarctShapes) -> None:
    """Write a file of shapes (compressed npz)."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        # Their names are those of FIELDS, so none is taken for `allow_pickle`.
        np.savez_compressed(
            file,
            format=FORMAT,
            **{name: getattr(shapes, name) for name in FIELDS},
        )
    os.replace(part, path)


def read_shapes(path: Path) -> InfarctShapes:
    """Read a file of `write_shapes`.

    Raises
    ------
    BadDataError
        If it cannot be read, is no such file, or its boxes lie outside the working grid.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["format"]) != FORMAT:
                raise ValueError(f"its format is {file['format']!s}, not {FORMAT}")
            arrays = {name: file[name] for name in FIELDS}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadDataError(f"{path} is not a file of infarct shapes ({error!r})") from error
    shapes = InfarctShapes(
        names=tuple(str(name) for name in arrays["names"]),
        volumes_ml=arrays["volumes_ml"],
        starts=arrays["starts"],
        sizes=arrays["sizes"],
        bits=arrays["bits"],
        for_tests=bool(arrays["for_tests"]),
        source=str(arrays["source"]),
    )
    inside = (shapes.starts >= 0) & (shapes.starts + shapes.sizes <= canonical.SHAPE)
    if not inside.all() or len(shapes.bits) != shapes.ends[-1]:
        raise BadDataError(f"{path}: its infarcts do not fit this version's grid; make it again")
    return shapes


def shape_of(shapes: InfarctShapes, index: int, mirrored: bool = False) -> InfarctShape:
    """Unpack one shape, mirrored at the template's midline if asked for."""
    size = shapes.sizes[index].astype(int)
    end = int(shapes.ends[index])
    count = int(np.prod(size))
    bits = np.unpackbits(shapes.bits[end - -(-count // 8) : end], count=count)
    mask, start = bits.reshape(size).astype(bool), shapes.starts[index].astype(int)
    if not mirrored:
        return InfarctShape(shapes.names[index], start, mask)
    # The working grid is symmetric about x = 0.
    start[0] = canonical.SHAPE[0] - start[0] - size[0]
    return InfarctShape(shapes.names[index] + canonical.MIRRORED, start, mask[::-1])


def draw_shape(
    rng: np.random.Generator, shapes: InfarctShapes, most_ml: float = np.inf
) -> InfarctShape:
    """Draw a shape of at most some mL (the smallest one where none is so small), or its mirror."""
    small = np.flatnonzero(shapes.volumes_ml <= max(most_ml, float(shapes.volumes_ml.min())))
    return shape_of(shapes, int(rng.choice(small)), bool(rng.random() < 0.5))
