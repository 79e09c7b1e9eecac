"""What a head from a label map has of its own around and between its brain: skull, scalp, vessels.

Labels are known to a millimetre; a slight blur of what they are rendered to keeps bone and scalp
from looking like bricks in finer pixels.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ctwml_bids.simulation import canonical as c
from ctwml_bids.simulation.fields import smooth_noise, soft_step

# Where noise of this smoothness (SD, mm) is nearly 0 there are sheets, 2 mm thick: fat between
# muscles.
MUSCLE_MM, PLANE = 8.0, 0.12
BLUR = 0.55  # SD in voxels
AIR_EDGE = 0.6  # of the blurred share of air over which the surface of the skin is crossed
PLEXUS_HU, PLEXUS_SIGNAL = (25.0, 42.0), (0.45, 0.9)
BLOOD_HU, BLOOD_SIGNAL = (40.0, 62.0), (0.05, 0.4)


def outside_hu(rng: np.random.Generator, labels: np.ndarray, hu: np.ndarray) -> np.ndarray:
    """Return HU around the brain: one person's bone, skin and fat, in smooth borders.

    Parameters
    ----------
    rng
        Source of randomness.
    labels
        Codes of ``canonical``, on the working grid.
    hu
        HU by label, likewise, float32; bone, scalp, muscle, mucosa and arteries are
        drawn anew.

    Returns
    -------
    numpy.ndarray
        float32, likewise.
    """
    hu = hu.copy()
    hu[labels == c.COMPACT_BONE] = rng.uniform(1100, 1700)
    hu[labels == c.SPONGY_BONE] = rng.uniform(450, 900)
    hu[labels == c.ARTERY] = rng.uniform(*BLOOD_HU)
    hu[labels == c.MUCOSA] = rng.uniform(25, 50)
    hu[labels == c.SKIN] = rng.uniform(15, 50)
    hu[labels == c.FAT] = rng.uniform(-105, -65)
    muscle = labels == c.MUSCLE
    hu[muscle] = np.where(_fat_planes(rng)[muscle], rng.uniform(-90, -40), rng.uniform(45, 62))
    bone = np.isin(labels, (c.COMPACT_BONE, c.SPONGY_BONE))
    hu[bone] *= 1 + 0.13 * rng.standard_normal(int(bone.sum()), dtype=np.float32)
    fat = np.isin(labels, (c.FAT, c.ORBIT_FAT))
    hu[fat] += 14 * rng.standard_normal(int(fat.sum()), dtype=np.float32)
    return _smoothed(hu, labels == c.OUTSIDE, -1000.0)


def outside_signal(
    rng: np.random.Generator,
    labels: np.ndarray,
    signal: np.ndarray,
    fat: float,
    muscle_signal: float,
    dark: float,
) -> np.ndarray:
    """Return the FLAIR signal around the brain, in smooth borders.

    Parameters
    ----------
    rng, labels
        As for `outside_hu`.
    signal
        Signal by label, on the working grid, float32; that of bone, skin, muscle and mucosa is
        set here.
    fat, muscle_signal, dark
        Signals of fat, of muscle and of what has none.
    """
    signal = signal.copy()
    signal[labels == c.COMPACT_BONE] = dark
    # After contrast, or without fat suppression, marrow is as bright as brain or brighter.
    signal[labels == c.SPONGY_BONE] = dark + rng.uniform(0.05, 0.8) * fat
    signal[labels == c.SKIN] = 0.6 * fat + 0.2
    signal[labels == c.MUCOSA] = rng.uniform(1.0, 1.7)
    signal[labels == c.ARTERY] = rng.uniform(*BLOOD_SIGNAL)
    muscle = labels == c.MUSCLE
    signal[muscle] = np.where(_fat_planes(rng)[muscle], 0.8 * fat, muscle_signal)
    return _smoothed(signal, labels == c.OUTSIDE, 0.0)


def _smoothed(values: np.ndarray, air: np.ndarray, value_of_air: float) -> np.ndarray:
    """Blur what is not air among itself, and make the border to air smooth but sharp.

    A plain blur would mix the skin, two voxels thin, with air.
    """
    tissue = ndimage.gaussian_filter((~air).astype(np.float32), BLUR, truncate=3.0)
    blurred = ndimage.gaussian_filter(np.where(air, 0, values), BLUR, truncate=3.0)
    blurred /= np.maximum(tissue, 0.05)
    share = soft_step(tissue - 0.5, AIR_EDGE)
    return share * blurred + (1 - share) * np.float32(value_of_air)


def _fat_planes(rng: np.random.Generator) -> np.ndarray:
    """Return where fat lies between muscles (bool, working grid)."""
    return np.abs(smooth_noise(rng, c.SHAPE, MUSCLE_MM)) < PLANE


def with_vessels(labels: np.ndarray, fluid: np.ndarray, blood: float, plexus: float) -> np.ndarray:
    """Return the values of fluid with vessels in the cisterns and plexus in the ventricles.

    Parameters
    ----------
    labels
        Codes of ``canonical``, in BRAIN_BOX.
    fluid
        HU or signal of fluid, likewise.
    blood, plexus
        HU or signal of blood and choroid plexus.
    """
    for codes, value in (((c.BLOOD_SINUS, c.ARTERY), blood), ((c.CHOROID,), plexus)):
        share = np.isin(labels, codes).astype(np.float32)
        share = ndimage.gaussian_filter(share, BLUR, truncate=3.0)
        fluid = fluid + share * (value - fluid)
    return fluid
