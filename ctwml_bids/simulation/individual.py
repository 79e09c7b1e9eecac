"""Individual anatomies: real brains' tissues on the working grid, read from files."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import ndimage

from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.simulation import canonical
from ctwml_bids.simulation.canonical import CanonicalHead, build_head
from ctwml_bids.simulation.fields import smooth_noise

INDIVIDUAL_SHARE = 0.7  # of the heads, where there are individual anatomies
DISTANCE_STEP = 0.02  # mm; distances are stored as int16 multiples of it
FALX_REACH = 6  # mm from the template's midline within which an individual's fissure lies
FIELDS = ("grey", "white", "brain", "skull_distance", "ventricle_distance", "labels")
# Of heads from label maps alone.
COVERED_FROM, LESIONS = "covered_from", "lesions"


@dataclass(frozen=True)
class Anatomy:
    """An individual's brain in the procedural head.

    Attributes
    ----------
    name
        Stem of its file, with ``-mirrored`` where left and right are exchanged.
    head
        Its fields on the working grid.
    """

    name: str
    head: CanonicalHead


def write_anatomy(
    path: Path, grey: np.ndarray, white: np.ndarray, brain: np.ndarray, ventricles: np.ndarray
) -> None:
    """Write an anatomy file (compressed npz).

    Parameters
    ----------
    path
        ``<name>.npz``.
    grey, white
        Fractions on the working grid of ``canonical``, float32.
    brain, ventricles
        Brain mask (with ventricles and sulci) and lateral ventricles, likewise, bool.
    """
    falx = find_falx(grey, white, brain)
    # What the falx fills is neither grey nor white; the head's fluid at this label is membrane.
    head = build_head(grey * (1 - 0.7 * falx), white * (1 - 0.7 * falx), brain, ventricles)
    head.labels[falx & (head.labels == canonical.CEREBRUM)] = canonical.FALX
    write_head(path, head)


def write_head(path: Path, head: CanonicalHead, lesions: np.ndarray | None = None) -> None:
    """Write an anatomy file (compressed npz) of a head that is known as a whole.

    Parameters
    ----------
    path
        ``<name>.npz``.
    head
        Its fields.
    lesions
        Where it has white matter lesions of its own, bool, on the working grid: a pattern that
        lesions of other heads can follow (see ``patterns``). They are white matter in ``head``.
    """
    packed = {name: _packed(name, getattr(head, name)) for name in FIELDS}
    if head.covered_from is not None:
        packed[COVERED_FROM] = np.array(head.covered_from, dtype=np.float32)
    if lesions is not None:
        packed[LESIONS] = lesions
    # Under another name until it is whole: a training may be reading the folder.
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        # Their names are those above, so none is taken for `allow_pickle`.
        np.savez_compressed(file, origin=canonical.ORIGIN, **packed)  # type: ignore[arg-type]
    os.replace(part, path)


def find_falx(grey: np.ndarray, white: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Find the falx: a smooth sheet, two voxels thick, along the fissure between the hemispheres.

    Parameters
    ----------
    grey, white, brain
        As for `write_anatomy`.

    Returns
    -------
    numpy.ndarray
        bool, on the working grid.
    """
    x, y, z = canonical.coordinates()
    middle = int(-canonical.ORIGIN[0])
    window = slice(middle - FALX_REACH, middle + FALX_REACH + 1)
    fluid = ((1 - grey - white) * brain)[window] + 0.02
    # Where the fissure is filled, the sheet runs through the middle of what is known around.
    weight = ndimage.gaussian_filter(
        fluid**2 * (1 - (x[window] / (FALX_REACH + 1)) ** 2), (0, 3, 3)
    )
    place = (weight * x[window]).sum(axis=0) / weight.sum(axis=0)
    behind = ((y > 38) | (y < -55) | (z > 40)) & (z > -20)
    return (np.abs(x - place[None]) < 1) & behind & brain


def _packed(name: str, field: np.ndarray) -> np.ndarray:
    if name.endswith("distance"):
        return np.round(np.clip(field / DISTANCE_STEP, -32767, 32767)).astype(np.int16)
    return field if name == "labels" else np.round(field * 255).astype(np.uint8)


def _unpacked(name: str, field: np.ndarray) -> np.ndarray:
    if name.endswith("distance"):
        return field * np.float32(DISTANCE_STEP)
    return field if name == "labels" else field / np.float32(255)


def anatomy_files(folder: Path) -> tuple[Path, ...]:
    """Return the anatomy files of a folder, sorted by name.

    Raises
    ------
    NoInputError
        If there is none.
    """
    files = tuple(sorted(Path(folder).glob("*.npz")))
    if not files:
        raise NoInputError(f"there are no anatomies (*.npz) in {folder}")
    return files


