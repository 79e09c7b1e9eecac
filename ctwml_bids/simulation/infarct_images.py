"""What infarcts change in a CT and a FLAIR of a head."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ctwml_bids.simulation.anatomy import Head
from ctwml_bids.simulation.fields import soft_step
from ctwml_bids.simulation.infarct_tissue import Infarcts

SPECKLE = 0.06  # SD of a fresh infarct's FLAIR signal from place to place


def _cut(head: Head, infarcts: Infarcts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return grey and white matter, fluid, and all of it, in the infarcts' box."""
    solid = (head.grey + head.white)[infarcts.box]
    csf = head.csf[infarcts.box]
    return solid, csf, solid + csf


def _fogged(infarcts: Infarcts) -> np.ndarray:
    """Return how much of a fresh infarct's change is seen, 0–1."""
    return 1 - infarcts.look.fog * soft_step(infarcts.texture - 0.2, 1.0)


def on_ct(
    hu: np.ndarray, head: Head, infarcts: Infarcts, ventricular: float, fluid: np.ndarray
) -> None:
    """Show infarcts on a CT, in place.

    Parameters
    ----------
    hu
        HU weighted by how much of a voxel is brain or fluid, in anatomy.BRAIN_BOX.
    head, infarcts
        What is there.
    ventricular
        HU of the ventricles' fluid, from which those of cavities are counted.
    fluid
        HU of the fluid at each place, as ``hu``.
    """
    look = infarcts.look
    solid, csf, total = _cut(head, infarcts)
    part = hu[infarcts.box]
    wet = csf * fluid[infarcts.box]
    if infarcts.fresh.any():
        width = look.blur / float(np.mean(head.scale))
        even = ndimage.gaussian_filter(part - wet, width)
        even /= np.maximum(ndimage.gaussian_filter(solid, width), 0.05)
        change = solid * (even - look.drop) + wet - part
        part += infarcts.fresh * _fogged(infarcts) * change
    rim = infarcts.fraction - infarcts.core - infarcts.fresh
    weight = infarcts.core + look.rim_share * rim
    part += weight * (total * (ventricular + look.core_hu) - part)


def on_flair(signal: np.ndarray, head: Head, infarcts: Infarcts, fluid: float) -> None:
    """Show infarcts on a FLAIR, in place.

    Parameters
    ----------
    signal
        Relative signal (white matter = 1) weighted as the HU of `on_ct`.
    head, infarcts
        What is there.
    fluid
        Signal of fluid.
    """
    look = infarcts.look
    solid, csf, total = _cut(head, infarcts)
    part = signal[infarcts.box]
    bright = look.fresh_signal * (1 + SPECKLE * infarcts.texture)
    part += infarcts.fresh * (solid * bright + csf * fluid - part)
    rim = infarcts.fraction - infarcts.core - infarcts.fresh
    part += rim * (solid * look.rim_signal * (1 + SPECKLE * infarcts.texture) + csf * fluid - part)
    part += infarcts.core * (total * (fluid + look.core_signal) - part)
