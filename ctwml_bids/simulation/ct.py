"""A CT of a simulated head: Hounsfield units per tissue, then the scanner's share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ctwml_bids.simulation import canonical as c
from ctwml_bids.simulation import own_skull
from ctwml_bids.simulation.anatomy import BRAIN_BOX, Head, vault
from ctwml_bids.simulation.ct_noise import NoiseTexture, draw_noise, draw_texture, sd_of_slice
from ctwml_bids.simulation.fields import smooth_noise, soft_step, upsample
from ctwml_bids.simulation.infarct_images import on_ct
from ctwml_bids.simulation.lesions import Lesions
from ctwml_bids.simulation.sampling import Scan
from ctwml_bids.simulation.white_matter import regional_darkness, temporal_fluid

# HU outside the brain: ordinary values of textbooks.
HU = {
    c.OUTSIDE: -1000, c.SOFT: 40, c.FAT: -95, c.MUSCLE: 52, c.SKIN: 30, c.FACE_BONE: 650,
    c.FRONTAL_SINUS: -1000, c.NASAL: -1000, c.SPHENOID: -1000, c.MAXILLARY: -1000,
    c.MASTOID: -450, c.AIRWAY: -1000, c.EYE: 8, c.LENS: 75, c.OPTIC: 35, c.ORBIT_FAT: -95,
    c.CORD: 30, c.SPINAL_CSF: 10, c.PETROUS: 1450, c.TEETH: 1900, c.BLOOD_SINUS: 55,
}  # fmt: skip
NEVER_BONE = (
    c.BLOOD_SINUS, c.EYE, c.LENS, c.OPTIC, c.ORBIT_FAT, c.CORD, c.SPINAL_CSF, c.NASAL, c.SPHENOID,
    c.MAXILLARY,
    c.FRONTAL_SINUS, c.MASTOID, c.AIRWAY, c.PETROUS, c.TEETH,
)  # fmt: skip

GLOW_STEP = 3  # mm between the points at which the glow of bone is computed


@dataclass(frozen=True)
class CtSettings:
    """What one CT examination is like; HU unless said otherwise.

    Attributes
    ----------
    white, contrast, fluid, offset
        White matter, cortex minus white matter, cerebrospinal fluid, scanner offset.
    lesion_drop
        How much darker lesions are than the white matter around them.
    haze_drop
        Largest unlabelled darkening of normal white matter.
    noise
        SD in a 5 mm slice at the field's centre.
    texture
        How the noise is distributed over spatial frequencies.
    """

    white: float
    contrast: float
    fluid: float
    offset: float
    lesion_drop: float
    haze_drop: float
    noise: float
    texture: NoiseTexture


def draw_settings(rng: np.random.Generator, age: float, lesion_ml: float) -> CtSettings:
    """Draw the tissue values and noise of one examination for a person.

    White matter 30 ± 3.4 HU (Cala 1981), less in the old; leukoaraiosis 17.5 ± 4.7 (BMC Med
    Imaging 2024); scanners differ by several HU (Oh 2019). Grey matter is set so that, after the
    scanner's blur, it stands out from white matter as on real CTs, and noise so that its strength
    and its spatial frequencies span theirs (docs/experiments.md, real beside simulated CT).
    """
    old = np.clip((age - 45) / 40, 0, 1)
    severity = np.clip(lesion_ml / 40, 0, 1)  # confluent lesions have lost more than small ones
    return CtSettings(
        white=float(np.clip(rng.normal(29.0, 1.8) - 2.0 * old, 24, 34)),
        contrast=float(rng.uniform(6.5, 11.0)),
        fluid=float(rng.uniform(1, 9)),
        offset=float(np.clip(rng.normal(0, 2.3), -5, 5)),
        lesion_drop=float(np.clip(rng.normal(10.0 + 3.0 * severity, 2.5), 6.0, 17)),
        haze_drop=float(rng.uniform(0, 3.5)),
        noise=float(np.clip(np.exp(rng.normal(np.log(3.0), 0.3)), 1.4, 6.0)),
        texture=draw_texture(rng),
    )


def _brain(rng: np.random.Generator, head: Head, lesions: Lesions, s: CtSettings) -> np.ndarray:
    """Return HU in the brain's box, weighted by how much of each voxel is brain or fluid."""
    labels = head.labels[BRAIN_BOX]
    shape = labels.shape
    regional = rng.uniform(0.4, 1.3) * smooth_noise(rng, shape, 14.0)
    white = s.white + regional - s.haze_drop * lesions.haze
    white = white - rng.uniform(0, 2.0) * (labels == c.CAPSULE)
    white = white + rng.uniform(0, 2.0) * np.isin(labels, (c.CALLOSUM, c.BRAINSTEM))
    # What normal darkness there was is lost in a lesion.
    white -= regional_darkness(rng, head) * (1 - np.minimum(lesions.darkness, 1))
    white -= s.lesion_drop * lesions.darkness
    grey = s.white + s.contrast + 0.6 * regional
    grey = grey - rng.uniform(0, 2) * (labels == c.DEEP_GREY)
    grey = grey - rng.uniform(0.5, 2.5) * (labels == c.CEREBELLUM)
    # Sulcal fluid holds vessels and pia: a little denser than that of the ventricles.
    fluid = s.fluid + rng.uniform(0, 5) * (1 - head.ventricles)
    fluid = fluid + rng.uniform(20, 50) * (labels == c.FALX)
    if head.covered_from is not None:
        blood, plexus = (rng.uniform(*r) for r in (own_skull.BLOOD_HU, own_skull.PLEXUS_HU))
        fluid = own_skull.with_vessels(labels, fluid, blood, plexus)
    hu = head.white * white + head.grey * grey + head.csf * fluid
    tissue = head.white + head.grey + head.csf
    hu += temporal_fluid(rng, head) * (tissue * (s.fluid + 3) - hu)
    hu += lesions.plain_infarct * (tissue * rng.uniform(s.fluid + 2, 17) - hu)
    if lesions.infarcts is not None:
        on_ct(hu, head, lesions.infarcts, s.fluid, fluid)
    hu += lesions.cavity * (tissue * (s.fluid + 3) - hu)
    return hu + lesions.calcification * rng.uniform(80, 350)


