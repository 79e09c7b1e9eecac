"""A FLAIR of a simulated head: relative signal per tissue, then the scanner's share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ctwml_bids.simulation import canonical as c
from ctwml_bids.simulation import own_skull
from ctwml_bids.simulation.anatomy import BRAIN_BOX, Head, vault
from ctwml_bids.simulation.fields import coarse_shape, smooth_noise, soft_step, upsample
from ctwml_bids.simulation.infarct_images import on_flair
from ctwml_bids.simulation.lesions import Lesions
from ctwml_bids.simulation.periventricular import normal_rim
from ctwml_bids.simulation.sampling import Scan


@dataclass(frozen=True)
class FlairSettings:
    """Signals relative to normal white matter = 1, and what the scanner adds.

    Attributes
    ----------
    grey, fluid, lesion, fat, muscle
        Signal of cortex, cerebrospinal fluid, lesions (where fully lesion), fat, muscle.
    wall
        How much more than elsewhere lesions stand out at the ventricles' walls (a share).
    grading
        Exponent of how the change rises from the edge of a lesion: where half is lesion, experts
        draw the outline, at less than half of the change.
    penumbra, reach
        Unlabelled mild change around lesions, as a share of theirs, and its width in mm (SD).
    rim
        Extra signal of the normal thin bright line along the ventricles.
    bias
        SD of the logarithm of the coil's shading.
    noise
        SD of each of the two channels of the Rician noise.
    gain
        Intensity units of one unit of signal.
    """

    grey: float
    fluid: float
    lesion: float
    fat: float
    muscle: float
    wall: float
    grading: float
    penumbra: float
    reach: float
    rim: float
    bias: float
    noise: float
    gain: float


def draw_settings(rng: np.random.Generator) -> FlairSettings:
    """Draw signals and noise of one examination; a third has its fat suppressed.

    Grey matter, lesions, what lies at the ventricles' walls and noise span what expert masks show
    on real FLAIRs of old people, with slices of 1 and of 6.5 to 8 mm.
    """
    suppressed = rng.random() < 0.35
    lesion, wall = float(rng.uniform(1.25, 1.95)), float(rng.uniform(0.2, 1.5))
    return FlairSettings(
        grey=float(rng.uniform(1.06, 1.3)),
        fluid=float(rng.uniform(0.06, 0.35)),
        lesion=lesion,
        fat=float(rng.uniform(0.25, 0.6) if suppressed else rng.uniform(1.1, 2.3)),
        muscle=float(rng.uniform(0.35, 0.7)),
        wall=wall,
        grading=float(rng.uniform(1.0, 1.6)),
        penumbra=float(rng.uniform(0.05, 0.3) if rng.random() < 0.6 else 0.0),
        reach=float(rng.uniform(2.0, 5.0)),
        # Weaker than a lesion, or nobody could tell rims from linings.
        rim=float(rng.uniform(0.2, 0.65) * (lesion - 1) * (1 + 0.5 * wall)),
        bias=float(rng.uniform(0.03, 0.16)),
        noise=float(rng.uniform(0.02, 0.08)),
        gain=float(np.exp(rng.uniform(np.log(150), np.log(1200)))),
    )


def _brain(rng: np.random.Generator, head: Head, lesions: Lesions, s: FlairSettings) -> np.ndarray:
    labels = head.labels[BRAIN_BOX]
    shape = labels.shape
    regional = 0.03 * smooth_noise(rng, shape, 12.0)
    # Posterior periventricular white matter and long tracts are a little brighter.
    white = 1 + regional + rng.uniform(0, 0.15) * lesions.haze
    white = white + _periventricular_and_lesions(rng, head, lesions, s)
    grey = s.grey + regional
    grey = grey + (rng.uniform(-0.18, 0.0)) * (labels == c.DEEP_GREY)
    grey = grey + rng.uniform(-0.1, 0.05) * (labels == c.CEREBELLUM)
    fluid = s.fluid * np.ones(shape, dtype=np.float32)
    # Fluid that moves is not inverted fully: patches of signal in ventricles and cisterns.
    pulsation = np.clip(smooth_noise(rng, shape, 7.0) - rng.uniform(1.0, 2.5), 0, 1)
    below = soft_step(-10 - c.coordinates()[2][:, :, BRAIN_BOX[2]], 20.0)
    fluid += rng.uniform(0.1, 0.7) * pulsation * (0.3 + 0.7 * below)
    if head.covered_from is not None:
        values = (own_skull.BLOOD_SIGNAL, own_skull.PLEXUS_SIGNAL)
        blood, plexus = (rng.uniform(*value) for value in values)
        fluid = own_skull.with_vessels(labels, fluid, blood, plexus)
    signal = head.white * white + head.grey * grey + head.csf * fluid
    tissue = head.white + head.grey + head.csf
    core = soft_step(lesions.plain_infarct - 0.75, 0.4)
    gliosis = lesions.plain_infarct * (1 - core)
    signal += gliosis * tissue * (s.lesion - 1.0)
    signal += core * (tissue * (s.fluid + 0.15) - signal)
    if lesions.infarcts is not None:
        on_flair(signal, head, lesions.infarcts, s.fluid)
    signal += lesions.cavity * (tissue * (s.fluid + 0.1) - signal)
    signal *= 1 - 0.6 * np.clip(lesions.calcification, 0, 1)
    return signal


def _periventricular_and_lesions(
    rng: np.random.Generator, head: Head, lesions: Lesions, s: FlairSettings
) -> np.ndarray:
    """Return the extra signal of lesions, of what surrounds them, and of the ventricles' rim."""
    rim = s.rim * normal_rim(rng, head)
    if not lesions.lesion.any():
        return rim
    at_wall = np.exp(-np.maximum(head.ventricle_distance - 1, 0))
    change = (s.lesion - 1) * (1 + s.wall * at_wall) * lesions.depth
    inside = lesions.lesion**s.grading
    around = s.penumbra * (s.lesion - 1) * _blurred(lesions.lesion, s.reach)
    beside = np.maximum(rim, around) * (1 - inside)
    return inside * change + beside


