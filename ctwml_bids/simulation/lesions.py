"""White matter lesions of a wanted amount, and what looks like them but is not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ctwml_bids.simulation import canonical
from ctwml_bids.simulation.anatomy import BRAIN_BOX, Head
from ctwml_bids.simulation.fields import smooth_noise, soft_step, upsample
from ctwml_bids.simulation.infarct_tissue import Infarcts
from ctwml_bids.simulation.lesion_edges import darkening
from ctwml_bids.simulation.periventricular import draw_lining, horn_caps

# mL by Fazekas grade, mean and SD (n = 198, see the method's description); grade 0 is near zero.
GRADE_ML = {1: (3.7, 2.3), 2: (10.8, 3.1), 3: (35.2, 17.9)}
GRADE_ML_RANGE = {1: (0.6, 9.0), 2: (5.0, 18.0), 3: (14.0, 95.0)}
STEP = 2  # mm between the points at which lesion fields are drawn
INFARCT, CAVITY, CALCIFICATION = 1, 2, 3  # codes of the mimic mask
LACUNE_MM = 1.5  # radius from which a cavity is a lacune, below it a perivascular space


@dataclass(frozen=True)
class Lesions:
    """Fractions (float32, anatomy.BRAIN_BOX) of what lies in the white matter.

    Attributes
    ----------
    lesion
        White matter lesions, 0–1 with soft edges.
    depth
        How strongly each place of a lesion is changed on FLAIR, around 1.
    darkness
        Share of their full drop in HU that lesions cause on CT, see ``lesion_edges.darkening``.
    haze
        Normal darkening of white matter on CT, 0–1; never labelled.
    infarct
        Infarcts of all kinds: with their cortex, and lacunes of 3 mm and larger.
    cavity, calcification
        Mimics: cavities filled with fluid (lacunes and perivascular spaces); calcium.
    plain_infarct
        The part of ``infarct`` that is an even old infarct, as without real shapes.
    infarcts
        What real shapes made; None without.
    """

    lesion: np.ndarray
    depth: np.ndarray
    darkness: np.ndarray
    haze: np.ndarray
    infarct: np.ndarray
    cavity: np.ndarray
    calcification: np.ndarray
    plain_infarct: np.ndarray
    infarcts: Infarcts | None = None


def draw_lesion_ml(rng: np.random.Generator, fazekas: int) -> float:
    """Draw the lesion volume in mL for a Fazekas grade (0–3)."""
    if fazekas == 0:
        return float(min(rng.exponential(0.35), 1.2)) if rng.random() < 0.6 else 0.0
    mean, spread = GRADE_ML[fazekas]
    # Gamma: positive, with the given mean and SD.
    volume = rng.gamma((mean / spread) ** 2, spread**2 / mean)
    return float(np.clip(volume, *GRADE_ML_RANGE[fazekas]))


def _thin(array: np.ndarray) -> np.ndarray:
    return array[::STEP, ::STEP, ::STEP]


def _symmetric_noise(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> np.ndarray:
    """Return noise (SD about 1) whose halves resemble each other without being mirrored."""
    noise = smooth_noise(rng, shape, scale / STEP)
    share = rng.uniform(0.35, 0.65)
    mixed = share * noise[::-1] + (1 - share) * noise
    return mixed / np.sqrt(share**2 + (1 - share) ** 2)


def lesion_room(head: Head) -> np.ndarray:
    """Return how freely lesions may lie at each point of the lesion grid (0–1)."""
    labels = head.labels[BRAIN_BOX]
    # Keeps the U-fibres below the cortex free; up to the ventricles there is nothing to be kept.
    core = ndimage.gaussian_filter(_thin(head.white + head.ventricles), 0.9)
    allowed = soft_step(core - 0.72, 0.25)
    place = _thin(labels)
    factor = np.select(
        [place == canonical.CEREBRUM, place == canonical.CAPSULE, place == canonical.CALLOSUM],
        [1.0, 0.45, 0.25],
        default=0.0,
    )
    # One voxel of margin, so that nothing leaks into brainstem or cerebellum.
    below = np.isin(place, (canonical.BRAINSTEM, canonical.CEREBELLUM, canonical.OUTSIDE))
    factor[ndimage.binary_dilation(below, iterations=2)] = 0
    return (allowed * ndimage.uniform_filter(factor, 3)).astype(np.float32)


def _score(
    rng: np.random.Generator, distance: np.ndarray, pattern: np.ndarray | None = None
) -> np.ndarray:
    """Return a field that is highest where lesions appear first (lesion grid).

    ``pattern`` is the distance in mm from lesions of a real pattern, negative inside, or None.
    """
    shape = distance.shape
    length = rng.uniform(2, 14)
    near = rng.uniform(1.2, 3.2) * np.exp(-np.maximum(distance, 0) / length)
    caps = rng.uniform(0.4, 1.6) * horn_caps(shape, STEP) * np.exp(-np.maximum(distance, 0) / 12.0)
    # Outlines are smooth: the finest scale makes small foci, and has the least weight.
    weights = rng.dirichlet((1.0, 2.0, 2.2)) * rng.uniform(0.9, 1.7)
    noise = sum(
        weight * _symmetric_noise(rng, shape, scale)
        for weight, scale in zip(weights, (2.4, 5.0, 13.0), strict=True)
    )
    # The temporal and occipital poles are spared until late.
    z = np.arange(shape[2], dtype=np.float32) * STEP + canonical.ORIGIN[2] + BRAIN_BOX[2].start
    low = 0.8 * np.clip((-4 - z) / 15.0, 0, 1)[None, None, :]
    score = (near + caps + noise - low).astype(np.float32)
    if pattern is None:
        return score
    away = pattern / np.float32(rng.uniform(2.0, 4.0))
    return np.float32(rng.uniform(0.2, 0.5)) * score - away


def _fraction_of_volume(
    score: np.ndarray,
    room: np.ndarray,
    white: np.ndarray,
    voxel_ml: float,
    volume: float,
    soft: float,
    lining: np.ndarray | None = None,
) -> np.ndarray:
    """Return the fraction 0–1 (full grid) of the highest scores that make a volume in mL.

    A lining of the ventricles is part of the volume and of what is returned.
    """
    if volume <= 0:
        return np.zeros(white.shape, dtype=np.float32)
    field = np.where(room > 0.02, score - 2.5 * (1 - room), -50.0).astype(np.float32)
    fine = np.maximum(upsample(field, white.shape, STEP), -20)
    ground = white > 0.3
    values, share = fine[ground], np.minimum(white[ground] * 1.25, 1)
    lined = np.zeros(share.shape, dtype=bool) if lining is None else lining[ground] > 0.5
    high, low = float(values.max()), float(np.percentile(values, 20))
    for _ in range(14):
        level = (high + low) / 2
        # What a mask at 0.5 will hold.
        inside = soft_step(values - level, soft) * share > 0.5
        total = float((inside | lined).sum()) * voxel_ml
        high, low = (level, low) if total < volume else (high, level)
    fraction = (soft_step(fine - level, soft) * np.minimum(white * 1.25, 1)).astype(np.float32)
    return fraction if lining is None else np.maximum(fraction, lining)


def _blob(rng: np.random.Generator, box: tuple[int, ...], centre: np.ndarray, radii: np.ndarray):
    """Return slices around a centre and an irregular blob 0–1 in them."""
    reach = int(np.ceil(1.6 * radii.max())) + 2
    low = np.maximum(np.floor(centre - reach).astype(int), 0)
    high = np.minimum(np.ceil(centre + reach).astype(int) + 1, box)
    slices = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    grids = np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high, strict=True)], indexing="ij")
    squared = sum(((g - c) / r) ** 2 for g, c, r in zip(grids, centre, radii, strict=True))
    away = np.sqrt(squared)
    if radii.max() > 5:
        away = away + 0.22 * smooth_noise(rng, away.shape, radii.max() / 3)
    return slices, soft_step(1 - away, 1.5 / float(radii.mean())).astype(np.float32)


def _points(rng: np.random.Generator, where: np.ndarray, count: int) -> np.ndarray:
    """Draw voxel positions (count, 3) from a mask; none if it is empty."""
    candidates = np.flatnonzero(where)
    if count == 0 or len(candidates) == 0:
        return np.zeros((0, 3))
    return np.stack(np.unravel_index(rng.choice(candidates, count), where.shape), axis=1)


def _infarct(rng: np.random.Generator, head: Head, chance: float) -> np.ndarray:
    """Return an old infarct of 3–60 mL that reaches the cortex, or nothing."""
    field = np.zeros(head.white.shape, dtype=np.float32)
    if rng.random() >= chance:
        return field
    rim = (head.skull_distance[BRAIN_BOX] < -8) & (head.skull_distance[BRAIN_BOX] > -14)
    rim &= head.labels[BRAIN_BOX] == canonical.CEREBRUM
    for centre in _points(rng, rim, 1):
        radii = rng.uniform(8, 24) * rng.uniform(0.7, 1.3, 3)
        slices, blob = _blob(rng, field.shape, centre, radii)
        field[slices] = blob
    tissue = head.grey + head.white
    tissue[head.labels[BRAIN_BOX] != canonical.CEREBRUM] = 0
    return field * np.minimum(tissue, 1)


def _cavities(
    rng: np.random.Generator, head: Head, age: float, lacunes: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return all cavities with fluid inside, and those among them that are lacunes.

    Perivascular spaces are 1 to 3 mm wide, lacunes 4 to 9 mm.
    """
    field = np.zeros(head.white.shape, dtype=np.float32)
    large = np.zeros(head.white.shape, dtype=np.float32)
    labels = head.labels[BRAIN_BOX]
    deep = np.isin(labels, (canonical.DEEP_GREY, canonical.CAPSULE)) & (head.csf < 0.1)
    wide = (labels == canonical.CEREBRUM) & (head.white > 0.9)
    old = np.clip((age - 40) / 40, 0, 1)
    spots = [(deep, rng.poisson(2 + 8 * old), (0.7, 1.5)), (wide, rng.poisson(6 * old), (0.6, 1.2))]
    spots.append((deep | wide, rng.poisson(0.7 * old) if lacunes else 0, (2.0, 4.5)))
    for where, count, (smallest, largest) in spots:
        for centre in _points(rng, where, count):
            radii = rng.uniform(smallest, largest) * np.array([1, 1, rng.uniform(1, 2.5)])
            slices, blob = _blob(rng, field.shape, centre, radii)
            field[slices] = np.maximum(field[slices], blob)
            if smallest > LACUNE_MM:
                large[slices] = np.maximum(large[slices], blob)
    tissue = head.grey + head.white
    return field * tissue, large * tissue