@lru_cache(maxsize=2)
def _read(path: Path, mirrored: bool) -> Anatomy:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in FIELDS}
            covered_from = float(file[COVERED_FROM]) if COVERED_FROM in file else None
            placed = np.array_equal(file["origin"], canonical.ORIGIN)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadDataError(f"{path} is not an anatomy file ({error!r})") from error
    if not placed or any(array.shape != canonical.SHAPE for array in arrays.values()):
        raise BadDataError(f"{path} lies on another grid than this version's; make it again")
    # The working grid is symmetric about x = 0, and so is the procedural head.
    step = -1 if mirrored else 1
    fields = {
        name: np.ascontiguousarray(_unpacked(name, array)[::step]) for name, array in arrays.items()
    }
    head = CanonicalHead(**fields, covered_from=covered_from)
    return Anatomy(path.stem + (canonical.MIRRORED if mirrored else ""), head)


def read_lesions(path: Path) -> np.ndarray | None:
    """Return an anatomy file's own lesions (bool, on the working grid), or None.

    Raises
    ------
    BadDataError
        If the file cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return file.get(LESIONS)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadDataError(f"{path} is not an anatomy file ({error!r})") from error


def draw_anatomy(
    rng: np.random.Generator, anatomies: Sequence[Path], share: float = INDIVIDUAL_SHARE
) -> Anatomy | None:
    """Draw one of some anatomy files, as it is or mirrored, or None for the template.

    Parameters
    ----------
    rng
        Source of randomness.
    anatomies
        Files of `write_anatomy`; without any the template is drawn.
    share
        Chance of an individual.

    Raises
    ------
    BadDataError
        If the file cannot be read or lies on another grid.
    """
    if not anatomies or rng.random() >= share:
        return None
    path = anatomies[int(rng.integers(len(anatomies)))]
    return _read(Path(path), bool(rng.random() < 0.5))


def folded_tissues(
    rng: np.random.Generator, head: dict[str, np.ndarray], share: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return grey, white and fluid fractions with the folds that are there, opened by age.

    Fluid spreads from where it lies until it has the wanted share of the brain: faster where it
    is broad already (Sylvian fissure, cisterns, interhemispheric fissure), at a rate that varies
    over the brain, never from the lateral ventricles, which the warp has set. The border of
    grey and white matter recedes with the cortex, which would vanish otherwise.

    Parameters
    ----------
    rng
        Source of randomness.
    head
        ``grey``, ``white``, ``brain``, ``ventricles``: warped fields in canonical.BRAIN_BOX.
    share
        Wanted share of fluid in the brain mask, ventricles included.
    """
    brain, ventricles = head["brain"], head["ventricles"]
    grey, white = (0.4 * head[name] + 0.6 * _blurred(head[name], 0.8) for name in ("grey", "white"))
    near = ndimage.grey_dilation(ventricles[::2, ::2, ::2], 3)
    walls = ndimage.zoom(near, 2, order=0)[tuple(slice(n) for n in ventricles.shape)]
    fluid = np.clip(1 - head["grey"] - head["white"], 0, 1) * (1 - walls)
    fluid = 0.4 * fluid + 0.6 * _blurred(fluid, 1.0)
    odds = np.log(np.clip(fluid, 0.003, 0.997))
    odds = np.float32(1.7) * (odds - np.log1p(-np.exp(odds)))
    broad = _blurred(fluid * brain, 5.0)
    rate = 0.5 + 4.0 * broad + rng.uniform(0.1, 0.3) * smooth_noise(rng, grey.shape, 18.0)
    rate = np.clip(rate, 0.3, 2.8).astype(np.float32)
    odds += rng.uniform(0.1, 0.4) * smooth_noise(rng, grey.shape, rng.uniform(2.5, 4))
    sample = (slice(None, None, 3),) * 3
    weight = brain[sample]
    low, high = -6.0, 8.0
    for _ in range(14):
        opening = (low + high) / 2
        part = _logistic(odds[sample] + opening * rate[sample])
        part = np.maximum(part, ventricles[sample])
        less = (part * weight).sum() < share * weight.sum()
        low, high = (opening, high) if less else (low, opening)
    fluid = np.maximum(_logistic(odds + np.float32(opening) * rate), ventricles)
    grey = np.maximum(grey, 1e-4) ** 2 * np.exp(0.35 * np.float32(opening) * rate)
    white = np.maximum(white, 1e-6) ** 2
    total = grey + white
    return (1 - fluid) * grey / total, (1 - fluid) * white / total, fluid


def _blurred(field: np.ndarray, width: float) -> np.ndarray:
    return ndimage.gaussian_filter(field, width, truncate=2.5)


def _logistic(odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-odds))