def _blurred(fraction: np.ndarray, width: float) -> np.ndarray:
    """Blur by a Gaussian wider than two voxels, on a grid of 2 mm."""
    thin = ndimage.uniform_filter(fraction, 2)[::2, ::2, ::2]
    return upsample(ndimage.gaussian_filter(thin, width / 2), fraction.shape, 2)


def relative_signal(
    rng: np.random.Generator, head: Head, lesions: Lesions, settings: FlairSettings
) -> np.ndarray:
    """Return the signal on the whole working grid (float32), white matter = 1."""
    s = settings
    table = np.full(256, s.muscle, dtype=np.float32)
    dark = rng.uniform(0.02, 0.08)
    for label in (
        c.OUTSIDE, c.FRONTAL_SINUS, c.NASAL, c.SPHENOID, c.MAXILLARY, c.MASTOID, c.AIRWAY, c.TEETH,
        c.PETROUS,
    ):  # fmt: skip
        table[label] = 0.0 if label == c.OUTSIDE else dark
    table[c.FACE_BONE] = 0.25 * s.fat
    table[c.FAT] = table[c.ORBIT_FAT] = s.fat
    table[c.EYE], table[c.LENS], table[c.OPTIC] = s.fluid, 0.3, 1.0
    table[c.CORD], table[c.SPINAL_CSF] = 1.0, s.fluid + 0.1
    table[c.BLOOD_SINUS] = 0.2  # flowing blood
    if rng.random() < 0.2:
        table[c.MAXILLARY] = 1.6  # swollen mucosa
    signal = table[head.labels]
    nasal = head.labels == c.NASAL
    texture = head.texture
    signal[nasal] = np.where(texture[nasal] > 0.4, 1.3, dark)
    muscle = head.labels == c.MUSCLE
    signal[muscle] = np.where(texture[muscle] > 0.8, s.fat, s.muscle)
    if head.covered_from is None:
        _add_vault(rng, head, signal, s, dark)
    else:
        signal = own_skull.outside_signal(rng, head.labels, signal, s.fat, s.muscle, dark)
    tissue = head.white + head.grey + head.csf
    box = signal[BRAIN_BOX]
    box *= 1 - np.clip(tissue, 0, 1)
    box += _brain(rng, head, lesions, s)
    return signal


def _add_vault(
    rng: np.random.Generator,
    head: Head,
    signal: np.ndarray,
    s: FlairSettings,
    dark: float,
) -> None:
    """Put dark bone with fatty marrow and bright scalp around the brain, in place."""
    distance = head.skull_distance - head.gap
    _, _, z = c.coordinates()
    outer, scalp = vault(head)
    open_label = (head.labels == c.OUTSIDE) | (head.labels == c.FAT) | (head.labels == c.MUSCLE)
    open_label |= head.labels == c.FACE_BONE
    fits = open_label & (distance > -0.5)
    skin = fits & (outer < scalp) & (head.labels == c.OUTSIDE) & (z > -45)
    depth = (scalp - outer)[skin]
    signal[skin] = np.where(depth > 1.8, s.fat, 0.6 * s.fat + 0.2)
    bone = fits & (outer < 0.5) & (z > -78)
    marrow = soft_step(np.minimum(distance, -outer)[bone] - 2.2, 1.0)
    # After contrast, or without fat suppression, marrow is as bright as brain or brighter.
    signal[bone] = dark + rng.uniform(0.05, 0.8) * s.fat * marrow


def scanner(
    rng: np.random.Generator, signal: np.ndarray, scan: Scan, settings: FlairSettings
) -> np.ndarray:
    """Add coil shading, Rician noise and gain to a sampled FLAIR; returns int16."""
    step = np.maximum(np.round(12.0 / scan.spacing), 1)
    grids = [np.arange(n, dtype=np.float32) for n in scan.shape]
    width = float(np.mean(step))
    shading = smooth_noise(rng, coarse_shape(scan.shape, width), 4.0, step=1)
    shading = upsample(shading, scan.shape, width)
    middle = [(g - (len(g) - 1) / 2) * s for g, s in zip(grids, scan.spacing, strict=True)]
    axis = rng.normal(0, 0.0012, 3)
    for a in range(3):
        shape = [1, 1, 1]
        shape[a] = -1
        shading += (axis[a] / settings.bias * middle[a]).reshape(shape).astype(np.float32)
    signal = signal * np.exp(settings.bias * shading)
    noise = settings.noise * rng.standard_normal((2, *scan.shape), dtype=np.float32)
    magnitude = np.hypot(signal + noise[0], noise[1])
    return np.clip(np.round(settings.gain * magnitude), 0, 32767).astype(np.int16)
