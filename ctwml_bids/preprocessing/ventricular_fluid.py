"""What is fluid in the ventricles on the network's grid, and so no lesion."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids.preprocessing.distances import dilated
from ctwml_bids.preprocessing.grids import Grid
from ctwml_bids.preprocessing.normalisation import to_grid

# The ventricles fill this share of a voxel or more. What they fill less may be a cap or rim.
LEAST_SHARE = 0.5
# On CT a ventricle mask may take in the darkest leukoaraiosis (17.5 ± 4.7 HU; CSF 5). So fluid is,
# averaged over this distance (SD, mm) within the mask, no more than so many HU above this
# percentile of the averages: up to half of the mask may be something else.
AVERAGED_MM = 2.5
PERCENTILE = 25.0
ABOVE_HU = 1.2
# Where the ventricles are so wide that a ball of this radius (mm) fits, up to so far from it, noise
# and gradients are allowed for.
WIDE_MM, BESIDE_WIDE_MM = 9.0, 2.0
ABOVE_WIDE_HU = 4.0
# Air, bone and calcified choroid plexus count as this much (HU).
HU_LIMITS = (-20.0, 60.0)


def ventricular_fluid(
    array: np.ndarray,
    ventricles: nib.Nifti1Image,
    template_to_native: np.ndarray,
    grid: Grid,
    *,
    hounsfield: bool,
) -> np.ndarray:
    """Find the voxels that are surely fluid of the ventricles.

    Parameters
    ----------
    array
        The image on the network's grid, (x, y, z): HU of a CT, intensity of a FLAIR.
    ventricles
        Mask of the ventricles found on that image (`ct_ventricles`, `flair_ventricles`), in the
        image's own space.
    template_to_native
        4×4, RAS mm: points of the grid's space → points of the image.
    grid
        The network's.
    hounsfield
        Whether ``array`` is a CT's. Ventricles of a FLAIR are dark by how they are found, and
        lesions beside them bright.

    Returns
    -------
    numpy.ndarray
        bool, (x, y, z).
    """
    share = to_grid(ventricles, template_to_native, grid, fill=0.0)
    fluid = share >= LEAST_SHARE
    if not hounsfield or not fluid.any():
        return fluid
    hu = np.clip(array, *HU_LIMITS)
    sigma = AVERAGED_MM / grid.spacing
    weight = ndimage.gaussian_filter(fluid.astype(np.float32), sigma)
    mean = ndimage.gaussian_filter(np.where(fluid, hu, 0).astype(np.float32), sigma)
    mean /= np.maximum(weight, 1e-6)
    above = mean - np.percentile(mean[fluid], PERCENTILE)
    depth = ndimage.distance_transform_edt(fluid, grid.spacing)
    wide = dilated(depth > WIDE_MM, WIDE_MM + BESIDE_WIDE_MM, grid.spacing)
    return fluid & (above < np.where(wide, ABOVE_WIDE_HU, ABOVE_HU))
