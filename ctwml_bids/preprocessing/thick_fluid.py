"""Fluid so thick that no sulcus or cistern holds it: ventricles far wider than the template's."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ctwml_bids.preprocessing.distances import dilated, eroded

# A ball of this radius (mm) fits into it. Sylvian fissures and cisterns of atrophied brains are
# narrower than its diameter in at least one direction; ventricles of 130 mL are wider in all.
THICK_MM = 8.0
# Holes of noise and choroid plexus are filled by the majority within about this distance (SD, mm).
MAJORITY_MM = 2.0


def thick_fluid(fluid: np.ndarray, near: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Take fluid that thick balls fill, connected to where ventricles are expected.

    Parameters
    ----------
    fluid
        bool, (x, y, z): all fluid in the brain.
    near
        bool, likewise: where the template's ventricles lie, with some room for error.
    spacing
        Voxel edges in mm.

    Returns
    -------
    numpy.ndarray
        bool, likewise, small holes filled; however far from the template's ventricles, and none
        of a head whose ventricles are not that wide. Balls that touch are connected, others are
        not: so it does not leak through what is narrow.
    """
    solid = ndimage.gaussian_filter(fluid.astype(np.float32), MAJORITY_MM / spacing) > 0.5
    centres = eroded(solid, THICK_MM, spacing)
    centres = ndimage.binary_propagation(centres & near, mask=centres)
    return dilated(centres, THICK_MM, spacing)