def hounsfield(
    rng: np.random.Generator, head: Head, lesions: Lesions, settings: CtSettings
) -> np.ndarray:
    """Return HU on the whole working grid (float32), before the scanner's blur and noise."""
    table = np.full(256, 40.0, dtype=np.float32)
    for label, value in HU.items():
        table[label] = value + (0 if value in (-1000,) else rng.normal(0, 0.04 * abs(value)))
    table[c.FACE_BONE] *= rng.uniform(0.7, 1.4)
    for sinus, chance in ((c.FRONTAL_SINUS, 0.2), (c.MASTOID, 0.15), (c.MAXILLARY, 0.05)):
        if rng.random() < chance:  # not pneumatised, or filled
            table[sinus] = rng.uniform(20, 50) if sinus == c.MAXILLARY else 700
    hu = table[head.labels]
    mastoid = head.labels == c.MASTOID
    cells = rng.standard_normal(int(mastoid.sum()), dtype=np.float32)
    hu[mastoid] += 500 * cells
    muscle = head.labels == c.MUSCLE
    hu[muscle] = np.where(head.texture[muscle] > 0.8, table[c.FAT], table[c.MUSCLE])
    if head.covered_from is None:
        _add_vault(rng, head, hu)
    else:
        hu = own_skull.outside_hu(rng, head.labels, hu)
    glow = _glow(rng, hu)
    tissue = head.white + head.grey + head.csf
    box = hu[BRAIN_BOX]
    box *= 1 - np.clip(tissue, 0, 1)
    box += _brain(rng, head, lesions, settings)
    box += glow[BRAIN_BOX] * tissue
    return hu


def _glow(rng: np.random.Generator, hu: np.ndarray) -> np.ndarray:
    """Return HU that bone of the vault adds around it: hardened beams and the kernel's tails.

    Real CTs are brighter by some 10 HU in the last millimetres below the skull, and by a few at
    6 mm; between the bones of the base they are not.
    """
    thin = (hu[::GLOW_STEP, ::GLOW_STEP, ::GLOW_STEP] > 300).astype(np.float32)
    near = ndimage.gaussian_filter(thin, rng.uniform(2.5, 5.0) / GLOW_STEP, truncate=3)
    z = c.coordinates()[2][:, :, ::GLOW_STEP]
    near *= np.float32(rng.uniform(0, 35)) * soft_step(z + 12, 30.0)
    return upsample(near, hu.shape, GLOW_STEP)


