"""Square axial patches drawn from heads on the network's grid.

A patch's centre is drawn beside a voxel of a WML or an infarct (then shifted at random) or
anywhere in the brain, the slice being that of the drawn voxel. Patches that reach over the grid's
edge are filled with the background.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing.normalisation import BACKGROUND
from ctwml_bids.segmentation.classes import COUNTS, INFARCT, WML

# Voxels of each kind remembered per head as possible centres: enough to be representative,
# few enough that hundreds of heads fit in memory.
_MOST_CENTRES = 20_000

# Voxels (n, 3) of the brain, of WML and of infarcts: those of a class have its number.
Centres = tuple[np.ndarray, np.ndarray, np.ndarray]
Augmentation = Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class TrainingVolume:
    """One head on the network's grid.

    Attributes
    ----------
    channels
        Input of the network, (channels, x, y, z), any floating type, −3 outside the brain.
    labels
        Class of each voxel, (x, y, z), uint8; 0 is background, 1 WML, 2 infarct.
    name
        For messages and logs.
    centres
        Possible centres of patches: voxels (n, 3) of the brain, of WML and of infarcts, where
        they were found before.
    """

    channels: np.ndarray
    labels: np.ndarray
    name: str = ""
    centres: Centres | None = None


@dataclass(frozen=True)
class PatchConfig:
    """How patches are drawn.

    Attributes
    ----------
    size
        Edge in voxels.
    lesion_share
        Share of the patches with a centre beside a WML, where any head has one.
    infarct_share
        Share of those beside an infarct, likewise; of networks of two classes none are.
    shift
        Largest shift of such a centre from the lesion voxel, along x and y, in voxels.
    flip
        Probability of a left–right flip.
    context
        Slices below, and above, that the network sees along with each one; 0 is the paper's.
    """

    size: int = 64
    lesion_share: float = 0.5
    infarct_share: float = 0.2
    shift: int = 32
    flip: float = 0.5
    context: int = 0


class PatchSampler:
    """Draws batches of patches from a list of heads.

    Parameters
    ----------
    volumes
        Heads; all with the same number of channels. Of heads with centres of their own nothing is
        kept here, so that they may be opened one at a time (`mapped_heads`).
    config
        How patches are drawn.
    classes
        Of the network. With two, infarcts are background.

    Raises
    ------
    BadDataError
        If there is no head, the heads differ in channels, or one has no brain.
    """

    def __init__(
        self,
        volumes: Sequence[TrainingVolume],
        config: PatchConfig = PatchConfig(),
        classes: int = COUNTS[0],
    ):
        if not volumes:
            raise BadDataError("There is no head to draw patches from.")
        self.volumes = volumes
        self.config = config
        self.classes = classes
        self._found: list[Centres | None] = []
        # Class → heads that have it.
        self._with: dict[int, list[int]] = {lesion: [] for lesion in range(1, classes)}
        channels = set()
        for index, volume in enumerate(volumes):
            found = centres_of(volume)
            if len(found[0]) == 0:
                raise BadDataError(f"The head {volume.name!r} is background everywhere.")
            channels.add(volume.channels.shape[0])
            self._found.append(None if volume.centres else found)
            for lesion, heads in self._with.items():
                if len(found[lesion]):
                    heads.append(index)
        if len(channels) > 1:
            raise BadDataError("The heads to train on differ in their number of channels.")

    def batch(
        self,
        rng: np.random.Generator,
        patches: int,
        augment: Augmentation | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw a batch.

        Parameters
        ----------
        rng
            Source of all randomness.
        patches
            Number of patches.
        augment
            ``augment(rng, channels (n, c, k, s, s), brain (n, k, s, s) bool)``, k being the
            slices of a patch, returns changed channels; the background is restored afterwards.

        Returns
        -------
        channels
            float32, (patches, images, size, size); rows along x, columns along y; images as in
            `inputs.with_neighbours`.
        labels
            int64, (patches, size, size).
        """
        drawn = [self._patch(rng) for _ in range(patches)]
        channels = np.stack([channels for channels, _ in drawn])  # (n, c, k, s, s)
        labels = np.stack([labels for _, labels in drawn])
        if augment is not None:
            brain: np.ndarray = np.any(channels > BACKGROUND, axis=1)
            channels = np.clip(augment(rng, channels, brain), BACKGROUND, -BACKGROUND)
            channels = np.where(brain[:, None], channels, np.float32(BACKGROUND))
        images = channels.swapaxes(1, 2).reshape(patches, -1, *channels.shape[3:])
        return images.astype(np.float32, copy=False), labels.astype(np.int64)

    def _patch(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        config = self.config
        lesion = self._lesion(rng)
        heads = self._with[lesion] if lesion else range(len(self.volumes))
        head = heads[int(rng.integers(len(heads)))]
        volume = self.volumes[head]
        voxels = (self._found[head] or centres_of(volume))[lesion]
        x, y, z = voxels[rng.integers(len(voxels))]
        if lesion:
            shift = rng.integers(-config.shift, config.shift + 1, size=2)
            x, y = x + shift[0], y + shift[1]
        channels = np.stack(
            [self._plane(volume, z + offset, (x, y)) for offset in offsets(config.context)], axis=1
        )
        labels = crop(volume.labels[..., z], (x, y), config.size, 0)
        labels = np.where(labels < self.classes, labels, 0)
        if rng.random() < config.flip:
            # Rows run along x, left to right in the template's frame.
            channels, labels = channels[:, :, ::-1], labels[::-1]
        return np.asarray(channels, dtype=np.float32), labels

    def _lesion(self, rng: np.random.Generator) -> int:
        """Draw what a patch lies beside: a class of lesions, or 0 for anywhere in the brain."""
        if not any(self._with.values()):
            return 0
        shares = {WML: self.config.lesion_share, INFARCT: self.config.infarct_share}
        drawn, upper = rng.random(), 0.0
        for lesion, heads in self._with.items():
            lower, upper = upper, upper + shares[lesion]
            if heads and lower <= drawn < upper:
                return lesion
        return 0

    def _plane(self, volume: TrainingVolume, z: int, centre: tuple[int, int]) -> np.ndarray:
        """Cut a patch (channels, size, size) from one slice; background beyond the head."""
        size = self.config.size
        if not 0 <= z < volume.channels.shape[-1]:
            return np.full((volume.channels.shape[0], size, size), BACKGROUND, np.float32)
        return crop(volume.channels[..., z], centre, size, BACKGROUND)


def crop(plane: np.ndarray, centre: tuple[int, int], size: int, fill: float) -> np.ndarray:
    """Cut a square out of the last two axes; what lies over the edge is ``fill``.

    Parameters
    ----------
    plane
        (..., x, y).
    centre
        Voxel that becomes index ``size // 2`` of the patch, along x and y.
    size
        Edge in voxels.
    fill
        Value over the edge.
    """
    patch = np.full((*plane.shape[:-2], size, size), fill, dtype=plane.dtype)
    source, target = [], []
    for middle, extent in zip(centre, plane.shape[-2:], strict=True):
        start = int(middle) - size // 2
        low, high = max(start, 0), min(start + size, extent)
        source.append(slice(low, max(high, low)))
        target.append(slice(low - start, max(high, low) - start))
    (from_x, from_y), (to_x, to_y) = source, target
    patch[..., to_x, to_y] = plane[..., from_x, from_y]
    return patch


def offsets(context: int) -> range:
    """Return where the slices of a patch lie, from below to above."""
    return range(-context, context + 1)


def jitter_intensities(
    rng: np.random.Generator, channels: np.ndarray, brain: np.ndarray
) -> np.ndarray:
    """Vary gain, level and noise of every channel of every patch.

    The mean and SD of a z-scored image vary with the errors of the brain mask (gain ±10%, level
    ±0.15), HU with the scanner (±3 HU are ±0.3 in the scaled channel); the noise adds up to
    0.15 SD.
    """
    patches, count = channels.shape[:2]
    one_each, single = (patches, count, 1, 1, 1), (patches, 1, 1, 1, 1)
    gain = rng.uniform(0.9, 1.1, one_each)
    most = np.where(np.arange(count) == 0, 0.15, 0.3).reshape(1, count, 1, 1, 1)
    level = rng.uniform(-1, 1, one_each) * most
    strength = rng.uniform(0, 0.15, single) * (rng.random(single) < 0.5)
    # One noise field for all channels: they are the same image in two scales.
    noise = rng.standard_normal((patches, 1, *channels.shape[2:]), dtype=np.float32) * strength
    return (channels * gain + level + noise).astype(np.float32)


def centres_of(volume: TrainingVolume) -> Centres:
    """Return the possible centres of a head's patches, each (n, 3)."""
    if volume.centres is not None:
        return volume.centres
    inside: np.ndarray = np.any(np.asarray(volume.channels) > BACKGROUND, axis=0)
    labels = np.asarray(volume.labels)
    return _centres(inside), _centres(labels == WML), _centres(labels == INFARCT)


def _centres(mask: np.ndarray) -> np.ndarray:
    """Voxel indices (n, 3) of a mask, thinned evenly to at most `_MOST_CENTRES`."""
    points = np.argwhere(mask)
    step = max(1, -(-len(points) // _MOST_CENTRES))
    return points[::step].astype(np.int32)