def _calcifications(rng: np.random.Generator, head: Head, age: float) -> np.ndarray:
    """Return calcium in choroid plexus, pineal gland, pallidum and falx."""
    field = np.zeros(head.white.shape, dtype=np.float32)
    offset = canonical.ORIGIN + [part.start for part in BRAIN_BOX]
    old = np.clip((age - 15) / 50, 0.1, 1)
    sites = [((0, -30, 3), 0.75 * old, (1.5, 3)), ((0, 30, 50), 0.25 * old, (1, 3))]
    for side in (-1, 1):
        sites.append(((side * 25, -44, 8), 0.75 * old, (1.5, 4)))  # choroid glomus
        sites.append(((side * 19, -4, 0), 0.2 * old, (1, 3)))  # pallidum
    for place, chance, (smallest, largest) in sites:
        if rng.random() < chance:
            centre = np.array(place) - offset + rng.normal(0, 1.5, 3)
            radii = rng.uniform(smallest, largest) * rng.uniform(0.6, 1.4, 3)
            slices, blob = _blob(rng, field.shape, centre, radii)
            field[slices] = np.maximum(field[slices], blob)
    return field


def draw_outline(
    rng: np.random.Generator,
    head: Head,
    volume_ml: float,
    room: np.ndarray,
    *,
    infarcts: Infarcts | bool = True,
    pattern: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw where lesions of a volume and an old infarct lie: the first part of `make_lesions`.

    Parameters
    ----------
    rng
        Source of randomness; `complete` goes on with it.
    head
        Whose brain it is.
    volume_ml
        Real volume that the lesion mask (fraction > 0.5) shall have.
    room
        How freely lesions may lie, from `lesion_room`.
    infarcts
        Infarcts that there are, or whether there may be an even old one (in 5%, above 60 years
        in 20%).
    pattern
        Distance from the lesions of a real pattern, from ``patterns.draw_pattern``, or None.

    Returns
    -------
    lesion, infarct
        As in `Lesions`.
    """
    volume_ml = min(volume_ml, 0.5 * float(head.white.sum()) * head.voxel_ml)
    chance = 0.05 + 0.15 * float(head.age > 60) if infarcts is True else 0.0
    infarct = _infarct(rng, head, chance)
    if isinstance(infarcts, Infarcts):
        infarct = infarcts.whole()
    score = _score(rng, _thin(head.ventricle_distance), pattern)
    soft = float(rng.uniform(0.15, 0.6))
    white = head.white * (1 - infarct)
    # A stream of its own: whether there is a lining never shifts what is drawn later.
    lining = draw_lining(rng.spawn(1)[0], head, white, volume_ml)
    lesion = _fraction_of_volume(score, room, white, head.voxel_ml, volume_ml, soft, lining)
    return np.minimum(lesion, 1 - infarct), infarct


def complete(
    rng: np.random.Generator,
    head: Head,
    lesion: np.ndarray,
    infarct: np.ndarray,
    room: np.ndarray,
    infarcts: Infarcts | bool = True,
) -> Lesions:
    """Add unlabelled darkening and the other mimics to what `draw_outline` gave.

    Where infarcts are given, or there shall be none, there are no lacunes but theirs.
    """
    white = head.white * (1 - infarct)
    # Darker normal white matter is shaped as lesions are, wider and without an edge.
    old = np.clip((head.age - 20) / 60, 0, 1)
    haze = _fraction_of_volume(
        _score(rng, _thin(head.ventricle_distance)),
        room,
        white,
        head.voxel_ml,
        float(rng.uniform(10, 60) + 60 * old),
        1.2,
    )
    haze = upsample(ndimage.gaussian_filter(_thin(haze), rng.uniform(1, 2.2)), haze.shape, STEP)
    depth = (1 + 0.18 * np.clip(smooth_noise(rng, white.shape, 7.0), -2, 2)).astype(np.float32)
    shaped = isinstance(infarcts, Infarcts)
    cavity, lacunes = _cavities(rng, head, head.age, infarcts is True)
    lesion = np.minimum(lesion, 1 - lacunes)
    return Lesions(
        lesion=lesion,
        depth=depth,
        haze=haze,
        infarct=np.maximum(infarct, lacunes),
        cavity=cavity,
        calcification=_calcifications(rng, head, head.age),
        darkness=darkening(rng, head, lesion, depth),
        plain_infarct=np.zeros_like(infarct) if shaped else infarct,
        infarcts=infarcts if isinstance(infarcts, Infarcts) else None,
    )


def make_lesions(
    rng: np.random.Generator,
    head: Head,
    volume_ml: float,
    *,
    infarcts: Infarcts | bool = True,
    pattern: np.ndarray | None = None,
) -> Lesions:
    """Draw lesions of a volume in mL, unlabelled darkening, and mimics for a head.

    Parameters
    ----------
    rng, head, volume_ml, infarcts, pattern
        See `draw_outline`.
    """
    room = lesion_room(head)
    outline = draw_outline(rng, head, volume_ml, room, infarcts=infarcts, pattern=pattern)
    return complete(rng, head, *outline, room, infarcts)
