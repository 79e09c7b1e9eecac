"""Heads on the network's grid as memory-mapped files, of which only a few are open at a time.

A head of 11 MB is read where patches are cut from it, so that 2,000 heads train in the memory of a
few. To open one must be quick, as of 2,000 almost every patch is of another: labels lie as a last
channel in the image's file, slice by slice, and centres in one file whose first row counts them.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np

from ctwml_bids.errors import NoInputError
from ctwml_bids.reading import read_json
from ctwml_bids.training.patches import TrainingVolume, centres_of

# Heads kept open: 64 of them map 700 MB at most, as 1 × 1 × 3 mm makes 11 MB a head. Each holds a
# file descriptor, of which a process has 1,024 on most systems.
OPEN_AT_MOST = 64


class MappedHeads(Sequence[TrainingVolume]):
    """Heads by name, each opened when it is asked for.

    Parameters
    ----------
    folder
        Where `save_mapped` wrote them.
    names
        Which, in this order.
    open_at_most
        Heads that are kept open.
    """

    def __init__(self, folder: Path, names: Sequence[str], open_at_most: int = OPEN_AT_MOST):
        self.folder, self.names = Path(folder), tuple(names)
        self._most = open_at_most
        self._open: OrderedDict[int, TrainingVolume] = OrderedDict()

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> TrainingVolume: ...

    @overload
    def __getitem__(self, index: slice) -> MappedHeads: ...

    def __getitem__(self, index: int | slice) -> TrainingVolume | MappedHeads:
        if isinstance(index, slice):
            return MappedHeads(self.folder, self.names[index], self._most)
        if index in self._open:
            self._open.move_to_end(index)
            return self._open[index]
        head = open_mapped(self.folder, self.names[index])
        self._open[index] = head
        if len(self._open) > self._most:
            self._open.popitem(last=False)
        return head


def save_mapped(
    folder: Path, name: str, channels: np.ndarray, labels: np.ndarray, facts: dict
) -> None:
    """Write one head; it is there once its image is, which comes last.

    Parameters
    ----------
    folder
        Made where it is missing.
    name
        Of the head.
    channels
        Input of the network, (channels, x, y, z).
    labels
        (x, y, z) uint8.
    facts
        JSON-able; `facts_of` reads them back.
    """
    folder.mkdir(parents=True, exist_ok=True)
    image = _image(folder, name)
    image.unlink(missing_ok=True)
    together = np.concatenate([channels, labels[None]]).astype(np.float16)
    found = centres_of(TrainingVolume(channels, labels, name))
    counts = [[len(voxels) for voxels in found]]
    np.save(_centres(folder, name), np.concatenate([counts, *found]).astype(np.int16))
    (folder / f"{name}_facts.json").write_text(json.dumps(facts), encoding="utf-8")
    unfinished = folder / f".{name}_image.part.npy"
    try:
        # Slices lie together on disk, so that a patch is read from few pages.
        np.save(unfinished, np.ascontiguousarray(together.transpose(3, 0, 1, 2)))
        os.replace(unfinished, image)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def facts_of(folder: Path, name: str) -> dict | None:
    """Read what a head was written with; None where it is not there as a whole."""
    if not _image(folder, name).is_file():
        return None
    try:
        return read_json(folder / f"{name}_facts.json")
    except (OSError, ValueError):
        return None


def open_mapped(folder: Path, name: str) -> TrainingVolume:
    """Open one head, image and labels (as float16) memory-mapped.

    Raises
    ------
    NoInputError
        If it is not there, or not whole.
    """
    try:
        together = np.load(_image(folder, name), mmap_mode="r").transpose(1, 2, 3, 0)
        centres = np.load(_centres(folder, name))
    except (OSError, ValueError) as error:
        raise NoInputError(
            f"{_image(folder, name)}: this head on the network's grid cannot be read ({error}); "
            "run `train` again with --only heads."
        ) from error
    brain, wml, infarcts = np.split(centres[1:], np.cumsum(centres[0, :2], dtype=int))
    return TrainingVolume(together[:-1], together[-1], name, (brain, wml, infarcts))


def _image(folder: Path, name: str) -> Path:
    return Path(folder) / f"{name}_image.npy"


def _centres(folder: Path, name: str) -> Path:
    return Path(folder) / f"{name}_centres.npy"
