"""What a head from a label map has of its own around and between its brain: skull, scalp, vessels.

Labels are known to a millimetre; a slight blur of what they are rendered to keeps bone and scalp
from looking like bricks in finer pixels.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ctwml_bids.simulation import canonical as c

BLUR = 0.65  # SD in voxels
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
        HU by label, likewise, float32; bone, skin and fat of the scalp are drawn anew.

    Returns
    -------
    numpy.ndarray
        float32, likewise.
    """
    hu = hu.copy()
    hu[labels == c.COMPACT_BONE] = rng.uniform(1100, 1700)
    hu[labels == c.SPONGY_BONE] = rng.uniform(450, 900)
    hu[labels == c.SKIN] = rng.uniform(15, 50)
    hu[labels == c.FAT] = rng.uniform(-105, -65)
    bone = np.isin(labels, (c.COMPACT_BONE, c.SPONGY_BONE))
    hu[bone] *= 1 + 0.13 * rng.standard_normal(int(bone.sum()), dtype=np.float32)
    fat = np.isin(labels, (c.FAT, c.ORBIT_FAT))
    hu[fat] += 14 * rng.standard_normal(int(fat.sum()), dtype=np.float32)
    return ndimage.gaussian_filter(hu, BLUR, truncate=3.0)


def outside_signal(
    rng: np.random.Generator, labels: np.ndarray, signal: np.ndarray, fat: float, dark: float
) -> np.ndarray:
    """Return the FLAIR signal around the brain, in smooth borders.

    Parameters
    ----------
    rng, labels
        As for `outside_hu`.
    signal
        Signal by label, on the working grid, float32; that of bone, skin and mucosa is set here.
    fat, dark
        Signals of fat and of what has none.
    """
    signal = signal.copy()
    signal[labels == c.COMPACT_BONE] = dark
    # After contrast, or without fat suppression, marrow is as bright as brain or brighter.
    signal[labels == c.SPONGY_BONE] = dark + rng.uniform(0.05, 0.8) * fat
    signal[labels == c.SKIN] = 0.6 * fat + 0.2
    signal[labels == c.MUCOSA] = rng.uniform(1.0, 1.7)
    signal[labels == c.ARTERY] = rng.uniform(*BLOOD_SIGNAL)
    return ndimage.gaussian_filter(signal, BLUR, truncate=3.0)


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