def _add_vault(rng: np.random.Generator, head: Head, hu: np.ndarray) -> None:
    """Put scalp, skull with diploe and the fluid below it around the brain, in place."""
    distance = head.skull_distance - head.gap
    _, _, z = c.coordinates()
    outer, scalp = vault(head)
    fits = ~np.isin(head.labels, NEVER_BONE) & (head.labels >= 20) | (head.labels == c.OUTSIDE)
    fits &= distance > -0.5
    skin = fits & (outer < scalp) & (head.labels == c.OUTSIDE) & (z > -45)
    fat, skin_hu = rng.uniform(-105, -60), rng.uniform(15, 50)
    depth = (scalp - outer)[skin]
    hu[skin] = np.where(depth > 2.0, fat, skin_hu)
    bone = fits & (outer < 0.5) & (z > -78)
    inner, shell = distance[bone], outer[bone]
    cortical, spongy = rng.uniform(1000, 1500), rng.uniform(350, 800)
    table = rng.uniform(1.2, 2.0)
    middle = soft_step(np.minimum(inner, -shell) - table, 1.0)
    value = cortical + (spongy - cortical) * middle
    share = soft_step(-shell, 1.0) * soft_step(inner + 0.2, 1.0)
    fluid = np.where(inner < 0.5, 15.0, hu[bone])
    hu[bone] = share * value + (1 - share) * fluid


def scanner(
    rng: np.random.Generator,
    hu: np.ndarray,
    scan: Scan,
    settings: CtSettings,
    template_from_index: np.ndarray,
) -> np.ndarray:
    """Add cupping, streak-like bands, noise and integer rounding to a sampled CT (HU)."""
    shape = scan.shape
    i, j, k = (np.arange(n, dtype=np.float32) for n in shape)
    index = [i[:, None, None], j[None, :, None], k[None, None, :]]
    y = sum(template_from_index[1, a] * index[a] for a in range(3)) + template_from_index[1, 3]
    z = sum(template_from_index[2, a] * index[a] for a in range(3)) + template_from_index[2, 3]
    x = sum(template_from_index[0, a] * index[a] for a in range(3)) + template_from_index[0, 3]
    radius = ((x / 70) ** 2 + ((y + 17) / 85) ** 2).astype(np.float32)
    hu = hu + settings.offset * (hu > -500)
    hu = hu + rng.uniform(-3, 5) * (radius - 0.4) * (radius < 1.3)
    # Between the petrous bones: dark and bright bands across pons and cerebellum.
    level = np.exp(-(((z + 42) / 9) ** 2)) * np.exp(-(((y + 35) / 16) ** 2)) * (np.abs(x) < 55)
    wave = np.cos((y + rng.uniform(-60, -20)) / rng.uniform(4, 9))
    hu = hu - rng.uniform(0, 9) * level * (0.4 + wave)
    sd = sd_of_slice(settings.noise, scan.thickness)
    noise = draw_noise(rng, scan, settings.texture, sd)
    hu += noise * np.clip(1.15 - 0.3 * radius, 0.5, 1.2)
    return np.clip(np.round(hu), -1024, 3071).astype(np.int16)


def add_table(rng: np.random.Generator, hu: np.ndarray, scan: Scan, lowest_y: float) -> np.ndarray:
    """Draw a head holder as an arc under the head, where there is air (in place)."""
    i, j = np.arange(scan.shape[0]), np.arange(scan.shape[1])
    x = scan.affine[0, 0] * i + scan.affine[0, 3]
    y = scan.affine[1, 1] * j + scan.affine[1, 3]
    middle = float(x.mean()) + rng.normal(0, 8)
    radius = rng.uniform(95, 130)
    centre = lowest_y - rng.uniform(4, 12) + radius
    away = np.hypot(x[:, None] - middle, y[None, :] - centre)
    arc = (np.abs(away - radius) < rng.uniform(1.2, 2.5)) & (y[None, :] < centre - 0.15 * radius)
    pad = (away < radius) & (away > radius - 7) & (y[None, :] < centre - 0.4 * radius)
    air = hu < -700
    hu[air & arc[:, :, None]] = int(rng.uniform(-250, 300))
    hu[air & pad[:, :, None]] = int(rng.uniform(-960, -880))
    return hu


def pad_circle(rng: np.random.Generator, hu: np.ndarray) -> np.ndarray:
    """Set what lies outside the reconstructed circle to one of the padding values in use."""
    value = int(rng.choice([-1024, -2000, -3024]))
    i = (np.arange(hu.shape[0]) - (hu.shape[0] - 1) / 2) / (hu.shape[0] / 2)
    j = (np.arange(hu.shape[1]) - (hu.shape[1] - 1) / 2) / (hu.shape[1] / 2)
    outside = np.hypot(i[:, None], j[None, :]) > 1.0
    hu[outside] = value
    return hu
